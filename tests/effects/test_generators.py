"""Each generator beside what is published of the real sound."""

import itertools
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from effects.audio.levels import Samples
from effects.audio.loudness import short_term_lufs
from effects.generators import GENERATORS
from effects.generators.noise import length_of
from effects.shelf.loops import Loop
from effects.shelf.seams import seam_report
from tests.support.audio import correlation
from tests.support.signals import clicks

RATE = 44_100
SHORT_S = 36.0


@lru_cache(maxsize=32)
def _rendered(name: str) -> Samples:
    return GENERATORS[name].render(RATE, seconds=SHORT_S)


def _spectrum(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    hz, power = signal.welch(_rendered(name)[:, 0], RATE, nperseg=8192)
    return hz, power


def _share(name: str, low: float, high: float) -> float:
    hz, power = _spectrum(name)
    return float(power[(hz >= low) & (hz < high)].sum() / power.sum())


def _slope_db(name: str, low: float, high: float) -> float:
    """Slope of the spectrum between two frequencies, in dB an octave."""
    hz, power = _spectrum(name)
    inside = (hz >= low) & (hz < high)
    return float(np.polyfit(np.log2(hz[inside]), 10 * np.log10(power[inside]), 1)[0])


def _envelope(name: str, low: float, high: float, rate: int) -> NDArray[np.float64]:
    """Power in a band, `rate` times a second."""
    sections = signal.butter(4, (low, high), "bandpass", fs=RATE, output="sos")
    filtered = signal.sosfilt(sections, _rendered(name)[:, 0])
    step = RATE // rate
    n = len(filtered) // step
    return np.asarray(np.mean(filtered[: n * step].reshape(n, step) ** 2, axis=1))


def _level_db(name: str, window_s: float) -> NDArray[np.float64]:
    samples, n = _rendered(name), int(window_s * RATE)
    whole = samples[: len(samples) // n * n].reshape(-1, n * 2)
    return np.asarray(10 * np.log10(np.mean(whole**2, axis=1)))


@pytest.mark.parametrize("name", GENERATORS)
def test_it_is_a_stereo_loop_without_a_seam(name: str) -> None:
    samples = _rendered(name)
    assert samples.dtype == np.float32
    assert samples.shape == (length_of(RATE, SHORT_S), 2)
    assert np.all(np.isfinite(samples))
    assert 0.0 < correlation(samples) < 0.95
    assert seam_report(Loop(name, samples, RATE)).step <= 1.0
    balance = 10 * np.log10(np.mean(samples[:, 0] ** 2) / np.mean(samples[:, 1] ** 2))
    assert abs(balance) < 3.0


@pytest.mark.parametrize(
    "name", ["rain-light", "stream", "fire", "leaves", "drips", "snow"]
)
def test_what_is_made_of_impulses_holds_no_click(name: str) -> None:
    samples = _rendered(name)
    # And not by a hair: the threshold at which clicks are told is 12.
    assert len(clicks(samples, threshold=10.0)) <= 1
    assert len(clicks(samples)) == 0


@pytest.mark.parametrize("name", ["rain-light", "rain", "rain-heavy", "stream"])
def test_no_tone_sticks_out_of_many_bubbles(name: str) -> None:
    """Bubbles of all sizes ring; no one pitch may come again and again."""
    hz, power = signal.welch(_rendered(name).mean(axis=1), RATE, nperseg=16_384)
    inside = (hz > 150.0) & (hz < 10_000.0)
    grid = np.geomspace(150.0, 10_000.0, 300)
    level = 10 * np.log10(np.interp(grid, hz[inside], power[inside]))
    around = signal.medfilt(level, 41)  # an octave
    assert np.max(level[20:-20] - around[20:-20]) < 5.0


def test_a_seed_decides_everything() -> None:
    for name in ("rain", "fire"):
        generator = GENERATORS[name]
        first = generator.render(16_000, seed=1, seconds=5.0)
        assert np.array_equal(first, generator.render(16_000, seed=1, seconds=5.0))
        assert not np.array_equal(first, generator.render(16_000, seed=2, seconds=5.0))


@pytest.mark.parametrize("name", GENERATORS)
def test_it_does_not_repeat_within_itself(name: str) -> None:
    # Crickets and drips keep time; their pulses match, whole seconds may not.
    mono = _rendered(name).mean(axis=1)
    second = mono[5 * RATE : 6 * RATE]
    matches = np.abs(signal.correlate(mono, second, "valid", method="fft"))
    cumulative = np.concatenate([[0.0], np.cumsum(mono.astype(np.float64) ** 2)])
    power = np.sqrt((cumulative[RATE:] - cumulative[:-RATE]) * np.sum(second**2))
    likeness = matches / (power + 1e-9)
    likeness[4 * RATE : 6 * RATE] = 0.0
    assert np.max(likeness) < 0.8


def test_all_last_a_minute_or_more() -> None:
    assert len(GENERATORS) >= 12
    assert all(g.seconds >= 60.0 for g in GENERATORS.values())
    for a, b in itertools.combinations(("rain-light", "rain", "rain-heavy"), 2):
        assert GENERATORS[a].module == GENERATORS[b].module


def test_rain_hisses_higher_when_light_and_hardly_wavers() -> None:
    centroids = []
    for name in ("rain-light", "rain", "rain-heavy"):
        hz, power = _spectrum(name)
        centroids.append(np.sum(hz * power) / np.sum(power))
        assert _share(name, 500.0, 16_000.0) > 0.8
        assert np.ptp(short_term_lufs(_rendered(name), RATE)) < 3.0
    assert centroids[0] > centroids[1] > centroids[2]
    # Bubbles of small drops are heard in light rain, and the body of coarse ones.
    assert _share("rain-light", 8_000.0, 21_000.0) > 0.02
    assert all(_share(f"rain{kind}", 250.0, 1_500.0) > 0.2 for kind in ("", "-light"))
    assert centroids[1] < 3_000.0


def test_wind_falls_steeply_and_gusts_like_turbulence() -> None:
    assert -10.0 < _slope_db("wind", 300.0, 4_000.0) < -4.0
    level = 10 * np.log10(_envelope("wind", 100.0, 600.0, 20))
    hz, power = signal.periodogram(level, 20.0)
    inside = (hz > 0.08) & (hz < 1.5)
    slope = np.polyfit(np.log(hz[inside]), np.log(power[inside] + 1e-9), 1)[0]
    assert -2.4 < slope < -0.8  # -5/3, give or take what 40 s can tell
    assert 1.0 < np.std(level) < 6.0


def test_waves_come_every_six_to_eleven_seconds() -> None:
    surf = _envelope("waves", 200.0, 2_000.0, 10)
    smooth = np.convolve(surf, np.ones(10) / 10, "same")
    peaks, _ = signal.find_peaks(smooth, distance=40, prominence=0.1 * np.ptp(smooth))
    periods = np.diff(peaks) / 10.0
    assert len(peaks) >= 3
    assert 5.0 < np.median(periods) < 13.0
    assert -7.0 < _slope_db("waves", 150.0, 6_000.0) < -2.5


def _modulation_db(name: str, low_hz: float, high_hz: float) -> float:
    """Power of a sound's own level at some rates, in dB of its mean."""
    level = np.sqrt(_envelope(name, 150.0, 6_000.0, 40))
    rates, power = signal.periodogram(level / np.mean(level), 40.0, "hann")
    inside = (rates >= low_hz) & (rates < high_hz)
    return float(10 * np.log10(np.sum(power[inside]) * rates[1]))


def test_waves_wash_in_gusts_a_second_or_less_apart() -> None:
    assert _modulation_db("waves", 1.0, 3.0) > -16.0
    assert _modulation_db("waves", 1.0, 3.0) > _modulation_db("wind", 1.0, 3.0) + 4.0


def test_a_stream_babbles_between_bubbles_of_all_sizes() -> None:
    assert _share("stream", 400.0, 6_500.0) > 0.7
    fast = _envelope("stream", 500.0, 4_000.0, 200)
    assert np.std(fast) / np.mean(fast) > 0.5  # noise of this band would give 0.2
    assert np.std(_level_db("stream", 1.0)) < 1.5


def test_a_waterfall_is_steady_and_deeper_than_a_stream() -> None:
    assert np.std(_level_db("waterfall", 1.0)) < 0.7
    assert _share("waterfall", 20.0, 250.0) > 4 * _share("stream", 20.0, 250.0)
    assert -6.0 < _slope_db("waterfall", 500.0, 8_000.0) < -1.0


def test_thunder_rumbles_below_a_hundred_hertz_and_rolls_on() -> None:
    hz, power = _spectrum("thunder")
    assert 25.0 < hz[np.argmax(power)] < 120.0
    level = 10 * np.log10(_envelope("thunder", 30.0, 120.0, 2))
    loud = level > np.max(level) - 15.0
    longest = max(len(list(run)) for on, run in itertools.groupby(loud) if on)
    assert 3.0 < longest / 2.0 < 30.0
    # It darkens: the treble of a rumble is over before its bass.
    treble = _envelope("thunder", 250.0, 800.0, 2)
    treble -= np.quantile(treble, 0.1)  # the rain's share
    bass = _envelope("thunder", 30.0, 90.0, 2)
    start = int(np.argmax(bass))
    tail = slice(start + 6, start + 12)
    head = slice(max(0, start - 1), start + 3)
    assert np.mean(treble[tail]) / np.mean(treble[head]) < 1.2 * (
        np.mean(bass[tail]) / np.mean(bass[head])
    )


def test_fire_roars_and_crackles() -> None:
    assert -10.0 < _slope_db("fire", 250.0, 1_000.0) < -4.0  # f^-2.5 is -7.5
    treble = _envelope("fire", 2_000.0, 12_000.0, 200)
    pops = treble > 10 * np.median(treble)
    rate = np.count_nonzero(np.diff(pops.astype(int)) > 0) / SHORT_S
    assert 1.0 < rate < 15.0
    sizes = np.sort(treble[pops])[::-1]
    assert sizes[0] > 10 * np.median(sizes)  # of all sizes, as a power law gives


def test_crickets_chirp_at_their_carrier_and_rate() -> None:
    hz, power = _spectrum("night")
    high = hz > 4_000.0
    assert 4_300.0 < hz[high][np.argmax(power[high])] < 5_100.0
    middle = (hz > 2_500.0) & (hz < 4_000.0)
    assert 2_700.0 < hz[middle][np.argmax(power[middle])] < 3_500.0
    envelope = _envelope("night", 4_200.0, 5_200.0, 400)
    rates, depth = signal.welch(envelope / np.mean(envelope), 400.0, nperseg=2048)
    syllables = (rates > 20.0) & (rates < 60.0)
    assert 24.0 < rates[syllables][np.argmax(depth[syllables])] < 35.0
    chirps = (rates > 1.0) & (rates < 5.0)
    assert np.max(depth[chirps]) > 3 * np.median(depth[(rates > 8.0) & (rates < 18.0)])


def test_leaves_rustle_in_the_treble_with_the_wind() -> None:
    rustle = _envelope("leaves", 2_000.0, 8_000.0, 4)
    wind = _envelope("leaves", 80.0, 400.0, 4)
    smooth = np.ones(6) / 6
    together = np.corrcoef(
        np.convolve(np.log(rustle), smooth, "valid"),
        np.convolve(np.log(wind), smooth, "valid"),
    )[0, 1]
    assert together > 0.3
    assert _share("leaves", 1_500.0, 9_000.0) > 0.3


def test_drips_ring_out_over_seconds() -> None:
    envelope = 10 * np.log10(_envelope("drips", 600.0, 4_000.0, 100))
    peaks, _ = signal.find_peaks(envelope, prominence=6.0, distance=20)
    assert 0.5 < len(peaks) / SHORT_S < 6.0
    falls = [envelope[p] - envelope[p + 40] for p in peaks if p + 40 < len(envelope)]
    # 60 dB in about 3 s is 8 dB in 0.4 s, more where the dry drop stands out.
    assert 4.0 < np.median(falls) < 22.0


def test_snow_swallows_the_treble() -> None:
    assert _share("snow", 3_000.0, 22_050.0) < 0.02
    assert np.std(_level_db("snow", 1.0)) < 2.5


def test_snow_is_no_wind() -> None:
    edges = np.geomspace(40.0, 8_000.0, 24)
    snow, wind = (
        np.array([_share(name, low, high) for low, high in pairwise(edges)])
        for name in ("snow", "wind")
    )
    assert np.mean(np.abs(10 * np.log10(snow / wind))) > 8.0
    assert _share("snow", 20.0, 250.0) < 0.05 < 0.5 < _share("wind", 20.0, 250.0)
    # Flakes, not noise: the level of a band leaps within hundredths of a second.
    grains = _envelope("snow", 400.0, 1_600.0, 100)
    breeze = _envelope("wind", 400.0, 1_600.0, 100)
    assert np.std(np.diff(np.log(grains))) > 1.15 * np.std(np.diff(np.log(breeze)))


def test_birds_whistle_between_two_and_six_kilohertz_with_pauses() -> None:
    song = _envelope("birds", 1_800.0, 6_500.0, 20)
    assert np.quantile(song, 0.98) > 8 * np.quantile(song, 0.2)
    hz, power = signal.welch(_rendered("birds")[:, 0], RATE, nperseg=8192)
    inside = (hz > 1_500.0) & (hz < 7_000.0)
    floor = signal.medfilt(10 * np.log10(power[inside]), 101)
    assert np.max(10 * np.log10(power[inside]) - floor) > 3.0
