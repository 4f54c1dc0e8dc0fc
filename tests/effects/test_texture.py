"""Textures have the spectrum, image and movement of their recording, and no period."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from effects.audio.levels import Samples
from effects.generators import GENERATORS
from effects.shelf.loops import Loop, prepared_body
from effects.shelf.seams import seam_report
from effects.shelf.texture import (
    modulation_distance_db,
    suits,
    synthesise,
    take_apart,
    texture_of,
)
from tests.support import audio

RATE = 44_100
SHORT_S = 12


def _texture(samples: Samples, seconds: float) -> Loop:
    parts = take_apart(prepared_body(samples, RATE), RATE)
    return texture_of(parts, RATE, np.random.default_rng(1), "x", seconds)


def _recording(name: str) -> Samples:
    return 0.05 * GENERATORS[name].render(RATE, seed=3, seconds=20.0)[: SHORT_S * RATE]


def _autocorrelation(samples: Samples) -> NDArray[np.float64]:
    mono = samples.mean(axis=1).astype(np.float64)
    spectrum = np.fft.rfft(mono, 2 * len(mono))
    lags = np.fft.irfft(np.abs(spectrum) ** 2)[: len(mono)]
    return np.asarray(lags / lags[0], np.float64)


def test_ten_minutes_of_twelve_seconds_have_no_period() -> None:
    rate = 11_025
    recording = 0.05 * GENERATORS["stream"].render(rate, seed=3, seconds=20.0)
    recording = recording[: SHORT_S * rate]
    parts = take_apart(prepared_body(recording, rate), rate)
    texture = synthesise(parts, rate, np.random.default_rng(1), 600.0)
    assert len(texture) > 599 * rate
    around = _autocorrelation(texture)[11 * rate : 13 * rate]
    assert np.max(np.abs(around)) < 0.03
    # The measure finds the period of the recording merely repeated.
    repeated = _autocorrelation(np.tile(recording, (10, 1)))
    assert np.max(repeated[11 * rate : 13 * rate]) > 0.8


def test_a_texture_has_the_spectrum_image_and_level_of_its_source() -> None:
    recording = _recording("snow")
    texture = _texture(recording, 30.0)
    assert texture.mode == "texture"
    assert audio.lufs(texture.samples, RATE) == pytest.approx(-30.0, abs=0.5)
    hz, first = signal.welch(recording[:, 0], RATE, nperseg=1024)
    _, second = signal.welch(texture.samples[:, 0], RATE, nperseg=1024)
    inside = (hz > 60.0) & (hz < 8_000.0)
    difference = 10 * np.log10(first[inside] / second[inside])
    assert np.std(difference) < 1.5
    assert audio.correlation(texture.samples) == pytest.approx(
        audio.correlation(recording), abs=0.1
    )
    assert seam_report(texture).step <= 1.0


def test_events_are_found_and_scattered_anew() -> None:
    rng = np.random.default_rng(2)
    recording = (0.003 * rng.standard_normal((SHORT_S * RATE, 2))).astype(np.float32)
    time_s = np.arange(RATE // 4) / RATE
    call = np.sin(2 * np.pi * 2500 * time_s) * np.hanning(len(time_s))
    starts = [RATE, 3 * RATE, 6 * RATE, 10 * RATE]
    for start in starts:
        recording[start : start + len(call)] += 0.2 * call[:, None].astype(np.float32)
    parts = take_apart(recording, RATE)
    assert len(parts.events) == len(starts)
    texture = synthesise(parts, RATE, rng, 60.0)
    sections = signal.butter(4, (2_300, 2_700), "bandpass", fs=RATE, output="sos")
    heard = signal.sosfilt(sections, texture[:, 0])
    power = np.convolve(heard**2, np.ones(RATE // 10) / (RATE // 10), "same")
    peaks, _ = signal.find_peaks(power, height=1e-4, distance=RATE // 5)
    assert 12 <= len(peaks) <= 22  # 4 in 12 s are 20 in a minute, some side by side
    assert np.std(np.diff(peaks)) > 0.3 * np.mean(np.diff(peaks))


@pytest.mark.parametrize(
    ("name", "expected"), [("waterfall", True), ("snow", False), ("waves", False)]
)
def test_the_measure_tells_what_a_texture_can_stand_for(
    name: str, expected: bool
) -> None:
    recording = _recording(name)
    texture = _texture(recording, 20.0)
    assert suits(recording, texture) is expected


def test_noise_in_place_of_crickets_is_told_apart() -> None:
    crickets = _recording("night")
    noise = np.random.default_rng(1).standard_normal(crickets.shape)
    texture = _texture((0.1 * noise).astype(np.float32), 20.0)
    assert modulation_distance_db(crickets, texture) > 4.0
