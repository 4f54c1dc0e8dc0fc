"""Gain ramps and crossfades that keep the power constant. Safe in the callback.

Two signals of equal power and correlation r, mixed with gains a and b, have the
power a^2 + b^2 + 2rab. A crossfade that keeps it at 1 is equal-power (sine and
cosine) for r = 0, and linear for r = 1.
"""

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples

LOWEST_CORRELATION = -0.9  # below, the gains that hold the power grow without bound


def equal_power_ramp(n_samples: int) -> NDArray[np.float32]:
    """Rising quarter sine, taken in the middle of each sample.

    Its square and the square of its reverse add up to 1.

    >>> ramp = equal_power_ramp(4)
    >>> bool(np.allclose(ramp**2 + ramp[::-1] ** 2, 1.0))
    True
    """
    ramp = np.sin(0.5 * np.pi * _positions(n_samples))
    return ramp.astype(np.float32)


def fade_in(samples: Samples, n_samples: int) -> Samples:
    """A copy that rises from silence over its first `n_samples`, equal-power."""
    faded = samples.copy()
    n = min(n_samples, len(faded))
    faded[:n] *= equal_power_ramp(n)[:, None]
    return faded


def fade_out(samples: Samples, n_samples: int) -> Samples:
    """A copy that falls to silence over its last `n_samples`, equal-power."""
    faded = samples.copy()
    n = min(n_samples, len(faded))
    if n:
        faded[-n:] *= equal_power_ramp(n)[::-1, None]
    return faded


def crossfade_gains(
    n_samples: int, correlation: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gains that hold the power of a mix of two signals of this correlation.

    Args:
        n_samples: length of the crossfade.
        correlation: of the two signals, -0.9..1; 0 is equal-power, 1 linear.

    Returns:
        Falling and rising gains, float32 of shape (n_samples,), mirror images.

    Raises:
        ValueError: the correlation is out of range.
    """
    if not LOWEST_CORRELATION <= correlation <= 1.0:
        raise ValueError(f"correlation must be within -0.9..1, got {correlation}")
    position = _positions(n_samples)
    # The angle decides the ratio b/a. Between pi/2 t (a quarter sine at r = 0) and
    # atan(t / (1 - t)) (a straight line at r = 1).
    weight = max(0.0, correlation)
    angle = (1.0 - weight) * 0.5 * np.pi * position
    angle += weight * np.arctan2(position, 1.0 - position)
    scale = 1.0 / np.sqrt(1.0 + correlation * np.sin(2.0 * angle))
    falling = np.cos(angle) * scale
    rising = np.sin(angle) * scale
    return falling.astype(np.float32), rising.astype(np.float32)


def correlation_of(first: Samples, second: Samples) -> float:
    """Normalised correlation of two equally long signals, -1..1; 0 for silence."""
    energy = float(np.vdot(first, first)) * float(np.vdot(second, second))
    if energy <= 0.0:
        return 0.0
    return float(np.clip(float(np.vdot(first, second)) / energy**0.5, -1.0, 1.0))


def crossfade(old: Samples, new: Samples) -> Samples:
    """Crossfade two signals over their whole length, with gains by their correlation.

    Signals in opposition are treated as uncorrelated: no crossfade can hold the
    power of what cancels without lifting both far above themselves.

    Args:
        old: shape (n_samples, channels).
        new: the same shape.

    Returns:
        The crossfade, the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    if old.shape != new.shape:
        raise ValueError(f"cannot crossfade shapes {old.shape} and {new.shape}")
    falling, rising = crossfade_gains(len(old), max(0.0, correlation_of(old, new)))
    return (old * falling[:, None] + new * rising[:, None]).astype(np.float32)


def _positions(n_samples: int) -> NDArray[np.float64]:
    return (np.arange(n_samples) + 0.5) / max(1, n_samples)
