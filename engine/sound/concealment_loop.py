"""The concealment: the last timbre without end, for when the music is late.

One inverse FFT gives a loop of its whole length without a seam: longer than any pause
that is likely, and without an event to know it by. Partials stand still in it, and its
level is kept even, since what chance makes swell once would swell again.
"""

import numpy as np
from numpy import fft
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.audio.transforms import inverse_real_fft
from engine.sound.frames import mid_and_side
from engine.sound.partials import peak_centres, split_tonal
from engine.sound.synthesis import N_LAYERS
from model.config import AXIS, Axis
from model.spectrum import bin_power

LOOP_S = 14.0
LEVEL_S = 1.0  # over so long is the level even
_STEP_S = 0.1
_MOST = 4.0  # that a power is lifted or lowered for it
_APART = 64  # bins between those for which the stereo field is computed
_ONE = np.float32(1.0)
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
    phases = rng.random(drawn, np.float32)[:n] * np.float32(2.0 * np.pi)
    signs = np.where(rng.random(drawn, np.float32)[:n] < 0.5, -_ONE, _ONE)
    # A bin holding amplitude a*sqrt(N)/2 gives a sinusoid of a, power a²/2.
    amplitude = np.sqrt(power[:n].astype(np.float32))
    amplitude *= np.float32(np.sqrt(length / 2.0))
    amplitude[0] = 0.0
    cosine, sine = amplitude * np.cos(phases), amplitude * np.sin(phases)
    # What goes to mid and side changes slowly over frequency.
    places = np.arange(0.0, n + _APART, _APART)
    mid, side = mid_and_side(places * (float(sample_rate) / length))
    to_mid = np.interp(np.arange(n), places, mid).astype(np.float32)
    to_side = np.interp(np.arange(n), places, side).astype(np.float32) * signs
    # The side stands at right angles to the mid, before or behind it: left and right
    # then have the power asked for, in every bin. One layer at a time: a loop
    # is large, and this is done again and again while music plays.
    layers = np.empty((N_LAYERS, length), np.float32)
    spectrum = np.zeros(length // 2 + 1, np.complex64)
    parts = (cosine, sine, to_mid), (-sine, cosine, to_side)
    for layer, (real, imaginary, weight) in zip(layers, parts, strict=True):
        np.multiply(real, weight, out=spectrum.real[:n])
        np.multiply(imaginary, weight, out=spectrum.imag[:n])
        inverse_real_fft(spectrum, length, layer)
    return layers.T


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
    steps = loop.T.reshape(N_LAYERS, -1, step)
    power = np.einsum("kij,kij->i", steps, steps).astype(np.float64)
    window = np.zeros(len(power))
    around = round(0.5 * LEVEL_S / _STEP_S)
    window[np.arange(-around, around + 1)] = 1.0 / (2 * around + 1)
    smooth = fft.irfft(fft.rfft(power) * fft.rfft(window), len(power))
    lift = np.clip(power.mean() / np.maximum(smooth, 1e-20), 1.0 / _MOST, _MOST)
    gain = np.sqrt(lift)
    gain /= np.sqrt(np.mean(lift * power) / max(power.mean(), 1e-300) + 1e-20)
    # From the middle of a step to the middle of the next, around the loop.
    gain = gain.astype(np.float32)[:, None]
    way = np.arange(step, dtype=np.float32) / np.float32(step)
    from_middle = gain + (np.roll(gain, -1) - gain) * way
    loop *= np.roll(from_middle.reshape(-1), step // 2)[:, None]
    return loop
