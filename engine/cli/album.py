"""`latent album`: many songs at once, weeded, named and finished."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effects.base.errors import InputError
from effects.base.memory import keep_memory
from engine.cli.options import like_from
from engine.cli.progress import bar

if TYPE_CHECKING:
    from engine.album.make import MadeAlbum
    from engine.album.plan import AlbumPlan

DEFAULT_SONGS = 12
DEFAULT_MINUTES = 4.0


@click.group()
def album() -> None:
    """Albums: make many songs, review them, finish those that are kept.

    \b
    Example:
      latent album make evening --songs 50
      latent album review evening
      latent album finish evening --title Evening
    """


@album.command(name="make")
@click.argument("folder", metavar="DIR", type=Path)
@click.option("--songs", type=int, help="How many to make [default: 12].")
@click.option("--minutes", type=float, help="Length of each [default: 4].")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Of all songs.")
@click.option(
    "--preset", "presets", multiple=True, help="Name or TOML file; several alternate."
)
@click.option("--model", "model_dir", type=Path, help="Model folder.")
@click.option("--like", type=Path, help="Start from this sound file.")
@click.option("--no-effects", is_flag=True, help="Music alone, without a bed.")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=2, show_default=True,
    help="Processes.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def make_album(
    folder: Path,
    songs: int | None,
    minutes: float | None,
    seed: int | None,
    presets: tuple[str, ...],
    model_dir: Path | None,
    like: Path | None,
    no_effects: bool,
    workers: int,
    as_json: bool,
) -> None:
    """Make songs into DIR, measure them, and set aside those with a fault.

    A run that was stopped goes on where it was with the same command, or with DIR
    alone; --songs may be raised later.

    \b
    Example:
      latent album make evening --songs 50 --minutes 4 --preset dark --preset deep
    """
    from engine.album.known import remember_album
    from engine.album.make import make
    from engine.album.picture import can_draw
    from engine.album.plan import AlbumPlan, check
    from engine.album.state import STATE, read_state
    from engine.compose.preset import DEFAULT_PRESET

    wanted = AlbumPlan(
        seed=secrets.randbelow(2**31) if seed is None else seed,
        songs=DEFAULT_SONGS if songs is None else songs,
        minutes=DEFAULT_MINUTES if minutes is None else minutes,
        presets=tuple(map(_anywhere, presets)) or (DEFAULT_PRESET,),
        effects=not no_effects,
        model=None if model_dir is None else str(model_dir.resolve()),
        like=like_from(like, model_dir),
    )
    if (folder / STATE).exists():
        before, _ = read_state(folder)
        given = {
            "seed": seed,
            "minutes": minutes,
            "presets": wanted.presets if presets else None,
            "effects": False if no_effects else None,
            "model": wanted.model,
            "like": wanted.like or None,
        }
        wanted = _going_on(folder, before, given, songs)
    draw = can_draw()
    if not draw:
        _say("no spectrograms without matplotlib; 'bin/latent album' installs it")
    keep_memory()  # with one worker, songs are made here
    with bar("making") as progress:
        made = make(
            folder, check(wanted), workers=workers, draw=draw, progress=progress
        )
    remember_album(folder)
    _report_made(folder, wanted, made, as_json)


@album.command(name="review")
@click.argument("folder", metavar="DIR", type=Path)
@click.option("--device", help="Number or name; see 'latent devices'.")
@click.option(
    "--web", metavar="[HOST:]PORT", help="In a browser instead, served there."
)
def review_album(folder: Path, device: str | None, web: str | None) -> None:
    """Go through the songs of DIR by single keys: play, keep, cut, name, undo.

    Every decision is on the disk before the next key is read. The page of a session
    (latent play --web) has the same under Albums, for those made or reviewed lately.

    \b
    Examples:
      latent album review evening
      latent album review evening --web 8080
    """
    from engine.album.known import remember_album
    from engine.album.review import Review

    Review(folder)  # refused here if there is none
    remember_album(folder)
    if web is not None:
        from engine.cli.web import serve_page

        serve_page(web, (), hint="it is in the page under Albums (key: a)")
        return
    from engine.cli.album_review import review_in_terminal

    review_in_terminal(folder, device)


@album.command(name="finish")
@click.argument("folder", metavar="DIR", type=Path)
@click.option("--title", default="", help="Title of the album [default: DIR's name].")
@click.option("--artist", default="Latent", show_default=True)
@click.option(
    "--gap", type=click.FloatRange(0.0, 30.0), default=1.0, show_default=True,
    help="Seconds of silence behind each song.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the tracks as JSON.")
def finish_album(
    folder: Path, title: str, artist: str, gap: float, as_json: bool
) -> None:
    """Order, name and tag the songs that were kept, into DIR/album.

    All that passed the gate are taken when none was kept. The songs in DIR stay.

    \b
    Example:
      latent album finish evening --title Evening --artist "The Latents"
    """
    from engine.album.finish import finish

    with bar("finishing") as progress:
        finished = finish(
            folder, title=title, artist=artist, gap_s=gap, progress=progress
        )
    if as_json:
        tracks = [
            {
                "number": t.number,
                "title": t.title,
                "file": t.name,
                "song": t.row.file,
            }
            for t in finished.tracks
        ]
        told = {"folder": str(finished.folder), "tracks": tracks}
        click.echo(json.dumps({**told, "seconds": round(finished.seconds, 3)}))
        return
    _say(
        f"{finished.folder}: {len(finished.tracks)} songs, "
        f"{finished.seconds / 60.0:.1f} min"
    )


def _going_on(
    folder: Path, before: "AlbumPlan", given: Mapping[str, object], songs: int | None
) -> "AlbumPlan":
    """The plan that is in the folder, with more songs if they are asked for."""
    for name, value in given.items():
        if value is not None and value != getattr(before, name):
            flag = {"presets": "preset", "effects": "no-effects"}.get(name, name)
            raise InputError(
                f"--{flag}: {folder} holds an album made with "
                f"{getattr(before, name)!r}; leave it out, or name another folder"
            )
    if songs is not None and songs < before.songs:
        raise InputError(
            f"--songs {songs}: {folder} has {before.songs} already; "
            "'latent album review' cuts songs"
        )
    return replace(before, songs=songs or before.songs)


def _anywhere(preset: str) -> str:
    """A preset as it is named from any folder."""
    return str(Path(preset).resolve()) if preset.endswith(".toml") else preset


def _report_made(
    folder: Path, plan: "AlbumPlan", made: "MadeAlbum", as_json: bool
) -> None:
    aside = [row for row in made.rows if row.is_aside]
    if as_json:
        told = {
            "folder": str(folder),
            "seed": plan.seed,
            "songs": len(made.rows),
            "aside": {row.file: row.reasons for row in aside},
            "rendered_s": round(made.rendered, 3),
            "seconds": round(made.seconds, 3),
            "real_time_factor": round(made.speed, 2),
        }
        click.echo(json.dumps(told))
        return
    for row in aside:
        _say(f"set aside {row.file}: {'; '.join(row.reasons)}")
    work = "all were there already"
    if made.rendered:
        work = (
            f"{made.rendered / 60.0:.1f} min in {made.seconds:.0f} s "
            f"({made.speed:.0f} times real time)"
        )
    songs = f"{len(made.rows)} songs, {len(aside)} set aside"
    _say(f"{folder}: {songs}, seed {plan.seed}; {work}")


def _say(line: str) -> None:
    click.echo(f"latent: {line}", err=True)
