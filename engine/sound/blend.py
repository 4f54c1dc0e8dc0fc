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
from engine.sound.synthesis import Frame, tonal_correlation


def blend(previous: Frame, current: Frame) -> Samples:
    """The hop in which `previous` fades out and `current` fades in.

    Both frames are two hops long; returns shape (hop_length, 4).
    """
    hop = len(current.noise) // 2
    hop_samples = np.zeros((hop, current.noise.shape[1]), np.float32)
    for old, new, correlation in (
        (previous.noise, current.noise, 0.0),
        (previous.tonal, current.tonal, tonal_correlation(previous, current)),
    ):
        fade_out, fade_in = _gains(hop, round(50.0 * correlation) / 50.0)
        hop_samples += old[hop:] * fade_out
        hop_samples += new[:hop] * fade_in
    return hop_samples


@lru_cache(maxsize=24)
def _gains(
    hop_length: int, correlation: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    fade_out, fade_in = crossfade_gains(hop_length, correlation)
    return fade_out[:, None], fade_in[:, None]
