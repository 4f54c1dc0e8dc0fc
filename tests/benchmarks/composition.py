"""Whether ranking moves the music: features of the audio at weight +1 and -1.

Run as `bin/bench composition [N]`: N songs of a minute on either side of each
criterion (8), beside 2 N neutral ones; about a second of computing each.
"""

import os
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LATENT_HOME", tempfile.mkdtemp(prefix="latent-bench-"))

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.compose.features import CRITERIA
from model.inference import TimbreModel
from tests.support.songs import audio_features, hear, settings


def features(
    model: TimbreModel, seeds: range, weight: dict[str, object]
) -> list[float]:
    """The criterion that has a weight, of songs with these seeds."""
    (name,) = weight
    return [
        audio_features(hear(settings(seed, weight)), model)[
            str(name).removeprefix("rank/")
        ]
        for seed in seeds
    ]


def main() -> None:
    """Print the table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    model = TimbreModel.load()
    neutral = [audio_features(hear(settings(s)), model) for s in range(1, 2 * n + 1)]
    table = Table(
        "criterion",
        "at -1",
        "neutral",
        "at +1",
        "deviation",
        "moved by",
        title=f"audio of {n} songs of 1 min on each side, {2 * n} neutral ones",
    )
    for name in CRITERIA:
        spread = float(np.std([one[name] for one in neutral], ddof=1))
        middle = float(np.mean([one[name] for one in neutral]))
        seeds = range(101, 101 + n)
        low, high = (
            float(np.mean(features(model, seeds, {f"rank/{name}": weight})))
            for weight in (-1.0, 1.0)
        )
        numbers = (low, middle, high, spread)
        moved = f"{(high - low) / spread:.1f} deviations"
        table.add_row(name, *(f"{number:.3f}" for number in numbers), moved)
    Console().print(table)


if __name__ == "__main__":
    main()
