"""The way from an old plan of the music into a new one, without a step in level.

Both plans are known where they meet, so the crossfade need not trust statistics: what
the mix lacks against a straight way from the old power to the new, because partials
happened to cancel, it is given back.
"""

import numpy as np
from numpy.typing import NDArray

from effects.audio.fades import correlation_of, crossfade_gains
from effects.audio.levels import Samples

SPLICE_S = 0.06  # length of the crossfade into a new plan
_SMOOTH_S = 0.01  # powers are means over about twice as long
_EDGE_S = 0.005  # within which the level is left alone, for a seamless start and end
_MOST = 4.0  # that a power is lifted or lowered


def splice(old: Samples, new: Samples, sample_rate: int) -> Samples:
    """`new`, with its beginning crossfaded from `old`; both start at the same sample.

    Args:
        old: layers of `synthesis.LAYERS`, shape (n, 2).
        new: the same of the new plan, shape (m, 2).
        sample_rate: Hz.

    Returns:
        An array like `new`; shorter crossfades where `old` or `new` is short.
    """
    length = min(round(SPLICE_S * sample_rate), len(old), len(new))
    if length:
        new = new.copy()
        new[:length] = _crossfade(old[:length], new[:length], sample_rate)
    return new


def _crossfade(old: Samples, new: Samples, sample_rate: int) -> Samples:
    n = len(old)
    falling, rising = crossfade_gains(n, max(0.0, correlation_of(old, new)))
    mixed = old * falling[:, None] + new * rising[:, None]
    window = max(1, round(_SMOOTH_S * sample_rate))
    was, becomes, mix = (_smoothed(_power(x), window) for x in (old, new, mixed))
    share = rising**2 / (falling**2 + rising**2)
    wanted = was + share * (becomes - was)
    lift = np.clip((wanted + 1e-12) / (mix + 1e-12), 1.0 / _MOST, _MOST)
    place = np.minimum(np.arange(n), np.arange(n)[::-1])
    inside = np.minimum(1.0, place / max(1.0, _EDGE_S * sample_rate))
    gain = 1.0 + (_smoothed(np.sqrt(lift), max(1, window // 2)) - 1.0) * inside
    return (mixed * gain[:, None]).astype(np.float32)


def _power(layers: Samples) -> NDArray[np.float64]:
    """Power of left and right together at each sample."""
    mid, side = layers.T.astype(np.float64)
    return np.asarray(mid * mid + side * side)


def _smoothed(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean over `window` samples, twice."""
    for _ in range(2):
        padded = np.pad(values, (window // 2 + 1, window - window // 2 - 1), "edge")
        total = np.cumsum(padded)
        values = (total[window:] - total[: len(values)]) / window
    return values
