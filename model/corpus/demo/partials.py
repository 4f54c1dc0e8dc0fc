"""Rendering of partials and of noise, each by one inverse FFT.

A partial of some width is a band of noise, Gaussian in frequency, as in Paul Nasca's
PADsynth: a held tone of many slightly moving voices.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.levels import Samples
from model.config import SAMPLE_RATE
from model.spectrum import CLIP_LENGTH

_N_FFT = 131_072  # 3 s, of which a clip is cut: bins of 0.34 Hz
_SPACING = SAMPLE_RATE / _N_FFT
_TOP_HZ = 18_000.0

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Partials:
    """Frequencies (Hz), amplitudes and widths (Hz, standard deviation), shape (n,)."""

    hertz: Array
    amplitude: Array
    width: Array


def render_partials(partials: list[Partials], rng: np.random.Generator) -> Samples:
    """Two seconds of these partials, shape (n_samples, 2).

    The channels have the same power and phases of their own.
    """
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

    Returns:
        Shape (n_samples, 2).
    """
    octaves = np.log2(np.maximum(np.arange(_N_FFT // 2 + 1) * _SPACING, 20.0) / 500.0)
    level_db = slope_db * np.maximum(octaves, -3.5)
    for hertz, height, width in bumps:
        distance = (octaves - np.log2(hertz / 500.0)) / width
        level_db += height * np.exp(-0.5 * distance**2)
    return _realise(10.0 ** (level_db / 10.0), rng)


def _realise(power: Array, rng: np.random.Generator) -> Samples:
    phases = rng.random((2, len(power)), np.float32) * np.float32(2.0 * np.pi)
    spectrum = np.empty(phases.shape, np.complex64)
    np.cos(phases, out=spectrum.real)
    np.sin(phases, out=spectrum.imag)
    spectrum *= np.sqrt(power).astype(np.float32)
    spectrum[:, 0] = 0.0
    start = int(rng.integers(_N_FFT - CLIP_LENGTH))
    signal = fft.irfft(spectrum, _N_FFT)
    return np.ascontiguousarray(signal[:, start : start + CLIP_LENGTH].T)
