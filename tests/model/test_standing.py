"""Tones that stand in all sounds of a network are taken off when it is exported."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model.config import AXIS
from model.guard import standing_peak
from model.training.export import export
from model.training.fit import fit
from model.training.standing import MOST_DB, TOLERATED_DB, standing_curve
from tests.support.timbres import TINY, harmonic_split, harmonic_timbres, tiny_settings

TONE = 500  # a band


def clips_and_sounds(added_db: float) -> tuple[np.ndarray, np.ndarray]:
    clips = harmonic_timbres(400, np.random.default_rng(0)).astype(np.float32)
    sounds = clips[::-1].copy()
    sounds[:, TONE - 1 : TONE + 2] += added_db / AXIS.range_db
    return clips, sounds


def test_what_stands_in_all_sounds_is_taken_off_and_nothing_else() -> None:
    clips, sounds = clips_and_sounds(5.0)
    assert standing_peak(sounds, clips).excess_db > 4.0
    curve = standing_curve(sounds, clips)
    assert curve.dtype == np.float32
    assert standing_peak(sounds - curve, clips).excess_db < TOLERATED_DB + 0.1
    lowered = np.flatnonzero(curve > 0.002)
    assert set(lowered) == {TONE - 1, TONE, TONE + 1}


def test_sounds_like_the_clips_stay_as_they_are() -> None:
    clips, sounds = clips_and_sounds(0.0)
    assert not standing_curve(sounds, clips).any()


def test_a_whistle_is_not_hidden() -> None:
    """What a bad training left is still found by the check that refuses it."""
    clips, sounds = clips_and_sounds(30.0)
    curve = standing_curve(sounds, clips)
    assert curve.max() == pytest.approx(MOST_DB / AXIS.range_db)
    assert standing_peak(sounds - curve, clips).excess_db > 15.0


def test_the_exported_decoder_has_no_standing_tone(tmp_path: Path) -> None:
    corpus = harmonic_split(300)
    settings = dataclasses.replace(
        tiny_settings(epochs=16),
        vae=dataclasses.replace(TINY, width=64, hidden=64),
        min_epoch=1024,
    )
    network, _ = fit(corpus, tmp_path / "work", settings)
    last = list(network.decoder.children())[-3]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():  # in all three spectra that the decoder adds
        bias = last.bias.view(TINY.sources, AXIS.n_bands)
        bias[:, TONE - 1 : TONE + 2] += 4.0 * 5.0 / AXIS.range_db
        means = network.encode(torch.from_numpy(corpus.train).float())[0]
        decoded = network.decode(means).clamp(0.0, 1.0).numpy()
    assert standing_peak(decoded, corpus.train).excess_db > 3.0
    rng = np.random.default_rng(3)
    model = export(network, corpus.train, tmp_path / "m", rng, name="m", about={})
    sounds = model.decode(model.sample(2000, rng))
    assert standing_peak(sounds, corpus.train).excess_db < 2.0
