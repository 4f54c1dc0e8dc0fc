"""`latent corpus list, show, play, keep, reject, remove, export, check`: its clips."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.corpus_options import (
    choosing,
    corpus_option,
    default_corpus,
    json_option,
)

if TYPE_CHECKING:
    pass

Row = dict[str, Any]


class _Chosen:
    """The corpus that options name, and the clips that they choose."""

    def __init__(self, chosen: dict[str, Any], *, whole: bool = False) -> None:
        from model.corpus.corpus import Corpus
        from model.corpus.selection import Selection, parse_score

        self.folder: Path = chosen["corpus_dir"] or default_corpus()
        self.corpus: Corpus = Corpus.open(self.folder)
        self._selection = Selection(
            ids=tuple(chosen["ids"]),
            song=chosen["song"],
            scores=tuple(parse_score(text) for text in chosen["scores"]),
            verdict=chosen["verdict"] or "",
            licence=chosen["licence"],
        )
        if self._selection.is_everything and not whole:
            raise click.UsageError(
                "say which clips: by their numbers, --song, --score, --verdict, "
                "or --licence"
            )

    def rows(self) -> Iterator[Row]:
        from model.corpus.selection import select

        return select(self.corpus, self._selection)


@click.command("list")
@choosing
@json_option
def list_clips(as_json: bool, **chosen: Any) -> None:
    """List clips: number, verdict, place, score, song.

    \b
    Examples:
      latent corpus list --song "Fog" --verdict open
      latent corpus list --score 'transient>0.8' --json
    """
    rows = _Chosen(chosen, whole=True).rows()
    if as_json:
        _print_array(rows)
        return
    for row in rows:
        click.echo(_line(row))


@click.command()
@choosing
@json_option
def show(as_json: bool, **chosen: Any) -> None:
    """Print all that is known of clips.

    \b
    Example:
      latent corpus show 17
    """
    rows = _Chosen(chosen).rows()
    if as_json:
        _print_array(rows)
        return
    for row in rows:
        for name, value in row.items():
            if isinstance(value, dict):
                value = ", ".join(f"{k} {v}" for k, v in value.items())
            click.echo(f"{name:12s} {value}")
        click.echo()


@click.command()
@choosing
@click.option("--device", help="Number or name of the output device.")
def play(device: str | None, **chosen: Any) -> None:
    """Play clips one after the other; Ctrl-C ends it.

    \b
    Example:
      latent corpus play --score 'transient>0.9'
    """
    from effects.base.errors import InputError
    from engine.album.listen import Auditioner

    chosen_clips = _Chosen(chosen)
    auditioner = Auditioner(device)
    try:
        played = 0
        for row in chosen_clips.rows():
            if "file_name" not in row:
                continue
            auditioner.play(chosen_clips.corpus.audio_path(str(row["file_name"])))
            click.echo(_line(row))
            played += 1
            while auditioner.is_playing:
                time.sleep(0.05)
        if not played:
            raise InputError("none of these clips has audio that was kept")
    finally:
        auditioner.close()


@click.command()
@choosing
def keep(**chosen: Any) -> None:
    """Keep clips, whatever was said of them before.

    \b
    Example:
      latent corpus keep 17 18
    """
    _judge("keep", "", chosen)


@click.command()
@choosing
@click.option("--reason", default="", help="Why, in a word.")
def reject(reason: str, **chosen: Any) -> None:
    """Reject clips: training leaves them out, and `keep` takes it back.

    \b
    Example:
      latent corpus reject --song "Drum Circle" --reason drums
    """
    _judge("reject", reason, chosen)


@click.command()
@choosing
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(yes: bool, **chosen: Any) -> None:
    """Delete clips with their audio. Their songs are not taken again by `add`.

    \b
    Example:
      latent corpus remove --verdict reject --yes
    """
    from model.corpus.corpus import Corpus

    clips = _Chosen(chosen)
    rows = list(clips.rows())
    if not rows:
        click.echo("no such clips")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(f"{len(rows)} clips would be deleted; add --yes")
        click.confirm(f"Delete {len(rows)} clips and their audio?", abort=True)
    corpus = Corpus.create(clips.folder)
    corpus.remove([row["id"] for row in rows])
    left = set(corpus.groups(judged=False).tolist())
    gone = {
        str(row["song_sha256"])
        for row in rows
        if "song_sha256" in row and row["group"] not in left
    }
    corpus.ledger().removed(gone)
    click.echo(f"{len(rows)} clips deleted")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@choosing
def export(folder: Path, **chosen: Any) -> None:
    """Copy clips into FOLDER: FLAC files, a table (CSV) and a list of credits.

    Without a choice, all clips that are not rejected are copied.

    \b
    Example:
      latent corpus export ~/clips --verdict keep
    """
    from model.corpus.export import export as write_clips

    clips = _Chosen(chosen, whole=True)
    rows = clips.rows()
    if not chosen["verdict"] and not chosen["ids"]:
        rows = (row for row in rows if row["verdict"] != "reject")
    n = write_clips(clips.corpus, rows, folder)
    click.echo(f"{n} clips in {folder}")


@click.command()
@corpus_option
@json_option
def check(corpus_dir: Path | None, as_json: bool) -> None:
    """Look a corpus over: damaged timbres, missing audio, files that belong to none.

    \b
    Example:
      latent corpus check
    """
    from effects.base.errors import RunError
    from model.corpus.checkup import troubles
    from model.corpus.corpus import Corpus

    corpus: Corpus = Corpus.open(corpus_dir or default_corpus())
    found = list(troubles(corpus))
    if as_json:
        click.echo(json.dumps({"clips": len(corpus), "troubles": found}))
    else:
        for trouble in found:
            click.echo(trouble)
    if found:
        raise RunError(f"{corpus.folder}: {len(found)} troubles")
    if not as_json:
        click.echo(f"{corpus.folder}: {len(corpus)} clips, all in order")


COMMANDS = (list_clips, show, play, keep, reject, remove, export, check)


def _judge(verdict: str, reason: str, chosen: dict[str, Any]) -> None:
    clips = _Chosen(chosen)
    ids = [row["id"] for row in clips.rows()]
    if ids:
        clips.corpus.judge_all(ids, verdict, reason, by="command")
    done = "kept" if verdict == "keep" else "rejected"
    click.echo(f"{len(ids)} clips {done}")


def _line(row: Row) -> str:
    from model.corpus.selection import TRANSIENT, score_of

    score = score_of(row, TRANSIENT)
    mark = {"keep": "+", "reject": "-"}.get(row["verdict"], " ")
    start = row.get("start_s", 0.0)
    place = f"{int(start // 60):3d}:{start % 60:04.1f}"
    names = [str(row.get(name) or "") for name in ("artist", "title")]
    song = " - ".join(filter(None, names)) or str(row.get("group", ""))
    told = f"{score:4.2f}" if score is not None else "    "
    return f"{row['id']:7d} {mark} {place} {told} {song}"


def _print_array(rows: Iterator[Row]) -> None:
    """Print rows as one JSON array, without holding all of them."""
    click.echo("[", nl=False)
    for number, row in enumerate(rows):
        click.echo(("," if number else "") + "\n" + json.dumps(row), nl=False)
    click.echo("\n]")
