"""Frames to an endless stream: overlapped by half, at constant power.

Neighbouring frames of noise are uncorrelated, so a linear crossfade of them would
dip by 3 dB in the middle of every hop; the tonal parts, while a sound holds, are
nearly the same signal, so an equal-power crossfade of those would swell by 3 dB. The
crossfade for signals of correlation r keeps a² + b² + 2rab = 1.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.fades import crossfade_gains
from effects.audio.k_weighting import k_weighting
from effects.audio.levels import Samples, db_to_amplitude
from engine.sound.synthesis import Frame

HOLD_DB = 6.0  # by which chance between two frames is made up for, at most
LOWEST_CORRELATION = -0.5  # below, holding the power would lift what cancels by 3 dB
_STEPS = 10  # of correlation within 0..1; gains are kept at each, and mixed between
_LOW_AND_HIGH = (slice(0, None, 2), slice(1, None, 2))  # layers, as in `LAYERS`


def blend(previous: Frame, current: Frame, sample_rate: int) -> Samples:
    """The hop in which `previous` fades out and `current` fades in.

    Partials that move by less than a bin or two beat with what they were, by chance
    together or against each other: so the correlation of the tonal parts is measured,
    below and above the crossover. What still adds or cancels is made up for by a gain
    that comes and goes with the hop, so that its loudness is the mean of both frames'.

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
    _hold(hop_samples, (previous.weighted + current.weighted) / 2.0, sample_rate)
    return hop_samples


def _hold(hop_samples: Samples, wanted: float, sample_rate: int) -> None:
    """Bring a hop to this K-weighted mean square, and leave both its ends alone.

    The gain is 1 + c sin², so the energy is a quadratic in c.
    """
    hop = len(hop_samples)
    bump, response = _bump(hop), _response(hop, sample_rate)
    both = np.empty((2, hop), np.float32)  # mid and side
    for row, layers in zip(both, (hop_samples[:, :2], hop_samples[:, 2:]), strict=True):
        np.add(layers[:, 0], layers[:, 1], out=row)
    spectra = fft.rfft(both)
    spectra *= response
    weighted = fft.irfft(spectra, hop, overwrite_x=True)
    power = weighted[0] * weighted[0] + weighted[1] * weighted[1]
    lacking = hop * wanted - float(power.sum(dtype=np.float64))
    raised = power * bump
    once = float(raised.sum(dtype=np.float64))
    raised *= bump
    twice = float(raised.sum(dtype=np.float64))
    root = once**2 + twice * lacking
    c = (np.sqrt(max(0.0, root)) - once) / max(twice, 1e-30)
    most = db_to_amplitude(HOLD_DB)
    c = np.clip(c, 1.0 / most - 1.0, most - 1.0)
    hop_samples *= (np.float32(1.0) + np.float32(c) * bump)[:, None]


@lru_cache(maxsize=4)
def _bump(hop_length: int) -> NDArray[np.float32]:
    place = (np.arange(hop_length) + 0.5) / hop_length
    return np.asarray(np.sin(np.pi * place) ** 2, np.float32)


@lru_cache(maxsize=4)
def _response(hop_length: int, sample_rate: int) -> NDArray[np.float32]:
    weighting = k_weighting(fft.rfftfreq(hop_length, 1.0 / sample_rate))
    return np.sqrt(weighting).astype(np.float32)


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
