"""Whether songs have a face, and whether ranking moves the music.

Run as `bin/bench composition [N]`: how far the sounds of one song lie apart, and the
songs of a radio of 4 N; then features of the audio of N songs of a minute (8) on either
side of each criterion, beside 2 N neutral ones; about a second of computing each.
"""

import os
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LATENT_HOME", tempfile.mkdtemp(prefix="latent-bench-"))

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.compose import preset
from engine.compose.criteria import CRITERIA
from engine.compose.distance import mean_apart_db
from engine.control.controls import snapshot_of
from model.inference import TimbreModel
from tests.support.songs import (
    audio_features,
    face_db,
    hear,
    radio_spectra,
    settings,
    songs_apart_db,
)


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


def faces(model: TimbreModel, n_songs: int) -> Table:
    """Distances inside songs and between them, by preset."""
    table = Table(
        "preset",
        "sounds of one song apart",
        "the same as heard",
        "songs apart",
        "least",
        "each from the next, least",
        title=f"dB between spectra, radio of {n_songs} songs",
    )
    for name in sorted(preset.names()):
        chosen = snapshot_of(preset.load(name).controls)
        spectra = radio_spectra(model, chosen, 1, n_songs)
        apart = songs_apart_db(spectra)
        across = apart[np.triu_indices(n_songs, 1)]
        heard = [face_db(hear(settings(seed, chosen))) for seed in (1, 2)]
        numbers = (
            mean_apart_db(spectra).mean(),
            np.mean(heard),
            across.mean(),
            across.min(),
            np.diag(apart, 1).min(),
        )
        table.add_row(name, *(f"{number:.1f}" for number in numbers))
    return table


def main() -> None:
    """Print both tables."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    model = TimbreModel.load()
    Console().print(faces(model, 4 * n))
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
