"""Whether tuning makes neighbours agree: roughness of both sounds of a join together.

Run as `bin/bench tuning [N [M]]`: decoded spectra of N songs (100), and the audio of M
of them (4), at full strength of tuning and without, in several scales.
"""

import os
import sys
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from typing import TypeAlias

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LATENT_HOME", tempfile.mkdtemp(prefix="latent-bench-"))

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.control.controls import CONTROLS
from model.inference import TimbreModel
from tests.support.songs import hear, join_roughness, planned_roughness, settings

SCALES = ("dorian", "major", "pentatonic", "just")
CHORDS = CONTROLS["tuning/chords"].choices if "tuning/chords" in CONTROLS else ()
Plan: TypeAlias = Mapping[str, object]
PLANS: tuple[Plan, ...] = (
    *({"tuning/scale": scale} for scale in SCALES),
    *({"tuning/chords": chords} for chords in CHORDS if chords != "off"),
)


def planned(model: TimbreModel, seed: int, plan: Plan) -> float:
    """Roughness of a song's joins as composed."""
    return planned_roughness(model, seed, plan)


def heard(model: TimbreModel, seed: int, plan: Plan) -> float:
    """Roughness of neighbouring sections of the rendered song."""
    power = model.axis.to_power(hear(settings(seed, plan)).sections)
    return join_roughness(power, list(pairwise(range(len(power)))), model.axis)


def main() -> None:
    """Print the table."""
    given = [int(word) for word in sys.argv[1:]]
    n, m = [*given, *(100, 4)[len(given) :]]
    model = TimbreModel.load()
    table = Table(
        "plan",
        "songs",
        "untuned",
        "tuned",
        "falls by",
        "standard errors",
        title="mean roughness of both sounds of a join",
    )
    whole = PLANS[0]
    for plan, kind, n_songs, measure in (
        *((plan, "decoded", n, planned) for plan in PLANS),
        (whole, "as audio", m, heard),
    ):
        songs = np.array(
            [
                [
                    measure(model, seed, {**plan, "tuning/strength": strength})
                    for strength in (0.0, 1.0)
                ]
                for seed in range(1, n_songs + 1)
            ]
        )
        if n_songs < 2:
            continue
        without, tuned = songs.mean(axis=0)
        falls = songs[:, 0] - songs[:, 1]
        error = max(float(falls.std(ddof=1)) / n_songs**0.5, 1e-9)
        table.add_row(
            ", ".join(str(value) for value in plan.values()),
            f"{n_songs} {kind}",
            f"{without:.4f}",
            f"{tuned:.4f}",
            f"{100.0 * (without - tuned) / without:.1f} %",
            f"{falls.mean() / error:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
