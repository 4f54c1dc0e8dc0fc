"""Similarity of nature sounds, by their spectrum and by how their level moves.

A model's encoder compares spectra; modulation, which its input lacks, is compared here.
"""

from itertools import pairwise

import numpy as np
from numpy import fft
from numpy.typing import NDArray

from effects.shelf.loops import Loop

N_FEATURES = 30
FRAME_S = 0.02
BANDS_HZ = (80.0, 300.0, 1_000.0, 3_000.0, 8_000.0, 16_000.0)
RATES_HZ = (0.03, 0.15, 0.6, 2.4, 9.0, 25.0)


def modulation_features(loop: Loop) -> NDArray[np.float64]:
    """Depth of a loop's modulation in several bands, at rates from slow to fast.

    The level in five bands, 50 times a second, as a modulation spectrum (Singh and
    Theunissen, JASA 114, 2003), summed over octave-wide ranges of rate.

    Returns:
        Shape (30,): band by band spectrum level in dB relative to the whole (5), then
        depth of modulation in dB for 5 bands at 5 ranges of rate (25).
    """
    power = _band_power(loop)
    mean = power.mean(axis=0) + 1e-14
    spectrum = 10.0 * np.log10(mean / mean.sum())
    relative = power / mean - 1.0
    lines = np.abs(fft.rfft(relative, axis=0)) ** 2 / len(relative) ** 2 * 2.0
    rates = fft.rfftfreq(len(relative), FRAME_S)
    edges = np.searchsorted(rates, RATES_HZ)
    depth = [
        lines[low : max(low + 1, high)].sum(axis=0) for low, high in pairwise(edges)
    ]
    depth_db = 10.0 * np.log10(np.stack(depth, axis=1) + 1e-5)
    return np.concatenate([spectrum, depth_db.ravel()])


def similarity_matrix(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Similarity of effects from their features, 1 for equal, towards 0 for far.

    Each feature is scaled to unit spread, so that unlike units weigh alike.

    Args:
        features: shape (n, n_features), of any kind: `modulation_features`, latents,
            or both side by side.

    Returns:
        Shape (n, n), symmetric, 1 on the diagonal.
    """
    spread = np.std(features, axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    difference = scaled[:, None, :] - scaled[None, :, :]
    matrix: NDArray[np.float64] = np.exp(-np.sqrt(np.mean(difference**2, axis=-1)))
    return matrix


def _band_power(loop: Loop) -> NDArray[np.float64]:
    frame = max(1, int(FRAME_S * loop.sample_rate))
    mono = loop.samples.mean(axis=1)
    n = max(1, len(mono) // frame)
    padded = np.resize(mono, n * frame).reshape(n, frame)
    window = np.hanning(frame).astype(np.float32)
    spectra = fft.rfft(padded * window, axis=1)
    edges = np.searchsorted(fft.rfftfreq(frame, 1.0 / loop.sample_rate), BANDS_HZ)
    power = spectra.real**2 + spectra.imag**2
    bands = [
        power[:, low : max(low + 1, high)].sum(axis=1) for low, high in pairwise(edges)
    ]
    return np.stack(bands, axis=1).astype(np.float64)
