"""Loudness (LUFS) and true peak (dBTP) of a recording, and normalising to both."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from effects.audio.levels import (
    SILENCE_DB,
    Samples,
    amplitude_to_db,
    db_to_amplitude,
    peak_db,
    peak_of,
)

SHORTEST_S = 0.4  # one gating block of ITU-R BS.1770-5
WINDOW_S = 3.0  # short-term loudness, EBU Tech 3341
PHASES = 4
TAPS = 32  # per phase; the standard's 12 are meant for meters, not for files
CHUNK = 1 << 15
MOST_OVERSHOOT_DB = 6.0


def integrated_lufs(samples: Samples, sample_rate: int) -> float:
    """Integrated loudness with gating (ITU-R BS.1770-5).

    What is shorter than one gating block (0.4 s) is repeated to fill it.

    Args:
        samples: shape (n_samples, channels).
        sample_rate: Hz.

    Returns:
        LUFS; `SILENCE_DB` for silence, or nothing at all.
    """
    if samples.size == 0 or not np.any(samples):
        return SILENCE_DB
    shortest = int(SHORTEST_S * sample_rate) + 1
    if len(samples) < shortest:
        samples = np.tile(samples, (-(-shortest // len(samples)), 1))
    with np.errstate(divide="ignore"):
        level = float(_meter(sample_rate).integrated_loudness(samples))
    return level if np.isfinite(level) else SILENCE_DB


def short_term_lufs(
    samples: Samples, sample_rate: int, hop_s: float = 1.0, window_s: float = WINDOW_S
) -> NDArray[np.float64]:
    """Loudness of windows of 3 s, ungated (EBU Tech 3341).

    Args:
        samples: shape (n_samples, channels).
        sample_rate: Hz.
        hop_s: time between windows.
        window_s: length of a window; 0.4 gives momentary loudness.

    Returns:
        LUFS, shape (n_windows,); empty if shorter than one window.
    """
    window, hop = int(window_s * sample_rate), max(1, int(hop_s * sample_rate))
    if len(samples) < window:
        return np.zeros(0)
    weighted = samples.astype(np.float64)
    for stage in _meter(sample_rate)._filters.values():
        for channel in range(weighted.shape[1]):
            weighted[:, channel] = stage.apply_filter(weighted[:, channel])
    energy = np.concatenate([[0.0], np.cumsum(np.sum(weighted**2, axis=1))])
    starts = np.arange(0, len(samples) - window + 1, hop)
    mean_square = np.maximum(energy[starts + window] - energy[starts], 0.0) / window
    levels: NDArray[np.float64] = -0.691 + 10.0 * np.log10(mean_square + 1e-20)
    return levels


def true_peak_db(samples: Samples, sample_rate: int, context: int = 0) -> float:
    """Highest level between and on the samples, 4x oversampled, in dBTP.

    ITU-R BS.1770-5 annex 2, with a longer filter. Above 192 kHz the samples
    themselves are dense enough.

    Args:
        samples: shape (n_samples, channels).
        sample_rate: Hz.
        context: samples at either end around which nothing is looked for. A piece of
            a stream needs `TAPS // 2`: where it is cut, the filter would ring.
    """
    if samples.size == 0:
        return SILENCE_DB
    peak = peak_of(samples)
    if sample_rate < 192_000:
        peak = max(peak, _peak_between(samples, context))
    return amplitude_to_db(peak)


def normalise(
    samples: Samples,
    sample_rate: int,
    target_lufs: float,
    ceiling_dbtp: float = -1.0,
    *,
    circular: bool = False,
) -> Samples:
    """Bring a recording to a loudness; peaks above the ceiling are limited.

    Args:
        samples: shape (n_samples, channels).
        sample_rate: Hz.
        target_lufs: integrated loudness wanted.
        ceiling_dbtp: true peak not to exceed; wins where both cannot be had.
        circular: the sound is a loop, its end flows into its start.

    Returns:
        A new array of the same shape; silence stays silence.
    """
    level = integrated_lufs(samples, sample_rate)
    if level <= SILENCE_DB:
        return samples.copy()
    gain_db = target_lufs - level
    for _ in range(4):  # limiting takes loudness, which the next round makes up
        louder = samples * np.float32(db_to_amplitude(gain_db))
        if peak_db(louder) + MOST_OVERSHOOT_DB <= ceiling_dbtp:
            return louder  # no need to look between the samples
        if true_peak_db(louder, sample_rate) <= ceiling_dbtp:
            return louder
        limited = _limit(louder, sample_rate, ceiling_dbtp, circular)
        missing = target_lufs - integrated_lufs(limited, sample_rate)
        if abs(missing) < 0.1:
            break
        gain_db += missing
    return limited


def _limit(
    samples: Samples, sample_rate: int, ceiling_db: float, circular: bool
) -> Samples:
    from effects.audio.limiter import Limiter

    limiter = Limiter(sample_rate, samples.shape[1], ceiling_db, max_block=65_536)
    # A loop is limited in its second round: the gain at its end meets its start.
    before = samples if circular else samples[:0]
    after = np.zeros((limiter.latency, samples.shape[1]), np.float32)
    if circular:
        after = np.resize(samples, after.shape).astype(np.float32)
    stream = np.concatenate([before, samples, after])
    limiter.process(stream)
    start = len(before) + limiter.latency
    return stream[start : start + len(samples)].copy()


def _peak_between(samples: Samples, context: int) -> float:
    """Highest magnitude between samples.

    It is looked for where a sample is at least half as high as the highest: what
    exceeds all samples around it by more than 6 dB is not audio.
    """
    magnitude = np.abs(samples)
    highest = float(np.max(magnitude))
    kernel = _interpolator()
    reach = kernel.shape[0] // 2
    peak = highest
    for number, channel in enumerate(samples.T):
        padded = np.pad(channel, reach)
        windows = sliding_window_view(padded, 2 * reach)
        inside = magnitude[context : len(magnitude) - context, number]
        places = context + np.flatnonzero(inside >= 0.5 * highest)
        for part in np.array_split(places, len(places) // CHUNK + 1):
            # The points after each sample, and those before it.
            for shift in (0, 1):
                between = np.abs(windows[part + shift] @ kernel)
                # A channel far below the other may have no sample half as high.
                peak = max(peak, float(np.max(between, initial=0.0)))
    return peak


@lru_cache(maxsize=1)
def _interpolator() -> NDArray[np.float32]:
    """Windowed sinc for the points between two samples, shape (TAPS, PHASES - 1)."""
    taps = np.arange(TAPS)[:, None] - (TAPS // 2 - 1)
    distance = taps - np.arange(1, PHASES)[None, :] / PHASES
    inside = np.sqrt(np.maximum(0.0, 1.0 - (distance / (TAPS / 2)) ** 2))
    kernel = np.sinc(distance) * np.i0(8.0 * inside) / np.i0(8.0)
    return np.asarray(kernel, np.float32)


def _meter(sample_rate: int) -> Any:
    import pyloudnorm

    return pyloudnorm.Meter(sample_rate)
