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
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

import click
from msgspec import Meta

from effects.base.errors import InputError
from effects.base.open_file import read_bytes
from effects.base.paths import data_dir
from effects.base.schema import decode_json
from effects.base.whole_file import write_whole
from engine.cli.corpus_options import corpus_option, default_corpus, json_option
from engine.cli.packages import TRAINING, check_packages
from engine.cli.screen import clock

if TYPE_CHECKING:
    from model.training.fit import EpochReport, TrainSettings
    from model.training.start import Start

PLAN = "plan.json"  # in the folder of checkpoints: how many epochs fit the minutes
# The original network is slow for its size. With fewer clips in a step it takes more
# steps in the same time; with 256 it was far from its end when time was over.
SEED_BATCH, SEED_RATE = 64, 1e-3
MIN_EPOCH = 7168  # clips; smaller corpora are repeated, for enough steps an epoch


class _Plan(TypedDict):
    epochs: Annotated[int, Meta(ge=1)]


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
    default="auto",
    show_default=True,
    help="What to start from: `random` weights, the `bundled` model, the FOLDER of "
    "another one, or `auto`, which trains briefly from the first two and "
    "goes on with what has the lower error on songs left out.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where to train; cuda is an NVIDIA GPU with a PyTorch that supports it.",
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
    start: str,
    device: str,
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
    from model.training.device import check_device
    from model.training.fit import TrainSettings
    from model.training.start import Start
    from model.training.vae import VAEConfig

    settings = TrainSettings(
        vae=VAEConfig(arch=arch), epochs=epochs, seed=seed, min_epoch=MIN_EPOCH
    )
    if arch == "seed":
        settings = replace(settings, batch_size=SEED_BATCH, learning_rate=SEED_RATE)
    check_device(device)
    origin: Path | Literal["auto"] | None = "auto"
    if start in ("random", "bundled"):
        origin = BUNDLED if start == "bundled" else None
    elif start != "auto":
        origin = Path(start)
    if minutes is not None:
        starts = [Start(), Start(BUNDLED)] if origin == "auto" else [Start(origin)]
        n_epochs = _epochs_in(minutes, folder, settings, starts, out, device)
        settings = replace(settings, epochs=n_epochs)
    about = {"command": " ".join(["latent", *sys.argv[1:]])}
    with _losses() as progress:
        made = training.train(
            folder,
            out,
            settings,
            progress,
            about=about,
            stage=lambda what: click.echo(what, err=True),
            start=origin,
            device=device,
        )
    shutil.rmtree(out / training.CHECKPOINTS, ignore_errors=True)
    if as_json:
        row = {
            "model": str(out),
            "epochs": len(made.history),
            "start": made.start.name,
            "figures": made.figures,
        }
        click.echo(json.dumps(row))
        return
    click.echo(made.comparison.line())
    click.echo(f"{out}: {len(made.history)} epochs, started from {made.start.name}")
    if made.comparison.is_better:
        click.echo(f"play it: latent play --model {out}")
    else:
        click.echo(f"to hear it all the same: latent play --model {out}")


def _check_writable(out: Path) -> None:
    there = out.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(f"{out}: {there} is no folder that can be written")


def _epochs_in(
    minutes: float,
    corpus_dir: Path,
    settings: "TrainSettings",
    starts: "list[Start]",
    out: Path,
    device: str,
) -> int:
    """Number of epochs that fit into the time, measured by one from each start."""
    from model.training.dataset import load
    from model.training.fit import fit
    from model.training.train import CHECKPOINTS

    # Training that is resumed must keep its schedule.
    plan = out / CHECKPOINTS / PLAN
    if plan.exists():
        content = read_bytes(plan, 1_000, "file of a training")
        return decode_json(content, _Plan, str(plan))["epochs"]
    parts, _ = load(corpus_dir)
    seconds = []
    for start in starts:
        once = replace(start.settings(settings, len(parts.train)), epochs=1)
        with tempfile.TemporaryDirectory() as folder:
            _, history = fit(parts, Path(folder), once, device=device)
        seconds.append(max(history[0]["seconds"], 1e-3))
    epochs = epochs_within(60.0 * minutes, seconds)
    plan.parent.mkdir(parents=True, exist_ok=True)
    write_whole(plan, json.dumps({"epochs": epochs}))
    return epochs


def epochs_within(whole_s: float, seconds: list[float]) -> int:
    """The most epochs for which there is time, 1 at least.

    Args:
        whole_s: seconds that there are.
        seconds: of an epoch from each start; of several, each has a trial first, and
            the slowest may be the one that is chosen.
    """
    from model.training.start import MIN_TRIAL, TRIAL, trial_epochs

    slowest, tried = max(seconds), sum(seconds) if len(seconds) > 1 else 0.0
    epochs = max(1, int(whole_s / (slowest + TRIAL * tried)))
    if trial_epochs(epochs) == MIN_TRIAL:
        epochs = max(1, int((whole_s - MIN_TRIAL * tried) / slowest))
    return epochs


@contextmanager
def _losses() -> Iterator[Callable[["EpochReport"], None]]:
    """Show the losses: in a progress bar on a terminal, elsewhere a line an epoch."""
    if not sys.stderr.isatty():
        yield lambda report: click.echo(
            f"epoch {report.epoch}/{report.epochs}  {_terms(report)}  "
            f"{clock(report.left_s)} left",
            err=True,
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
