"""`latent render`: a song into a file."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from effects.base.errors import InputError
from effects.base.memory import give_memory_back
from effects.base.whole_file import is_fifo
from engine.cli.options import (
    check_rate,
    composition_options,
    settings_from,
)
from engine.cli.progress import bar, tell_of_fifo

if TYPE_CHECKING:
    from engine.graph import Settings
    from engine.offline.song_card import SongCard

DEFAULT_MINUTES = 4.0
_BESIDE_CARD = ("model_dir", "grammar")  # options that a card leaves open


@click.command()
@click.argument("out", type=Path)
@click.option("--minutes", type=float, help="Length [default: 4].")
@click.option("--rate", type=int, default=None, help="Sample rate [default: 44100].")
@click.option("--card", "card_file", type=Path, help="Render this song card again.")
@click.option("--stems", is_flag=True, help="Write OUT-music and OUT-effects as well.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
@composition_options
def render(
    out: Path,
    minutes: float | None,
    rate: int | None,
    card_file: Path | None,
    stems: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Render music into OUT: .flac .wav .aiff .ogg .opus .mp3 by its ending.

    A FIFO is written into, without such an ending as PCM of 16 bits (s16le).

    The song's card, from which the same samples can be rendered again, is written
    into the file's comment and beside it.

    \b
    Examples:
      latent render song.flac --minutes 4 --seed 7 --preset dark
      latent render again.flac --card song.card
    """
    from effects.audio.sound_writer import check_output

    give_memory_back()
    from engine.graph import build
    from engine.offline.render import render_to_file
    from engine.offline.song_card import card_of
    from engine.offline.song_card_file import card_path, write_beside
    from engine.offline.stems import render_stems_to_files, stem_paths

    check_output(out)
    card_path(out)
    if stems:
        stem_paths(out)
    if stems and is_fifo(out):
        raise InputError("--stems: a FIFO takes one sound; name a file")
    if card_file is not None:
        settings = _settings_again(card_file, minutes, rate, options)
    else:
        settings = settings_from(
            options,
            sample_rate=_rate(out, rate),
            minutes=DEFAULT_MINUTES if minutes is None else minutes,
        )
    check_output(out, settings.sample_rate)
    graph = build(settings)
    card = card_of(settings, graph)
    started = time.monotonic()
    tags = {"title": card.title, "comment": card.text()}
    tell_of_fifo(out, settings.sample_rate)
    with bar("rendering", settings.sample_rate) as progress:
        (render_stems_to_files if stems else render_to_file)(graph, out, tags, progress)
    beside = None if is_fifo(out) else write_beside(card, out)
    _report(out, beside, card, time.monotonic() - started, as_json)


def _settings_again(
    path: Path, minutes: float | None, rate: int | None, options: Mapping[str, Any]
) -> "Settings":
    """Settings of a card; what it decides cannot be asked for as well."""
    from engine.offline.song_card import settings_from_card
    from engine.offline.song_card_file import read_card
    from engine.version import VERSION

    given = {"minutes": minutes, **options}
    for name, value in given.items():
        if value not in (None, False) and name not in _BESIDE_CARD:
            flag = name.removesuffix("_name").replace("_", "-")
            raise InputError(f"--{flag}: the card decides this; leave it out")
    card = read_card(path)
    if card.latent != VERSION:
        click.echo(
            f"latent: the card was written by version {card.latent}, this is "
            f"{VERSION}: the samples may differ",
            err=True,
        )
    settings = settings_from_card(card, options["model_dir"], options["grammar"])
    if rate is not None:
        settings = replace(settings, sample_rate=check_rate(rate))
    return settings


def _rate(out: Path, rate: int | None) -> int:
    from effects.audio.sound_formats import format_of
    from engine.graph import RENDER_RATE

    return check_rate(rate or format_of(out).rate_for(RENDER_RATE))


def _report(
    out: Path, beside: Path | None, card: "SongCard", seconds: float, as_json: bool
) -> None:
    if as_json:
        made = {
            "file": str(out),
            "card": None if beside is None else str(beside),
            "seed": card.seed,
            "minutes": card.seconds / 60.0,
            "sample_rate": card.sample_rate,
            "seconds": round(seconds, 3),
        }
        click.echo(json.dumps(made))
        return
    speed = card.seconds / max(seconds, 1e-3)
    click.echo(
        f"{out}: {card.seconds / 60.0:g} min, seed {card.seed}, "
        f"{seconds:.1f} s ({speed:.0f} times real time)",
        file=sys.stderr,
    )
