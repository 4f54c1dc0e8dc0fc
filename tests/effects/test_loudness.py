import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effects.audio.levels import SILENCE_DB, Samples
from effects.audio.loudness import (
    integrated_lufs,
    normalise,
    short_term_lufs,
    true_peak_db,
)
from tests.support import audio

RATE = 48_000


def _tone(hz: float, amplitude: float, seconds: float = 5.0) -> Samples:
    phase = 2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE
    return np.repeat(amplitude * np.sin(phase)[:, None], 2, 1).astype(np.float32)


def test_the_standards_own_tone_reads_as_it_says() -> None:
    # EBU Tech 3341, case 1: 1 kHz at -23 dBFS in both channels is -23 LUFS.
    tone = _tone(1000.0, 10 ** (-23 / 20))
    assert integrated_lufs(tone, RATE) == pytest.approx(-23.0, abs=0.1)
    windows = short_term_lufs(tone, RATE)
    assert len(windows) == 3
    assert np.allclose(windows, -23.0, atol=0.1)


def test_silence_and_what_is_too_short_have_a_level_too() -> None:
    silence = np.zeros((RATE, 2), np.float32)
    assert integrated_lufs(silence, RATE) == SILENCE_DB
    assert integrated_lufs(silence[:0], RATE) == SILENCE_DB
    assert true_peak_db(silence[:0], RATE) == SILENCE_DB
    assert integrated_lufs(1e-7 * _tone(1000.0, 1.0), RATE) == SILENCE_DB
    short = _tone(1000.0, 0.1)[:4800]
    assert integrated_lufs(short, RATE) == pytest.approx(-20.0, abs=0.3)
    assert short_term_lufs(short, RATE).size == 0


@pytest.mark.parametrize("hz", [1_000.0, 11_999.0, 15_000.0])
def test_true_peak_finds_the_crest_between_samples(hz: float) -> None:
    ramp = np.minimum(1.0, np.arange(5 * RATE) / RATE)
    tone = _tone(hz, 0.5) * (ramp * ramp[::-1])[:, None].astype(np.float32)
    assert true_peak_db(tone, RATE) == pytest.approx(-6.02, abs=0.1)


@settings(max_examples=10, deadline=None)
@given(target=st.floats(-40.0, -12.0), seed=st.integers(0, 99))
def test_normalised_sound_has_the_loudness_asked_for(target: float, seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal((RATE, 2)).astype(np.float32)
    made = normalise(noise, RATE, target, -1.0)
    assert audio.lufs(made, RATE) == pytest.approx(target, abs=0.1)
    assert audio.true_peak_db(made, RATE) <= -0.9


def test_the_ceiling_wins_over_loudness() -> None:
    clicks = np.zeros((5 * RATE, 2), np.float32)
    clicks[::4800] = 1.0
    made = normalise(clicks, RATE, -12.0, -1.0)
    assert audio.true_peak_db(made, RATE) <= -0.9
    assert np.all(np.isfinite(made))


def test_silence_is_left_alone() -> None:
    silence = np.zeros((RATE, 2), np.float32)
    assert not normalise(silence, RATE, -18.0).any()
