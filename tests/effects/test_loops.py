"""Loops of recordings close unheard, and what cannot be looped is refused."""

import numpy as np
import pytest
from numpy.typing import NDArray

from effects.audio.levels import Samples, peak_db, rms_db
from effects.generators import GENERATORS
from effects.shelf.loops import (
    BED_LUFS,
    Loop,
    LoopError,
    close_loop,
    loop_of,
    prepared_body,
    trim_points,
)
from effects.shelf.seams import seam_report
from tests.support import audio

RATE = 44_100
SOUNDS = ("rain-light", "wind", "waves", "stream", "fire", "night", "snow", "birds")


def _noise(seconds: float, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((int(seconds * RATE), 2))).astype(np.float32)


def _looped(samples: Samples, sample_rate: int, name: str = "") -> Loop:
    return loop_of(prepared_body(samples, sample_rate), sample_rate, name)


def _recording(name: str) -> Samples:
    """Twenty seconds out of the middle of a sound, with fades and silence around."""
    samples = 0.05 * GENERATORS[name].render(RATE, seed=5, seconds=30.0)
    piece = samples[4 * RATE : 24 * RATE].copy()
    ramp = np.linspace(0.0, 1.0, RATE)[:, None]
    piece[:RATE] *= ramp
    piece[-RATE:] *= ramp[::-1]
    silence = np.zeros((RATE // 2, 2))
    return np.concatenate([silence, piece, silence]).astype(np.float32)


@pytest.mark.parametrize("name", SOUNDS)
def test_a_prepared_loop_is_level_and_closes_unheard(name: str) -> None:
    loop = _looped(_recording(name), RATE, name)
    assert audio.lufs(loop.samples, RATE) == pytest.approx(BED_LUFS, abs=0.5)
    assert audio.true_peak_db(loop.samples, RATE) < -8.8
    report = seam_report(loop)
    assert report.is_good, report
    assert loop.seconds > 6.0


def _shifted(samples: Samples, kind: str) -> Samples:
    """The loop with a bad seam planted."""
    bad = samples.copy()
    n = 2 * RATE
    if kind == "step":
        bad[-1] = bad[0] + 5.0  # five times the RMS
    elif kind == "dip":
        bad[:n] *= 1.0 - 0.5 * np.hanning(n)[:, None].astype(np.float32)
    elif kind == "swell":
        bad[:n] *= 1.0 + 0.4 * np.hanning(n)[:, None].astype(np.float32)
    elif kind == "dull":
        smooth = np.stack([np.convolve(c, np.ones(8) / 8, "same") for c in bad.T], 1)
        bad[:n] = smooth[:n] * (rms_db_ratio(bad[:n], smooth[:n]))
    return bad


def rms_db_ratio(first: Samples, second: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(first**2) / np.mean(second**2)))


@pytest.mark.parametrize("kind", ["step", "dip", "swell", "dull"])
def test_planted_bad_seams_are_found(kind: str) -> None:
    samples = GENERATORS["waterfall"].render(RATE, seed=1, seconds=20.0)
    good = Loop("waterfall", samples, RATE, seam=2 * RATE)
    assert seam_report(good).is_good
    bad = Loop("waterfall", _shifted(samples, kind), RATE, seam=2 * RATE)
    assert not seam_report(bad).is_good


def test_the_ends_alone_would_be_a_worse_seam() -> None:
    # The level rises all through; only near places match.
    samples = _noise(24.0) * np.linspace(0.6, 1.4, 24 * RATE)[:, None]
    samples[10 * RATE : 14 * RATE] *= 0.8
    rising = samples.astype(np.float32)
    length = 3 * RATE
    naive = Loop("x", close_loop(rising, 0, 24 * RATE - length, length), RATE, length)
    found = _looped(rising, RATE)

    def change_db(loop: Loop) -> float:
        """Of the level, from before the crossfade to after it."""
        after = loop.samples[loop.seam : loop.seam + 2 * RATE]
        return abs(rms_db(loop.samples[-2 * RATE :]) - rms_db(after))

    assert change_db(found) < 0.8 * change_db(naive)


def test_a_periodic_sound_is_joined_in_phase() -> None:
    time_s = np.arange(20 * RATE) / RATE
    hum = 0.1 * np.sin(2 * np.pi * 110.3 * time_s) + 0.05 * np.sin(
        2 * np.pi * 331.7 * time_s
    )
    loop = _looped(hum[:, None].repeat(2, 1).astype(np.float32), RATE)
    around = np.roll(loop.samples, 2 * RATE, axis=0)[: loop.seam + 4 * RATE]
    windows = around[: len(around) // 4410 * 4410].reshape(-1, 4410 * 2)
    levels = 10 * np.log10(np.mean(windows**2, axis=1))
    assert np.ptp(levels) < 0.5


@pytest.mark.parametrize("seconds", [0.5, 2.0, 5.0, 8.0])
@pytest.mark.parametrize("shape", ["linear", "exponential", "sine"])
def test_fades_in_the_source_are_gone(seconds: float, shape: str) -> None:
    samples = _noise(30.0)
    n = int(seconds * RATE)
    position = np.linspace(0.0, 1.0, n)
    ramp = {
        "linear": position,
        "exponential": 10.0 ** (-3.0 * (1.0 - position)),
        "sine": np.sin(0.5 * np.pi * position),
    }[shape][:, None]
    samples[:n] *= ramp
    samples[-n:] *= ramp[::-1]
    start, end = trim_points(samples, RATE)
    body = samples[start:end]
    for ends in (body, body[::-1]):
        first, second = rms_db(ends[:RATE]), rms_db(ends[RATE : 2 * RATE])
        assert abs(first - second) < 0.5
    assert end - start > 0.8 * (30.0 - 2 * seconds) * RATE


@pytest.mark.parametrize(("lead", "tail"), [(12.0, 0.0), (0.0, 40.0), (30.0, 30.0)])
def test_silence_at_the_ends_is_gone_however_long(lead: float, tail: float) -> None:
    rate = 44_100
    noise = 0.05 * np.random.default_rng(0).standard_normal((18 * rate, 2))
    ends = [np.zeros((int(seconds * rate), 2)) for seconds in (lead, tail)]
    recording = np.concatenate([ends[0], noise, ends[1]]).astype(np.float32)
    body = prepared_body(recording, rate)
    assert 17.5 < len(body) / rate < 18.2
    second = body[: rate * (len(body) // rate)].reshape(-1, rate, 2)
    assert np.std(second, axis=(1, 2)) == pytest.approx(0.05, rel=0.1)


def test_a_steady_sound_is_not_trimmed() -> None:
    samples = _noise(12.0)
    start, end = trim_points(samples, RATE)
    assert end - start > 11.0 * RATE


def _clipped() -> Samples:
    return np.clip(20 * _noise(10.0), -1.0, 1.0).astype(np.float32)


def _offset_only() -> Samples:
    return np.full((10 * RATE, 2), 0.3, np.float32)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros((10 * RATE, 2), np.float32), "silent"),
        (np.zeros((0, 2), np.float32), "silent"),
        (np.ones((1, 1), np.float32), "clipped|short|offset"),
        (_noise(2.0), "too short"),
        (_clipped(), "clipped"),
        (_offset_only(), "offset|clipped"),
    ],
)
def test_what_cannot_loop_is_refused(samples: Samples, reason: str) -> None:
    with pytest.raises(LoopError, match=reason):
        _looped(samples, RATE)


@pytest.mark.parametrize("channels", [1, 4])
def test_any_channels_and_rate_give_a_stereo_loop(channels: int) -> None:
    rng = np.random.default_rng(1)
    samples = (0.1 * rng.standard_normal((12 * 8000, channels))).astype(np.float32)
    loop = _looped(samples, 8000)
    assert loop.samples.shape[1] == 2
    assert loop.samples.dtype == np.float32
    assert peak_db(loop.samples) < -8.8
