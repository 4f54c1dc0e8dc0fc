"""Levels: how loud each moment of a song will be, decided before it is heard.

The five sounds of a song get a level each, and the way between two sounds goes from one
level to the other. Every frame is brought to the level of its moment, whatever wiggle
and tuning make of its spectrum, so the loudness of the whole song is known when it is
composed.
"""

import numpy as np
from numpy.typing import NDArray

from engine.compose.path import SongPath

FADE_IN_S, FADE_OUT_S = 3.0, 8.0  # of a stream with an end, at most
LOWEST_LU, HIGHEST_LU = -12.0, 6.0  # of a sound beside its song, before `dynamics`
GATE = 0.1  # of the mean power: what is softer does not count in BS.1770-5
BLOCK_S = 0.4

Values = NDArray[np.float64]


def fade_lengths(duration: float) -> tuple[float, float]:
    """Seconds of the fades at both ends of a stream of `duration` seconds."""
    longest = duration / 8.0
    return min(FADE_IN_S, longest), min(FADE_OUT_S, longest)


def plan_levels(
    loudness: Values,
    path: SongPath,
    duration: float,
    dynamics: float,
    fades: tuple[float, float] = (0.0, 0.0),
) -> Values:
    """Level of each of the five sounds against the song's target, in LU.

    Differences from the song's middle are kept by the share `dynamics`, and limited.
    All are moved together so that the song, faded at its ends, meets its target in
    integrated loudness with the relative gate of ITU-R BS.1770-5.

    Args:
        loudness: of A..E as they are decoded, LUFS, shape (5,).
        path: of the song.
        duration: seconds.
        dynamics: 0..1.
        fades: seconds of silence rising at the start, and falling at the end.

    Returns:
        Shape (5,).
    """
    blocks = max(8, int(duration / BLOCK_S))
    seconds = np.asarray((np.arange(blocks) + 0.5) * (duration / blocks), np.float64)
    weights = path.weights(seconds)
    middle = float(np.median(weights @ loudness))
    levels = dynamics * np.clip(loudness - middle, LOWEST_LU, HIGHEST_LU)
    power = 10.0 ** (weights @ levels / 10.0) * _faded(seconds, duration, fades)
    counted = power[power > GATE * power.mean()]
    offset = -10.0 * np.log10(counted.mean())
    return np.asarray(levels + offset)


def _faded(seconds: Values, duration: float, fades: tuple[float, float]) -> Values:
    """Share of the power that the fades leave, quarter sines in amplitude."""
    rise = seconds / max(fades[0], 1e-9)
    fall = (duration - seconds) / max(fades[1], 1e-9)
    share = np.clip(np.minimum(rise, fall), 0.0, 1.0)
    return np.asarray(np.sin(0.5 * np.pi * share) ** 2)
