"""Audio as arrays, and levels between decibels and amplitudes.

Audio is float32 of shape (n_samples, channels) everywhere; full scale is 1.0.
Safe in the callback: numpy only.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]

SILENCE_DB = -200.0  # level of digital silence, instead of -inf


def planar(n_samples: int, channels: int) -> Samples:
    """Silence whose channels lie one after another in memory, for quick arithmetic.

    Returns:
        Shape (n_samples, channels), as audio has everywhere.

    >>> planar(3, 2)[:, 0].flags.c_contiguous
    True
    """
    return np.zeros((channels, n_samples), np.float32).T


def db_to_amplitude(level_db: float) -> float:
    """Linear amplitude of a level in dB.

    >>> round(db_to_amplitude(-6.0), 4)
    0.5012
    """
    return float(10.0 ** (level_db / 20.0))


def db_to_power(level_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """Powers of levels in dB: an exponential, which is far quicker than a power of 10.

    >>> bool(np.allclose(db_to_power(np.array([-10.0, 0.0])), [0.1, 1.0]))
    True
    """
    power: NDArray[np.float64] = np.exp(np.log(10.0) / 10.0 * level_db)
    return power


def amplitude_to_db(amplitude: float) -> float:
    """Level in dB of a linear amplitude; `SILENCE_DB` for zero."""
    if amplitude <= 0.0:
        return SILENCE_DB
    return max(SILENCE_DB, float(20.0 * np.log10(amplitude)))


def peak_of(samples: Samples) -> float:
    """Highest sample magnitude; NaN if there is one. It makes no array."""
    return max(float(samples.max(initial=0.0)), -float(samples.min(initial=0.0)))


def peak_db(samples: Samples) -> float:
    """Highest sample magnitude in dBFS."""
    return amplitude_to_db(peak_of(samples))


def rms_db(samples: Samples) -> float:
    """Root mean square over all samples and channels in dBFS."""
    if samples.size == 0:
        return SILENCE_DB
    mean_square = float(np.mean(np.square(samples, dtype=np.float64)))
    return amplitude_to_db(mean_square**0.5)
