"""Tuning: detuned sounds of known root come to their key, noise stays where it is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.compose.tuning import Tuning, find_pitch, shift_bands, transpositions
from model.config import AXIS, SAMPLE_RATE
from model.spectrum import CLIP_LENGTH, analyse

C = Tuning(tonic=0, scale="chromatic", a4=440.0, strength=1.0)


def tone(hertz: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Band powers of a harmonic sound over a little noise, as analysed."""
    t = np.arange(CLIP_LENGTH) / SAMPLE_RATE
    clip = 0.001 * rng.standard_normal(CLIP_LENGTH)
    for k in range(1, 12):
        if hertz * k < 8000.0:
            phase = rng.uniform(0.0, 2.0 * np.pi)
            clip += 0.1 / k**1.3 * np.sin(2 * np.pi * hertz * k * t + phase)
    return AXIS.to_power(analyse(clip.astype(np.float32)))


def noise(rng: np.random.Generator) -> NDArray[np.float64]:
    clip = 0.1 * rng.standard_normal(CLIP_LENGTH)
    return AXIS.to_power(analyse(clip.astype(np.float32)))


def cents_off_grid(hertz: float) -> float:
    cents = 1200.0 * np.log2(hertz / 440.0)
    return float((cents + 50.0) % 100.0 - 50.0)


def test_two_hundred_detuned_sounds_come_within_five_cents() -> None:
    rng = np.random.default_rng(0)
    worst = []
    for _ in range(200):
        hertz = float(np.exp(rng.uniform(np.log(80.0), np.log(800.0))))
        power = tone(hertz, rng)
        (shift,) = transpositions(power[None], C, AXIS).shifts
        tuned = hertz * 2.0 ** (shift / AXIS.bands_per_octave)
        worst.append(abs(cents_off_grid(tuned)))
    assert np.quantile(worst, 0.98) < 5.0
    assert max(worst) < 8.0


def test_noise_is_left_alone() -> None:
    rng = np.random.default_rng(1)
    sounds = np.stack([noise(rng) for _ in range(20)])
    assert np.all(transpositions(sounds, C, AXIS).shifts == 0.0)


def test_the_root_is_found_and_another_pitch_standard_heeded() -> None:
    rng = np.random.default_rng(2)
    pitch = find_pitch(tone(220.0 * 2 ** (3 / 12), rng), AXIS)
    assert pitch.confidence > 0.6
    assert abs((pitch.root_cents - 0.0 + 600.0) % 1200.0 - 600.0) < 5.0
    other = find_pitch(tone(216.0, rng), AXIS, a4=432.0)
    assert abs((other.root_cents - 900.0 + 600.0) % 1200.0 - 600.0) < 5.0


@pytest.mark.parametrize("scale", ["major", "minor-pentatonic", "just"])
def test_roots_come_into_the_scale(scale: str) -> None:
    from engine.control.harmony import SCALES

    rng = np.random.default_rng(3)
    tuning = Tuning(2, scale, 440.0, 1.0)
    degrees = np.array(SCALES[scale]) + 200.0
    for _ in range(10):
        hertz = float(rng.uniform(100.0, 400.0))
        (shift,) = transpositions(tone(hertz, rng)[None], tuning, AXIS).shifts
        tuned = 1200.0 * np.log2(hertz / 440.0) + 900.0 + shift / 122.0 * 1200.0
        apart = (degrees - tuned + 600.0) % 1200.0 - 600.0
        assert np.min(np.abs(apart)) < 8.0


def test_strength_is_a_share() -> None:
    power = tone(226.0, np.random.default_rng(4))[None]
    full = transpositions(power, C, AXIS).shifts[0]
    half = transpositions(power, Tuning(0, "chromatic", 440.0, 0.5), AXIS).shifts[0]
    off = transpositions(power, Tuning(0, "chromatic", 440.0, 0.0), AXIS).shifts[0]
    assert half == pytest.approx(full / 2.0)
    assert off == 0.0


@given(bands=st.floats(-60.0, 60.0, allow_subnormal=False))
def test_shifting_moves_a_peak_by_so_much_and_keeps_its_power(bands: float) -> None:
    power = np.full(AXIS.n_bands, 1e-12)
    power[598:603] = [0.1, 0.5, 1.0, 0.5, 0.1]
    shifted = shift_bands(power, bands)
    centre = shifted @ np.arange(AXIS.n_bands) / shifted.sum()
    assert centre == pytest.approx(600.0 + bands, abs=0.01)
    assert shifted.sum() == pytest.approx(power.sum(), rel=1e-6)
