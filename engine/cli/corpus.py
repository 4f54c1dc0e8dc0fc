"""`latent corpus`: the music that a model is trained on."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.corpus_options import corpus_option, default_corpus, json_option
from engine.cli.curate import curate
from engine.cli.packages import TRANSIENTS, check_packages
from engine.cli.progress import bar
from engine.cli.quiet import libraries_silenced

if TYPE_CHECKING:
    from model.corpus.ingest import IngestReport

SHOWN = 20  # number of refused files that are named; the rest are counted


@click.group()
def corpus() -> None:
    """Gather the music that a model is trained on.

    \b
    Example:
      latent corpus add ~/Music/ambient && latent train
    """


corpus.add_command(curate)


@corpus.command()
@click.argument("folder", type=click.Path(path_type=Path))
@corpus_option
@click.option("--clips", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@json_option
def add(
    folder: Path, corpus_dir: Path | None, clips: int, seed: int, as_json: bool
) -> None:
    """Take clips of two seconds from every song in FOLDER and its subfolders.

    Songs that are in the corpus already are passed over. For each song that cannot be
    used, the reason is printed.

    \b
    Example:
      latent corpus add ~/Music/ambient --clips 5
    """
    check_packages("finding transients", "corpus add", TRANSIENTS)
    from effects.base.errors import RunError
    from model.corpus.corpus import Corpus
    from model.corpus.ingest import add_folder

    # libmpg123 writes about what is no MP3.
    with libraries_silenced(), bar("taking clips") as progress:
        report = add_folder(
            folder,
            Corpus.create(corpus_dir or default_corpus()),
            clips_per_song=clips,
            seed=seed,
            progress=progress,
        )
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        _print_report(report)
    if not report.songs and not report.known:
        raise RunError(f"{folder}: nothing in it could be used")


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


def _print_report(report: "IngestReport") -> None:
    click.echo(f"{report.clips} clips from {report.songs} songs")
    if report.known:
        click.echo(f"{report.known} songs are in the corpus already")
    for reason, n in sorted(report.draws_refused.items()):
        click.echo(f"{n} draws refused: {reason}")
    for refusal in report.refused[:SHOWN]:
        click.echo(f"refused {refusal.name}: {refusal.reason} ({refusal.detail})")
    if len(report.refused) > SHOWN:
        reasons = Counter(r.reason for r in report.refused[SHOWN:])
        rest = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
        click.echo(f"refused {len(report.refused) - SHOWN} more: {rest}")
