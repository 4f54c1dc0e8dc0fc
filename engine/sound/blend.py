"""Frames to an endless stream: overlapped by half, at constant power.

Neighbouring frames of noise are uncorrelated, so a linear crossfade of them would
dip by 3 dB in the middle of every hop; the tonal parts, while a sound holds, are
nearly the same signal, so an equal-power crossfade of those would swell by 3 dB. The
crossfade for signals of correlation r keeps a² + b² + 2rab = 1.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from effects.fades import crossfade_gains
from effects.levels import Samples
from engine.sound.synthesis import Frame

LOWEST_CORRELATION = -0.5  # below, holding the power would lift what cancels by 3 dB
_STEPS = 10  # of correlation within 0..1; gains are kept at each, and mixed between
_LOW_AND_HIGH = (slice(0, None, 2), slice(1, None, 2))  # layers, as in `LAYERS`


def blend(previous: Frame, current: Frame) -> Samples:
    """The hop in which `previous` fades out and `current` fades in.

    Partials that move by less than a bin or two beat with what they were, by chance
    together or against each other: so the correlation of the tonal parts is measured,
    below and above the crossover.

    Both frames are two hops long; returns shape (hop_length, 4).
    """
    hop = len(current.noise) // 2
    fade_out, fade_in = _kept_gains(hop, 0)
    hop_samples = previous.noise[hop:] * fade_out
    hop_samples += current.noise[:hop] * fade_in
    for layers in _LOW_AND_HIGH:
        old, new = previous.tonal[hop:, layers], current.tonal[:hop, layers]
        fade_out, fade_in = _gains(hop, _correlation(old, new))
        hop_samples[:, layers] += old * fade_out
        hop_samples[:, layers] += new * fade_in
    return hop_samples


def _correlation(old: Samples, new: Samples) -> float:
    """Of two signals against their mean power."""
    power = float(np.vdot(old, old)) + float(np.vdot(new, new))
    correlation = 2.0 * float(np.vdot(old, new)) / max(power, 1e-30)
    return min(1.0, max(LOWEST_CORRELATION, correlation))


def _gains(
    hop_length: int, correlation: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gains between those of the neighbouring steps: without a jump anywhere."""
    step = min(int(np.floor(_STEPS * correlation)), _STEPS - 1)
    share = np.float32(_STEPS * correlation - step)
    lower = _kept_gains(hop_length, step)
    upper = _kept_gains(hop_length, step + 1)
    fade_out, fade_in = (a + share * (b - a) for a, b in zip(lower, upper, strict=True))
    return fade_out, fade_in


@lru_cache(maxsize=32)
def _kept_gains(
    hop_length: int, step: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    fade_out, fade_in = crossfade_gains(hop_length, step / _STEPS)
    return fade_out[:, None], fade_in[:, None]
