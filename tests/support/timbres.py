"""Timbres with partials, made in no time, and models small enough to train in it."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.config import AXIS
from model.inference import TimbreModel
from model.training import comparison, evaluate
from model.training import export as exporting
from model.training.dataset import Augmentation, Split, split
from model.training.export import export
from model.training.fit import TrainSettings
from model.training.vae import VAEConfig, build

TINY = VAEConfig(width=24, hidden=24, encoder_blocks=1, decoder_blocks=1)


def harmonic_timbres(n: int, rng: np.random.Generator) -> NDArray[np.float16]:
    """Harmonic series over a noise floor, shape (n, n_bands)."""
    position = np.arange(AXIS.n_bands)
    timbres = np.empty((n, AXIS.n_bands), np.float16)
    for row in timbres:
        first = rng.uniform(150.0, 500.0)
        harmonics = np.arange(1, 12)
        centres = first + AXIS.bands_per_octave * np.log2(harmonics)
        slope = rng.uniform(3.0, 9.0)
        levels = rng.uniform(-30.0, -15.0) - slope * np.log2(harmonics)
        floor = rng.uniform(-90.0, -60.0) - 0.01 * position
        peaks = levels - 3.0 * np.abs(position[:, None] - centres)
        level_db = np.maximum(floor, peaks.max(axis=1))
        row[:] = np.clip((level_db - AXIS.floor_db) / AXIS.range_db, 0.0, 1.0)
    return timbres


def harmonic_split(n: int = 400, seed: int = 0) -> Split:
    """A corpus of three clips a song, divided."""
    timbres = harmonic_timbres(n, np.random.default_rng(seed))
    groups = np.array([f"song {i // 3}" for i in range(n)])
    return split(timbres, groups)


def tiny_settings(epochs: int = 2, seed: int = 1) -> TrainSettings:
    """Settings under which an epoch takes a moment."""
    return TrainSettings(
        vae=TINY,
        epochs=epochs,
        batch_size=64,
        seed=seed,
        augmentation=Augmentation(semitones=2, mixed=0.0),
    )


def quick_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure on few sounds, and accept models that were trained for a moment."""
    monkeypatch.setattr(comparison, "MOST_STANDING_DB", float("inf"))
    monkeypatch.setattr(comparison, "N_SOUNDS", 200)
    monkeypatch.setattr(exporting, "N_STATISTICS", 400)
    monkeypatch.setattr(evaluate, "guard_share", partial(evaluate.guard_share, n=100))


def tiny_model(folder: Path, *, arch: str = "dense", n: int = 400) -> TimbreModel:
    """An untrained network, exported to `folder`."""
    torch.manual_seed(5)
    network = build(VAEConfig(arch, 24, 24, 1, 1))
    train = harmonic_timbres(n, np.random.default_rng(2))
    rng = np.random.default_rng(3)
    return export(network, train, folder, rng, name="tiny", about={"licence": "MIT"})
