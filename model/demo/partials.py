"""Sounds written as partials and noise, and their rendering by one inverse FFT.

A partial of some width is a band of noise, Gaussian in frequency, as in Paul Nasca's
PADsynth: a held tone of many slightly moving voices. Each function below is one family
of instruments: what its partials are for a note.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.levels import Samples
from model.config import SAMPLE_RATE
from model.spectrum import CLIP_LENGTH

_N_FFT = 131_072  # 3 s, of which a clip is cut: bins of 0.34 Hz
_SPACING = SAMPLE_RATE / _N_FFT
_TOP_HZ = 18_000.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Partials:
    """Frequencies (Hz), amplitudes and widths (Hz, standard deviation), shape (n,)."""

    hertz: Array
    amplitude: Array
    width: Array


def harmonic(note: float, rng: np.random.Generator) -> Partials:
    """Additive: a harmonic series with a slope, odd or even, slightly stretched."""
    k = np.arange(1, 65, dtype=np.float64)
    slope = rng.uniform(0.7, 2.2)
    amplitude = k**-slope
    amplitude[1::2] *= rng.uniform(0.1, 1.0)
    amplitude *= np.exp(rng.normal(0.0, 0.5, len(k)))
    stretch = rng.uniform(0.0, 3e-4)
    return _spread(note * k * np.sqrt(1.0 + stretch * k**2), amplitude, rng, 1.5, 12.0)


def pad(note: float, rng: np.random.Generator) -> Partials:
    """PADsynth: a wide, soft harmonic series of detuned voices."""
    k = np.arange(1, 49, dtype=np.float64)
    amplitude = k ** -rng.uniform(1.0, 2.5) * np.exp(rng.normal(0.0, 0.3, len(k)))
    return _spread(note * k, amplitude, rng, 8.0, 60.0)


def organ(note: float, rng: np.random.Generator) -> Partials:
    """Drawbars: a few strong harmonics in octaves and fifths."""
    k = np.array([0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 12, 16])
    amplitude = rng.random(len(k)) ** 2 / np.sqrt(k)
    return _spread(note * k, amplitude, rng, 0.5, 4.0)


def bell(note: float, rng: np.random.Generator) -> Partials:
    """Inharmonic: sidebands of frequency modulation at an irrational ratio."""
    ratio = rng.choice([1.41, 1.73, 2.76, 3.51, 0.68, 2.24]) + rng.normal(0.0, 0.02)
    order = np.arange(-8, 9, dtype=np.float64)
    index = rng.uniform(0.5, 3.0)
    amplitude = (
        index ** np.abs(order) / _factorial(np.abs(order)) / 2.0 ** np.abs(order)
    )
    return _spread(np.abs(note * (1.0 + ratio * order)), amplitude, rng, 0.5, 3.0)


def glass(note: float, rng: np.random.Generator) -> Partials:
    """Bars and glasses: modes of a free bar (1, 2.76, 5.40, 8.93, 13.34)."""
    modes = np.array([1.0, 2.756, 5.404, 8.933, 13.345])
    modes = modes * np.exp(rng.normal(0.0, 0.01, len(modes)))
    amplitude = rng.uniform(0.3, 0.8) ** np.arange(5.0)
    return _spread(note * modes, amplitude, rng, 0.5, 3.0)


# First three formants (Hz) of sung vowels a, e, i, o, u (after Peterson and Barney,
# JASA 24, 1952: means over men).
VOWELS = np.array(
    [
        [730, 1090, 2440],
        [530, 1840, 2480],
        [270, 2290, 3010],
        [570, 840, 2410],
        [300, 870, 2240],
    ],
    np.float64,
)


def choir(note: float, rng: np.random.Generator) -> Partials:
    """Voices: a harmonic series under the formants of a vowel, in many throats."""
    k = np.arange(1, 65, dtype=np.float64)
    formants = VOWELS[rng.integers(len(VOWELS))] * rng.uniform(1.0, 1.2)
    hertz = note * k
    gain = np.full(len(k), 0.02)
    for strength, formant in zip((1.0, 0.6, 0.3), formants, strict=True):
        gain += strength / (1.0 + ((hertz - formant) / (0.1 * formant + 40.0)) ** 2)
    return _spread(hertz, gain / k**0.5, rng, 12.0, 35.0)


def bowed(note: float, rng: np.random.Generator) -> Partials:
    """Strings: a saw-tooth series through the resonances of a body."""
    k = np.arange(1, 81, dtype=np.float64)
    hertz = note * k
    resonances = np.exp(rng.uniform(np.log(150.0), np.log(5000.0), 8))
    gain = 0.3 + sum(
        rng.uniform(0.3, 2.0) / (1.0 + ((hertz - r) / (0.12 * r)) ** 2)
        for r in resonances
    )
    return _spread(hertz, gain / k ** rng.uniform(0.9, 1.5), rng, 5.0, 25.0)


def flute(note: float, rng: np.random.Generator) -> Partials:
    """Blown pipes: a strong fundamental, few harmonics."""
    k = np.arange(1, 9, dtype=np.float64)
    return _spread(note * k, rng.uniform(0.15, 0.5) ** (k - 1.0), rng, 3.0, 12.0)


FAMILIES: dict[str, Callable[[float, np.random.Generator], Partials]] = {
    "harmonic": harmonic,
    "pad": pad,
    "organ": organ,
    "bell": bell,
    "glass": glass,
    "choir": choir,
    "bowed": bowed,
    "flute": flute,
}


def render_partials(partials: list[Partials], rng: np.random.Generator) -> Samples:
    """Two seconds of these partials, shape (n_samples,)."""
    power = np.zeros(_N_FFT // 2 + 1)
    for sound in partials:
        audible = (sound.hertz > 25.0) & (sound.hertz < _TOP_HZ)
        for hertz, amplitude, width in zip(
            sound.hertz[audible],
            sound.amplitude[audible],
            sound.width[audible],
            strict=True,
        ):
            centre, sigma = hertz / _SPACING, max(width / _SPACING, 0.6)
            low = max(0, int(centre - 3.5 * sigma))
            bins = np.arange(low, min(int(centre + 3.5 * sigma) + 2, len(power)))
            line = np.exp(-0.5 * ((bins - centre) / sigma) ** 2)
            power[bins] += amplitude**2 * line / max(line.sum(), 1e-9)
    return _realise(power, rng)


def render_noise(slope_db: float, bumps: Array, rng: np.random.Generator) -> Samples:
    """Two seconds of noise: a slope per octave about 500 Hz, with broad bumps.

    Args:
        slope_db: dB per octave; negative falls.
        bumps: rows of centre (Hz), height (dB), width (octaves).
        rng: for the phases.
    """
    octaves = np.log2(np.maximum(np.arange(_N_FFT // 2 + 1) * _SPACING, 20.0) / 500.0)
    level_db = slope_db * np.maximum(octaves, -3.5)
    for hertz, height, width in bumps:
        distance = (octaves - np.log2(hertz / 500.0)) / width
        level_db += height * np.exp(-0.5 * distance**2)
    return _realise(10.0 ** (level_db / 10.0), rng)


def _spread(
    hertz: Array,
    amplitude: Array,
    rng: np.random.Generator,
    least_cents: float,
    most_cents: float,
) -> Partials:
    cents = np.exp(rng.uniform(np.log(least_cents), np.log(most_cents)))
    return Partials(hertz, amplitude, hertz * cents / 1731.0)


def _factorial(order: Array) -> Array:
    steps = np.concatenate([[1.0], np.cumprod(np.arange(1.0, 9.0))])
    return np.asarray(steps[order.astype(np.intp)])


def _realise(power: Array, rng: np.random.Generator) -> Samples:
    phases = rng.random(len(power), np.float32) * np.float32(2.0 * np.pi)
    spectrum = np.empty(len(power), np.complex64)
    np.cos(phases, out=spectrum.real)
    np.sin(phases, out=spectrum.imag)
    spectrum *= np.sqrt(power).astype(np.float32)
    spectrum[0] = 0.0
    start = int(rng.integers(_N_FFT - CLIP_LENGTH))
    signal = fft.irfft(spectrum, _N_FFT)
    return np.ascontiguousarray(signal[start : start + CLIP_LENGTH])
