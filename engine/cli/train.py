"""`latent train`: train a model on a corpus, for --model of the other commands."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from effects.base.errors import InputError
from effects.base.paths import data_dir
from engine.cli.corpus_options import corpus_option, default_corpus, json_option
from engine.cli.packages import TRAINING, check_packages

if TYPE_CHECKING:
    from model.training.fit import EpochReport, TrainSettings

START_LEARNING_RATE = 5e-4  # lower than without a start, which it would undo
MIN_EPOCH = 2048  # clips; smaller corpora are repeated, for enough steps an epoch


def default_model() -> Path:
    """Folder of the trained model without --out."""
    return data_dir() / "models" / "mine"


@click.command()
@corpus_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Model folder to write [default: models/mine in the data folder].",
)
@click.option(
    "--arch", type=click.Choice(["dense", "seed"]), default="dense", show_default=True
)
@click.option("--epochs", type=click.IntRange(1, 10_000), default=80, show_default=True)
@click.option("--minutes", type=click.FloatRange(0.1), help="Train about this long.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--start",
    metavar="FOLDER",
    help="Model to start from instead of random weights: a folder, or `bundled`.",
)
@click.option(
    "--look",
    is_flag=True,
    help="Only look whether a training could begin: at the corpus and at --out.",
)
@json_option
def train(
    corpus_dir: Path | None,
    out: Path | None,
    arch: str,
    epochs: int,
    minutes: float | None,
    seed: int,
    start: str | None,
    look: bool,
    as_json: bool,
) -> None:
    """Train a model on a corpus; `latent corpus` makes one.

    It may be stopped at any time; the same command continues it.

    \b
    Example:
      latent train --out ~/models/mine && latent play --model ~/models/mine
    """
    folder, out = corpus_dir or default_corpus(), out or default_model()
    _check_writable(out)
    if look:
        from model.corpus.corpus import Corpus
        from model.corpus.enough import check_enough

        corpus = Corpus.open(folder)
        corpus.timbres()  # raises where they are damaged
        check_enough(corpus.groups())
        return
    check_packages("training", "train", TRAINING)
    from model.inference import BUNDLED
    from model.training import train as training
    from model.training.fit import TrainSettings
    from model.training.vae import VAEConfig

    settings = TrainSettings(
        vae=VAEConfig(arch=arch), epochs=epochs, seed=seed, min_epoch=MIN_EPOCH
    )
    origin = None
    if start is not None:
        origin = BUNDLED if start == "bundled" else Path(start)
        settings = replace(settings, learning_rate=START_LEARNING_RATE)
    if minutes is not None:
        settings = replace(settings, epochs=_epochs_in(minutes, folder, settings, out))
    about = {"command": " ".join(["latent", *sys.argv[1:]])}
    with _losses() as progress:
        made = training.train(
            folder,
            out,
            settings,
            progress,
            about=about,
            stage=lambda what: click.echo(f"measuring: {what}", err=True),
            start=origin,
        )
    shutil.rmtree(out / training.CHECKPOINTS, ignore_errors=True)
    figures, history = made["figures"], made["history"]
    if as_json:
        row = {"model": str(out), "epochs": len(history), "figures": figures}
        click.echo(json.dumps(row))
        return
    click.echo(
        f"{out}: {len(history)} epochs, error of {figures['rmse_db']:.2f} dB on clips"
    )
    click.echo(f"that training left out; play it: latent play --model {out}")


def _check_writable(out: Path) -> None:
    there = out.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(f"{out}: {there} is no folder that can be written")


def _epochs_in(
    minutes: float, corpus_dir: Path, settings: "TrainSettings", out: Path
) -> int:
    """Number of epochs that fit into the time, measured by training one."""
    from model.training.dataset import load
    from model.training.fit import fit, planned_epochs
    from model.training.train import CHECKPOINTS

    # Training that is resumed must keep its schedule.
    planned = planned_epochs(out / CHECKPOINTS)
    if planned is not None:
        return planned
    parts, _ = load(corpus_dir)
    with tempfile.TemporaryDirectory() as folder:
        _, history = fit(parts, Path(folder), replace(settings, epochs=1))
    return max(1, int(60.0 * minutes / max(history[0]["seconds"], 1e-3)))


@contextmanager
def _losses() -> Iterator[Callable[["EpochReport"], None]]:
    """Show the losses: in a progress bar on a terminal, elsewhere a line an epoch."""
    if not sys.stderr.isatty():
        yield lambda report: click.echo(
            f"epoch {report.epoch}/{report.epochs}  {_terms(report)}", err=True
        )
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[terms]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=None, terms="")

        def report_epoch(report: "EpochReport") -> None:
            bar.update(
                task, completed=report.epoch, total=report.epochs, terms=_terms(report)
            )

        yield report_epoch


def _terms(report: "EpochReport") -> str:
    losses = "  ".join(f"{name} {x:.3g}" for name, x in report.validation.items())
    return f"{report.rmse_db:.2f} dB  {losses}{' *' if report.is_best else ''}"
