"""Powers and levels of a channel over time: in frames, bands and blocks."""

import numpy as np
from numpy.typing import NDArray

from model.config import SAMPLE_RATE

Channel = NDArray[np.float64]  # (n_samples,)


def frame_power(channel: Channel, window: int, hop: int) -> NDArray[np.float64]:
    """Power spectra of frames that lie within the clip, shape (n_frames, n_bins)."""
    frames = np.lib.stride_tricks.sliding_window_view(channel, window)[::hop]
    spectra = np.fft.rfft(frames * np.hanning(window), axis=1)
    power: NDArray[np.float64] = spectra.real**2 + spectra.imag**2
    return power


def band_power(
    channels: list[Channel], edges_hz: NDArray[np.float64], window: int, hop: int
) -> NDArray[np.float64]:
    """Power of all channels in bands over time, shape (n_bands, n_frames)."""
    edges = np.unique(np.round(edges_hz * window / SAMPLE_RATE).astype(np.intp))
    bands: NDArray[np.float64] = np.sum(
        [
            np.add.reduceat(frame_power(channel, window, hop), edges, axis=1)[:, :-1]
            for channel in channels
        ],
        axis=0,
    ).T
    return bands


def lifted_db(power: NDArray[np.float64], range_db: float) -> NDArray[np.float64]:
    """Levels of bands over a floor that is added to all: weak ones hardly waver."""
    floor = np.max(np.mean(power, axis=1)) * 10.0 ** (-range_db / 10.0)
    levels: NDArray[np.float64] = 10.0 * np.log10(power + floor + 1e-20)
    return levels


def sides_db(level_db: NDArray[np.float64], gap: int, side: int) -> NDArray[np.float64]:
    """How far the means of `side` frames are apart, before and after a gap of frames.

    Args:
        level_db: of bands over time, shape (n_frames, n_bands).
        gap: frames between the sides.
        side: frames on each of them.
    """
    sums = np.cumsum(np.pad(level_db, ((1, 0), (0, 0))), axis=0)
    means = (sums[side:] - sums[:-side]) / side
    apart: NDArray[np.float64] = np.abs(means[side + gap :] - means[: -side - gap])
    return apart


def block_levels_db(channel: Channel, length: int) -> NDArray[np.float64]:
    """Level of each block of `length` samples, in dB of full scale."""
    power = np.mean(in_blocks(channel, length) ** 2, axis=1)
    levels: NDArray[np.float64] = 10.0 * np.log10(power + 1e-12)
    return levels


def in_blocks(values: Channel, length: int) -> NDArray[np.float64]:
    """Values by blocks of `length`, shape (n_blocks, length); the rest is left out."""
    n = len(values) // length
    return values[: n * length].reshape(n, length)
