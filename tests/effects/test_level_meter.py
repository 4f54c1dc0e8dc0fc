"""The level meter against the reference filters."""

import numpy as np
import pytest

from effects.audio.level_meter import LevelMeter
from effects.audio.levels import Samples
from effects.audio.loudness import short_term_lufs
from tests.support import audio


def _music(seconds: float, rate: int) -> Samples:
    rng = np.random.default_rng(3)
    time_s = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * 220.0 * time_s) * (0.3 + 0.2 * np.sin(2.0 * time_s))
    noise = 0.05 * rng.standard_normal((len(time_s), 2))
    return (0.4 * tone[:, None] + noise).astype(np.float32)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize("piece", [480, 4096, 10_007])
def test_loudness_is_that_of_the_reference_filters(rate: int, piece: int) -> None:
    samples = _music(7.0, rate)
    meter = LevelMeter(rate)
    for start in range(0, len(samples), piece):
        levels = meter.add(samples[start : start + piece])
    momentary = short_term_lufs(samples, rate, hop_s=0.1, window_s=0.4)[-1]
    short_term = short_term_lufs(samples, rate, hop_s=0.1)[-1]
    assert levels.momentary_lufs == pytest.approx(momentary, abs=0.15)
    assert levels.short_term_lufs == pytest.approx(short_term, abs=0.15)


def test_true_peak_finds_what_lies_between_samples_and_forgets_it() -> None:
    rate = 48_000
    time_s = np.arange(rate) / rate
    # A quarter of the rate, off the samples by an eighth of a turn: 3 dB above them.
    tone = 0.5 * np.sin(2 * np.pi * rate / 4 * time_s + np.pi / 4)
    samples = np.repeat(tone[:, None], 2, axis=1).astype(np.float32)
    meter = LevelMeter(rate)
    levels = [meter.add(piece).true_peak_db for piece in np.split(samples, 10)]
    assert levels[-1] == pytest.approx(audio.true_peak_db(samples, rate), abs=0.2)
    assert levels[-1] == pytest.approx(-6.0, abs=0.3)
    silence = np.zeros((rate // 10, 2), np.float32)
    quiet = [meter.add(silence).true_peak_db for _ in range(45)]
    assert quiet[24] == pytest.approx(levels[-1], abs=0.3), "still in the last 3 s"
    assert quiet[-1] < -100.0


@pytest.mark.parametrize("piece", [40, 777, 8192])
@pytest.mark.parametrize("hz", [50.0, 997.0, 7_000.0, 11_000.0])
def test_pieces_have_no_peaks_where_they_are_cut(hz: float, piece: int) -> None:
    rate = 24_000
    seconds = np.arange(6 * rate) / rate
    rise = np.minimum(1.0, 10.0 * seconds)  # a sudden beginning has peaks of its own
    tone = 0.891 * rise * np.sin(2.0 * np.pi * hz * seconds)
    samples = np.stack([tone, tone], axis=1).astype(np.float32)
    meter = LevelMeter(rate)
    found = [
        meter.add(samples[start : start + piece]).true_peak_db
        for start in range(0, len(samples), piece)
    ]
    assert max(found) == pytest.approx(-1.0, abs=0.05)


def test_silence_and_what_is_not_finite_are_only_silence() -> None:
    meter = LevelMeter(48_000)
    bad = np.full((48_000, 2), np.nan, np.float32)
    levels = meter.add(bad)
    assert levels.momentary_lufs < -100.0
    assert levels.true_peak_db < -100.0
