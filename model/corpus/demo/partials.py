"""TonePartials and noise as power spectra, and their rendering by one inverse FFT.

A spectrum here is the power in each of `N_BINS` bins, shape (N_BINS,), whose sum is the
mean square of each channel: what sounds together is added.

A partial of some width is a band of noise, Gaussian in frequency, as in Paul Nasca's
PADsynth: a held tone of many slightly moving voices.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.levels import Samples
from model.config import SAMPLE_RATE
from model.spectrum import CLIP_LENGTH

_N_FFT = 131_072  # 3 s, of which a clip is cut: bins of 0.34 Hz
N_BINS = _N_FFT // 2 + 1
_SPACING = SAMPLE_RATE / _N_FFT
_LOW_HZ, _TOP_HZ = 25.0, 18_000.0
_FAINT = 3e-5  # of the strongest partial's amplitude: under this it is left out
_SMEAR_OCTAVES = 0.2  # to either side
_NARROW = 0.6  # standard deviation in bins of a partial that does not move

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class TonePartials:
    """Frequencies (Hz), amplitudes and widths (Hz, standard deviation), shape (n,)."""

    hertz: Array
    amplitude: Array
    width: Array


Instrument: TypeAlias = Callable[[float], TonePartials]


def spread(hertz: Array, amplitude: Array, cents: float | Array) -> TonePartials:
    """TonePartials as wide as `cents` of their frequency, shape (n,)."""
    return TonePartials(hertz, amplitude, hertz * cents / 1731.0)


def draw_cents(rng: np.random.Generator, least: float, most: float) -> float:
    """A width or detuning in cents, even on a logarithmic scale."""
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


def partials_power(partials: list[TonePartials]) -> Array:
    """Spectrum of these partials, brought to a sum of 1 (0 if none is heard)."""
    hertz = np.concatenate([sound.hertz for sound in partials])
    amplitude = np.concatenate([sound.amplitude for sound in partials])
    width = np.concatenate([sound.width for sound in partials])
    heard = (hertz > _LOW_HZ) & (hertz < _TOP_HZ)
    heard &= amplitude > _FAINT * amplitude.max()
    centre, strength = hertz[heard] / _SPACING, amplitude[heard] ** 2
    sigma = np.maximum(width[heard] / _SPACING, _NARROW)
    power = np.zeros(N_BINS)
    # Lines of about one width are laid into the spectrum together.
    reach = 2 ** np.ceil(np.log2(3.5 * sigma)).astype(int)
    for half in np.unique(reach):
        of = reach == half
        bins = centre[of].astype(int)[:, None] + np.arange(-half, half + 2)
        line = np.exp(-0.5 * ((bins - centre[of, None]) / sigma[of, None]) ** 2)
        line[(bins < 0) | (bins >= N_BINS)] = 0.0
        line *= (strength[of] / np.maximum(line.sum(axis=1), 1e-9))[:, None]
        np.add.at(power, np.clip(bins, 0, N_BINS - 1), line)
    return _unit(power)


def noise_power(
    slope_db: float, bumps: Array, band_hz: tuple[float, float] = (0.0, np.inf)
) -> Array:
    """Spectrum of a noise, with a sum of 1: a slope, with broad bumps, within a band.

    Args:
        slope_db: dB per octave; negative falls.
        bumps: rows of centre (Hz), height (dB), width (octaves).
        band_hz: corners beyond which it falls by another 12 dB an octave.
    """
    hertz, octaves = _grid()
    level_db = slope_db * np.maximum(octaves, -3.5)
    for centre, height, width in bumps:
        distance = (octaves - np.log2(centre / 500.0)) / width
        level_db += height * np.exp(-0.5 * distance**2)
    fall = 1.0 + (band_hz[0] / hertz) ** 4
    fall *= 1.0 + (hertz / band_hz[1]) ** 4
    return _unit(10.0 ** (level_db / 10.0) / fall)


def smeared(power: Array) -> Array:
    """A spectrum smoothed over half an octave, with a sum of 1."""
    low, high = _smear_bounds()
    for _ in range(2):  # two boxes: no edges
        sums = np.concatenate([[0.0], np.cumsum(power)])
        power = (sums[high] - sums[low]) / (high - low)
    return _unit(power)


def power_of(sound: Samples) -> Array:
    """Spectrum of two seconds of sound, shape (n_samples, channels)."""
    bins = fft.rfft(sound, _N_FFT, axis=0)
    power: Array = np.mean(bins.real**2 + bins.imag**2, axis=1, dtype=np.float64)
    return power * (2.0 / (_N_FFT * len(sound)))


def render(power: Array, rng: np.random.Generator) -> Samples:
    """Two seconds of a spectrum by chance phases, shape (n_samples, 2).

    The channels have the same power and phases of their own.
    """
    phases = rng.random((2, N_BINS), np.float32) * np.float32(2.0 * np.pi)
    spectrum = np.empty(phases.shape, np.complex64)
    np.cos(phases, out=spectrum.real)
    np.sin(phases, out=spectrum.imag)
    spectrum *= np.sqrt(0.5 * power).astype(np.float32) * np.float32(_N_FFT)
    spectrum[:, 0] = 0.0
    start = int(rng.integers(_N_FFT - CLIP_LENGTH))
    signal = fft.irfft(spectrum, _N_FFT)
    return np.ascontiguousarray(signal[:, start : start + CLIP_LENGTH].T)


@cache
def _grid() -> tuple[Array, Array]:
    """Hz of each bin, and octaves above 500 Hz."""
    hertz = np.maximum(np.arange(N_BINS) * _SPACING, 20.0)
    return hertz, np.log2(hertz / 500.0)


@cache
def _smear_bounds() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    bins = np.arange(N_BINS)
    low = (bins * 2.0**-_SMEAR_OCTAVES).astype(np.intp)
    high = (bins * 2.0**_SMEAR_OCTAVES).astype(np.intp) + 2
    return low, np.minimum(high, N_BINS)


def _unit(power: Array) -> Array:
    return power / max(float(power.sum()), 1e-12)
