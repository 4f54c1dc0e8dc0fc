"""`latent corpus`: the music that a model is trained on."""

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.corpus_clips import COMMANDS
from engine.cli.corpus_options import corpus_option, default_corpus, json_option
from engine.cli.corpus_workers import executor
from engine.cli.curate import curate
from engine.cli.durations import Duration
from engine.cli.packages import TRANSIENTS, check_packages
from engine.cli.progress import bar
from engine.cli.quiet import libraries_silenced

if TYPE_CHECKING:
    from effects.audio.sound_search import FoundSounds
    from model.corpus.ingest import IngestReport

SHOWN = 20  # number of refused files that are named; the rest are counted


@click.group()
def corpus() -> None:
    """Gather the music that a model is trained on.

    \b
    Example:
      latent corpus add ~/Music/ambient && latent train
    """


for command in (curate, *COMMANDS):
    corpus.add_command(command)


@corpus.command()
@click.argument("sources", nargs=-1, required=True)
@corpus_option
@click.option("--clips", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option(
    "--every",
    type=Duration(),
    default="5m",
    show_default=True,
    help="Of a long song, one clip for each so much of it.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--again", is_flag=True, help="Try songs again that were refused.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes [default: cores].")
@click.option("--scheduler", help="Address of a Dask scheduler, as tcp://host:8786.")
@json_option
def add(
    sources: tuple[str, ...],
    corpus_dir: Path | None,
    clips: int,
    every: float,
    seed: int,
    again: bool,
    jobs: int | None,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Take clips of two seconds from every song of SOURCES.

    SOURCES are folders with all that is below them, files, playlists (.m3u8), or - for
    paths from standard input, one a line. Songs that are in the corpus already are
    passed over, as are those that were refused before. For each song that cannot be
    used, the reason is printed.

    \b
    Examples:
      latent corpus add ~/Music/ambient --clips 5
      latent corpus add mix.flac --every 60s
    """
    check_packages("finding transients", "corpus add", TRANSIENTS)
    from effects.base.errors import RunError
    from model.corpus.corpus import Corpus
    from model.corpus.ingest import add_songs
    from model.corpus.sources import find_songs, paths_of_lines

    if "-" in sources:
        given = paths_of_lines(sys.stdin.read())
        sources = (*(source for source in sources if source != "-"), *given)
    found = find_songs(sources)
    corpus = Corpus.create(corpus_dir or default_corpus())
    if corpus.converted:
        click.echo(f"{corpus.folder}: each clip has got a number of its own", err=True)
    # libmpg123 writes about what is no MP3.
    with (
        libraries_silenced(),
        bar("taking clips") as progress,
        executor(jobs, scheduler, len(found.files)) as workers,
    ):
        report = add_songs(
            found.files,
            corpus,
            clips_per_song=clips,
            every_s=every,
            seed=seed,
            again=again,
            executor=workers,
            progress=progress,
        )
    if as_json:
        passed = [asdict(one) for one in found.passed_over]
        others = {"passed_over": passed, "other_endings": found.other_endings}
        click.echo(json.dumps({**asdict(report), **others}))
    else:
        _print_report(report, found)
    if not report.songs and not report.known and not report.remembered:
        raise RunError(f"{sources[0]}: nothing in it could be used")


@corpus.command()
@corpus_option
@click.option("--clips", type=click.IntRange(1), default=40_000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--workers", type=click.IntRange(1), help="Processes [default: cores].")
@click.option("--font", type=click.Path(path_type=Path), help="General MIDI font.")
@click.option(
    "--no-soundfont",
    is_flag=True,
    help="Use Latent's own synthesis alone; this gives other clips.",
)
def demo(
    corpus_dir: Path | None,
    clips: int,
    seed: int,
    workers: int | None,
    font: Path | None,
    no_soundfont: bool,
) -> None:
    """Make the corpus of the bundled model from the project's own instruments.

    Half of them are those of the sound font FluidR3, played by FluidSynth; both are
    Debian packages. With --no-soundfont neither is needed.

    It may be stopped at any time; the same command continues it.

    \b
    Example:
      latent corpus demo --clips 2000
    """
    import os

    from model.corpus.demo import make_demo_corpus, soundfont

    if font is not None and no_soundfont:
        raise click.UsageError("--font or --no-soundfont, not both")
    with bar("making clips") as progress:
        make_demo_corpus(
            corpus_dir or default_corpus(),
            clips,
            seed,
            workers=workers or os.cpu_count() or 1,
            progress=progress,
            font=None if no_soundfont else font or soundfont.FONT,
        )


@corpus.command()
@corpus_option
@json_option
def info(corpus_dir: Path | None, as_json: bool) -> None:
    """Print what a corpus holds.

    \b
    Example:
      latent corpus info
    """
    from model.corpus.corpus import Corpus

    folder = corpus_dir or default_corpus()
    summary = Corpus.open(folder).summary()
    if as_json:
        click.echo(json.dumps({"folder": str(folder), **summary}))
        return
    rejected = summary["clips"] - summary["kept"]
    click.echo(
        f"{folder}: {summary['clips']} clips of {summary['groups']} songs or patches, "
        f"{rejected} rejected"
    )
    for title in ("sources", "licences"):
        for name, n in Counter(summary[title]).most_common(SHOWN):
            click.echo(f"  {title:8s} {n:7d}  {name or 'not stated'}")


def _print_report(report: "IngestReport", found: "FoundSounds") -> None:
    click.echo(f"{report.clips} clips from {report.songs} songs")
    if report.fewer:
        click.echo(f"{report.fewer} songs gave fewer clips than asked for")
    if report.known:
        click.echo(f"{report.known} songs are in the corpus already")
    if report.remembered:
        click.echo(
            f"{report.remembered} songs were refused before (--again tries them)"
        )
    for reason, n in sorted(report.draws_refused.items()):
        click.echo(f"{n} draws refused: {reason}")
    refused = [(r.name, r.reason, r.detail) for r in report.refused]
    _print_names("refused", refused)
    _print_names("passed over", [(p.name, p.reason, "") for p in found.passed_over])
    if found.other_endings:
        endings = Counter(found.other_endings).most_common(SHOWN)
        told = ", ".join(f"{n} {ending or 'without one'}" for ending, n in endings)
        click.echo(f"files with other endings: {told}")


def _print_names(what: str, named: list[tuple[str, str, str]]) -> None:
    for name, reason, detail in named[:SHOWN]:
        click.echo(f"{what} {name}: {reason}" + (f" ({detail})" if detail else ""))
    if len(named) > SHOWN:
        reasons = Counter(reason for _, reason, _ in named[SHOWN:])
        rest = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
        click.echo(f"{what} {len(named) - SHOWN} more: {rest}")
