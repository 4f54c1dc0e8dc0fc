"""`latent render`: a song into a file."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from engine.cli.options import check_rate, composition_options, settings_from
from engine.cli.progress import bar


@click.command()
@click.argument("out", type=Path)
@click.option("--minutes", type=float, default=4.0, show_default=True)
@click.option("--rate", type=int, default=None, help="Sample rate [default: 44100].")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
@composition_options
def render(
    out: Path, minutes: float, rate: int | None, as_json: bool, **options: Any
) -> None:
    """Render music into OUT: .flac .wav .ogg .opus .mp3 by its ending.

    \b
    Example:
      latent render song.flac --minutes 4 --seed 7 --preset dark
    """
    from engine.graph import build
    from engine.out_file import OPUS_RATE, check_output
    from engine.render import render_to_file

    check_output(out)
    is_opus = out.suffix.lower() == ".opus"
    chosen = check_rate(rate or (OPUS_RATE if is_opus else 44_100))
    settings = settings_from(options, sample_rate=chosen, minutes=minutes)
    graph = build(settings)
    started = time.monotonic()
    tags = {"title": out.stem, "comment": f"latent seed {settings.seed}"}
    with bar("rendering", settings.sample_rate) as progress:
        render_to_file(graph, out, tags, progress)
    seconds = time.monotonic() - started
    if as_json:
        made = {
            "file": str(out),
            "seed": settings.seed,
            "minutes": minutes,
            "sample_rate": chosen,
            "seconds": round(seconds, 3),
        }
        click.echo(json.dumps(made))
        return
    speed = 60.0 * minutes / max(seconds, 1e-3)
    click.echo(
        f"{out}: {minutes:g} min, seed {settings.seed}, "
        f"{seconds:.1f} s ({speed:.0f} times real time)",
        file=sys.stderr,
    )
