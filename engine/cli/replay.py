"""`latent replay`: a session again, from its journal."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effects.base.errors import InputError
from effects.base.memory import give_memory_back
from effects.base.whole_file import is_fifo
from engine.cli.options import check_rate
from engine.cli.progress import bar, tell_of_fifo

if TYPE_CHECKING:
    from effects.audio.levels import Samples


MOST_DIFFERENCES = 8  # lines on where it is not what was heard


@click.command()
@click.argument("session", type=Path)
@click.argument("out", type=Path)
@click.option("--from", "first", type=float, default=0.0, help="Begin, seconds.")
@click.option("--to", "last", type=float, help="End, seconds [default: its end].")
@click.option("--last", "latest", type=float, help="Only the last so many seconds.")
@click.option("--rate", type=int, help="Sample rate [default: as it was played].")
@click.option("--stems", is_flag=True, help="Write OUT-music and OUT-effects as well.")
@click.option(
    "--model", "model_dir", type=Path, help="Model folder it was played with."
)
def replay(
    session: Path,
    out: Path,
    first: float,
    last: float | None,
    latest: float | None,
    rate: int | None,
    stems: bool,
    model_dir: Path | None,
) -> None:
    """Render SESSION, a journal, into OUT: the samples that were heard.

    \b
    Examples:
      latent replay ~/.local/state/latent/journals/20261123T200000Z.jsonl evening.flac
      latent replay session.jsonl part.flac --from 600 --to 900 --stems
    """
    from effects.audio.sound_writer import check_output

    give_memory_back()
    from engine.offline.chaptered import (
        chaptered_sound_file,
        chapters_between,
        write_chapters,
    )
    from engine.offline.edits import edits_of
    from engine.offline.played_session import differences, load_session
    from engine.offline.replay import replay as render_again
    from engine.offline.stems import stem_files, stem_paths

    check_output(out)
    if stems:
        stem_paths(out)
    if stems and is_fifo(out):
        raise InputError("--stems: a FIFO takes one sound; name a file")
    if rate is not None:
        check_rate(rate)
    loaded = load_session(session, sample_rate=rate, model=model_dir)
    check_output(out, loaded.graph.sample_rate)
    scale = loaded.graph.sample_rate / loaded.sample_rate
    stop = loaded.end if last is None else round(last * loaded.sample_rate)
    start = round(first * loaded.sample_rate)
    if latest is not None:
        start = max(0, stop - round(latest * loaded.sample_rate))
    if not 0 <= start < stop:
        raise InputError(f"{session}: nothing lies from {start} to {stop} samples")
    edits = edits_of(loaded.events, scale)
    title, comment = out.stem, f"latent replay of {session.name}"
    chapters = chapters_between(loaded.events, start, stop, scale)
    span = (round(start * scale), round(stop * scale))
    sample_rate = loaded.graph.sample_rate
    tell_of_fifo(out, sample_rate)
    with ExitStack() as stack:
        progress = stack.enter_context(bar("rendering", sample_rate))
        if stems:
            tags = {"title": title, "comment": comment}
            files = stem_files(out, sample_rate, tags)
            write, write_music, write_effects = stack.enter_context(files)

            def write_stems(music: "Samples", effects: "Samples") -> None:
                write_music(music)
                write_effects(effects)

            render_again(loaded.graph, edits, *span, write, progress, write_stems)
        else:
            write = stack.enter_context(
                chaptered_sound_file(out, sample_rate, title, comment, chapters)
            )
            render_again(loaded.graph, edits, *span, write, progress)
    if stems:
        write_chapters(out, sample_rate, title, chapters)
    found = differences(loaded.events, loaded.sample_rate, loaded.latent)
    for line in found[:MOST_DIFFERENCES]:
        click.echo(f"latent: not as it was: {line}", err=True)
    click.echo(f"{out}: {(stop - start) / loaded.sample_rate:.1f} s", err=True)
