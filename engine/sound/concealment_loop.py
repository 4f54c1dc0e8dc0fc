"""The concealment: the last timbre without end, for when the music is late.

One inverse FFT gives a loop of its whole length without a seam: longer than any pause
that is likely, and without an event to know it by. Partials stand still in it, and its
level is kept even, since what chance makes swell once would swell again.
"""

import numpy as np
from numpy import fft
from numpy.typing import NDArray

from effects.audio.levels import Samples
from engine.sound.frames import mid_and_side
from engine.sound.partials import peak_centres, split_tonal
from engine.sound.synthesis import N_LAYERS
from model.config import AXIS, Axis
from model.spectrum import bin_power

LOOP_S = 14.0
LEVEL_S = 1.0  # over so long is the level even
_STEP_S = 0.1
_MOST = 4.0  # that a power is lifted or lowered for it
_DEPTH_DB = 60.0  # below the highest band, what differs is not heard

Powers = NDArray[np.float64]


def concealment_loop(
    band_power: Powers,
    *,
    sample_rate: int,
    clarity: float,
    rng: np.random.Generator,
    axis: Axis = AXIS,
) -> Samples:
    """A sound as a seamless loop, in the layers of `synthesis.LAYERS`.

    Args:
        band_power: of each channel, shape (n_bands,), full scale = 1.0.
        sample_rate: Hz.
        clarity: 0..1, as of the music.
        rng: for the phases.
        axis: the bands.

    Returns:
        Shape (n, 2), about `LOOP_S` long.
    """
    step = round(_STEP_S * sample_rate)
    length = round(LOOP_S / _STEP_S) * step
    noise_bands, tonal_bands = split_tonal(band_power, clarity)
    power = bin_power(noise_bands, length, sample_rate, axis)
    # Each partial stands in one bin: in two it would beat once in the whole loop.
    centre, gathered = peak_centres(tonal_bands)
    hertz = np.interp(centre, np.arange(axis.n_bands), axis.centres)
    bins = np.round(hertz * length / sample_rate).astype(np.intp)
    inside = bins < len(power) - 1
    np.add.at(power, bins[inside], gathered[inside])
    return _evened(_layers(power, length, sample_rate, rng), step)


def _layers(
    power: Powers, length: int, sample_rate: int, rng: np.random.Generator
) -> Samples:
    """One period of noise with this power in each bin, shape (length, 2)."""
    drawn = int(length / sample_rate * AXIS.high_hz) + 1  # the same at any rate
    n = min(drawn, len(power) - 1)
    hertz = np.arange(n, dtype=np.float64) * (sample_rate / length)
    phases = rng.random(drawn, np.float32)[:n] * np.float32(2.0 * np.pi)
    signs = np.where(rng.random(drawn, np.float32)[:n] < 0.5, -1.0, 1.0)
    # A bin holding amplitude a*N/2 gives a sinusoid of amplitude a, power a²/2.
    whole = (length / 2.0) * np.sqrt(2.0 * power[:n]) * np.exp(1j * phases)
    whole[0] = 0.0
    to_mid, to_side = mid_and_side(hertz)
    # The side stands at right angles to the mid, before or behind it: left and right
    # then have exactly the power asked for, in every bin. One layer at a time: a loop
    # is large, and this is done again and again while music plays.
    layers = np.empty((length, N_LAYERS), np.float32)
    spectrum = np.zeros(length // 2 + 1, np.complex64)
    for column, layer in enumerate((to_mid * whole, 1j * signs * to_side * whole)):
        spectrum[:n] = layer
        layers[:, column] = fft.irfft(spectrum, length)
    return layers


def unlikeness(first: Powers, second: Powers) -> float:
    """Root mean square difference of two spectra in dB, whatever their level.

    Args:
        first: band powers, shape (n_bands,).
        second: the same of another sound.
    """
    highest = max(float(first.max()), float(second.max()), 1e-20)
    floor = highest * 10.0 ** (-_DEPTH_DB / 10.0)
    ratio = 10.0 * np.log10((first + floor) / (second + floor))
    return float(np.sqrt(np.mean((ratio - np.median(ratio)) ** 2)))


def _evened(loop: Samples, step: int) -> Samples:
    """The loop with an even level; `step` is a whole part of its length."""
    steps = loop.reshape(-1, step * loop.shape[1])
    power = np.einsum("ij,ij->i", steps, steps, dtype=np.float64) / steps.shape[1]
    window = np.zeros(len(power))
    around = round(0.5 * LEVEL_S / _STEP_S)
    window[np.arange(-around, around + 1)] = 1.0 / (2 * around + 1)
    smooth = fft.irfft(fft.rfft(power) * fft.rfft(window), len(power))
    lift = np.clip(power.mean() / np.maximum(smooth, 1e-20), 1.0 / _MOST, _MOST)
    middles = (np.arange(len(power)) + 0.5) * step
    gain = np.interp(np.arange(len(loop)), middles, np.sqrt(lift), period=len(loop))
    gain /= np.sqrt(np.mean(lift * power) / max(power.mean(), 1e-300) + 1e-20)
    loop *= gain.astype(np.float32)[:, None]
    return loop
