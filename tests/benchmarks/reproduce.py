"""Whether anyone gets a model as good as the bundled one: made again, and compared.

Run as `bin/bench reproduce [--clips N] [--epochs N] [--home FOLDER]`. From an empty
LATENT_HOME, `latent corpus demo` and `latent train` are run as a user would; the
figures of the card that they end with stand beside those of the bundled card. Ends with
1 if one of those that count is more than 10 % off. It takes what both commands take;
with --home it goes on where it was stopped.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import click
from rich.console import Console
from rich.table import Table

from model.inference import TimbreModel

COUNT = ("rmse_ratio", "detail_reconstruction", "detail_prior", "detail_between")
SHOWN = (*COUNT, "rmse_db", "prior_gap_ratio", "classifier_accuracy", "active_latents")
TOLERANCE = 0.1


def made_again(home: Path, options: Mapping[str, int | None], font: bool) -> Path:
    """Run both commands; returns the model's folder.

    Raises:
        CalledProcessError: one of them failed.
    """
    out = home / "reproduced"
    demo = ["corpus", "demo", *_given("--clips", options["clips"])]
    train = ["train", "--out", str(out), *_given("--epochs", options["epochs"])]
    for command in (demo if font else [*demo, "--no-soundfont"], train):
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "engine.cli.main", *command],
            env={**os.environ, "LATENT_HOME": str(home)},
            check=True,
        )
        minutes = (time.monotonic() - started) / 60.0
        click.echo(f"latent {' '.join(command)}: {minutes:.1f} min", err=True)
    return out


def off_by(ours: object, theirs: object) -> float | None:
    """How far a figure is from another, as a share of it; None if one is missing."""
    if not isinstance(ours, int | float) or not isinstance(theirs, int | float):
        return None
    return ours / theirs - 1.0 if theirs else None


def compared(
    ours: Mapping[str, object], theirs: Mapping[str, object]
) -> tuple[Table, bool]:
    """Both cards' figures side by side, and whether all that count are near."""
    table = Table("figure", "bundled", "made again", "off by", "")
    near = True
    for name in SHOWN:
        apart = off_by(ours.get(name), theirs.get(name))
        verdict = "not judged"
        if name in COUNT:
            good = apart is not None and abs(apart) <= TOLERANCE
            near, verdict = near and good, "near" if good else "OFF"
        share = "-" if apart is None else f"{apart:+.1%}"
        pair = (_shown(theirs.get(name)), _shown(ours.get(name)))
        table.add_row(name, *pair, share, verdict)
    return table, near


def _given(option: str, value: int | None) -> list[str]:
    return [] if value is None else [option, str(value)]


def _shown(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "-"


@click.command()
@click.option("--clips", type=click.IntRange(1), help="Of the corpus, if not all.")
@click.option("--epochs", type=click.IntRange(1), help="Of the training.")
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to work in, which is kept [default: a temporary one].",
)
@click.option("--no-soundfont", is_flag=True, help="As of `latent corpus demo`.")
def main(
    clips: int | None, epochs: int | None, home: Path | None, no_soundfont: bool
) -> None:
    """Make the bundled model again and print both cards' figures."""
    temporary = tempfile.TemporaryDirectory(prefix="latent-reproduce-")
    with temporary if home is None else nullcontext(str(home)) as folder:
        options = {"clips": clips, "epochs": epochs}
        try:
            out = made_again(Path(folder).absolute(), options, not no_soundfont)
        except subprocess.CalledProcessError as error:
            sys.exit(error.returncode)
        ours = TimbreModel.load(out).metadata.get("figures", {})
    table, near = compared(ours, TimbreModel.load().metadata.get("figures", {}))
    Console().print(table)
    sys.exit(0 if near else 1)


if __name__ == "__main__":
    main()
