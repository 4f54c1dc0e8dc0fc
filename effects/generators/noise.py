"""What the generators are built from: shaped noise, slow curves, scattered grains.

Everything here is periodic over its length, so a sound built from it loops without
a seam: spectra are inverted over the whole length, and grains wrap around its end.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.levels import Samples

Spectrum = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def length_of(sample_rate: int, seconds: float) -> int:
    """Samples of about `seconds`: a length that transforms fast, a multiple of 12."""
    return int(12 * fft.next_fast_len(round(sample_rate * seconds / 12), real=True))


def frequencies(n_samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Frequency of each bin of a real transform, in Hz; the first is not 0."""
    bins = np.arange(n_samples // 2 + 1, dtype=np.float32)
    bins[0] = 0.5
    return bins * np.float32(sample_rate / n_samples)


def gaussian_spectrum(
    n_samples: int, rng: np.random.Generator
) -> NDArray[np.complex64]:
    """Spectrum of white Gaussian noise; its inverse transform has variance 1."""
    n_bins = n_samples // 2 + 1
    parts = rng.standard_normal((n_bins, 2), dtype=np.float32)
    parts *= np.float32((n_samples / 2.0) ** 0.5)
    white: NDArray[np.complex64] = parts.view(np.complex64)[:, 0]
    white[0] = 0.0
    white[-1] = 0.0
    return white


def shaped_noise(
    n_samples: int,
    sample_rate: int,
    amplitude: Spectrum,
    rng: np.random.Generator,
    *,
    coherence: float = 0.3,
) -> Samples:
    """Stereo noise of a given spectrum.

    Args:
        n_samples: length, and period.
        sample_rate: Hz.
        amplitude: from frequencies in Hz to linear magnitudes.
        rng: source of chance.
        coherence: correlation of the two channels, 0..1.

    Returns:
        Shape (n_samples, 2), RMS 1 in each channel.
    """
    shape = amplitude(frequencies(n_samples, sample_rate))
    common = gaussian_spectrum(n_samples, rng) if coherence > 0.0 else None
    noise = np.empty((n_samples, 2), np.float32)
    for channel in range(2):
        spectrum = gaussian_spectrum(n_samples, rng)
        if common is not None:
            spectrum *= np.float32((1.0 - coherence) ** 0.5)
            spectrum += np.float32(coherence**0.5) * common
        spectrum *= shape
        noise[:, channel] = fft.irfft(spectrum, n_samples)
    return unit_rms(noise)


def mono_noise(
    n_samples: int, sample_rate: int, amplitude: Spectrum, rng: np.random.Generator
) -> NDArray[np.float32]:
    """One channel of `shaped_noise`, shape (n_samples,), RMS 1."""
    spectrum = gaussian_spectrum(n_samples, rng)
    spectrum *= amplitude(frequencies(n_samples, sample_rate))
    noise: NDArray[np.float32] = fft.irfft(spectrum, n_samples)
    return noise / np.float32(np.sqrt(np.mean(np.square(noise))) + 1e-20)


def slow_curve(
    n_samples: int,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    low_hz: float,
    high_hz: float,
    slope: float = -1.0,
) -> NDArray[np.float32]:
    """A random periodic curve of low frequencies only.

    Args:
        n_samples: length, and period.
        sample_rate: Hz.
        rng: source of chance.
        low_hz: below, the spectrum is flat.
        high_hz: above, there is nothing.
        slope: of the power spectrum between them, as a power of frequency.

    Returns:
        Shape (n_samples,), mean 0, standard deviation 1.
    """
    seconds = n_samples / sample_rate
    n_lines = max(1, min(n_samples // 2 - 1, int(high_hz * seconds)))
    lines = np.arange(1, n_lines + 1)
    power = np.maximum(lines / seconds, low_hz) ** slope
    parts = rng.standard_normal((n_lines, 2)) @ np.array([1.0, 1.0j])
    # The curve is drawn at few points and then joined by straight lines.
    n_points = fft.next_fast_len(min(n_samples, 32 * n_lines), real=True)
    spectrum = np.zeros(n_points // 2 + 1, np.complex128)
    spectrum[1 : n_lines + 1] = np.sqrt(power) * parts
    points = fft.irfft(spectrum, n_points)
    points /= np.std(points) + 1e-20
    position = np.arange(n_samples) * (n_points / n_samples)
    closed = np.append(points, points[0])
    return np.asarray(np.interp(position, np.arange(n_points + 1), closed), np.float32)


def scatter(
    into: Samples, grain: Samples, start: int, gain: float | NDArray[np.float32] = 1.0
) -> None:
    """Add a grain at `start`, wrapping around the end.

    Args:
        into: shape (n_samples, channels), changed in place.
        grain: shape (length, channels) or (length, 1).
        start: any sample position.
        gain: one number, or one for each channel.
    """
    n = len(into)
    cursor, done = start % n, 0
    while done < len(grain):
        part = min(len(grain) - done, n - cursor)
        into[cursor : cursor + part] += grain[done : done + part] * gain
        done += part
        cursor = 0


def scatter_many(
    into: Samples,
    grains: NDArray[np.float32],
    starts: NDArray[np.int64],
    gains: NDArray[np.float32],
) -> None:
    """Add many grains of equal length at once, wrapping around the end.

    Args:
        into: shape (n_samples, channels), changed in place.
        grains: shape (n_grains, length).
        starts: shape (n_grains,), within the length of `into`.
        gains: shape (n_grains, channels).
    """
    n, length = len(into), grains.shape[1]
    places = (starts[:, None] + np.arange(length)).ravel()
    for channel in range(into.shape[1]):
        weights = (grains * gains[:, channel, None]).ravel()
        total = np.bincount(places, weights, n + length)
        total[:length] += total[n : n + length]
        into[:, channel] += total[:n].astype(np.float32)


def upsample(samples: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """A periodic signal of shape (n,) at `factor` times the rate; nothing is lost."""
    spectrum = fft.rfft(samples)
    n = len(samples) * factor
    full = np.zeros(n // 2 + 1, np.complex64)
    full[: len(spectrum) - 1] = spectrum[:-1] * np.float32(factor)
    raised: NDArray[np.float32] = fft.irfft(full, n)
    return raised


def pan_gains(position: float) -> NDArray[np.float32]:
    """Equal-power gains of left and right for a position in -1..1.

    >>> pan_gains(0.0).round(3).tolist()
    [0.7070000171661377, 0.7070000171661377]
    """
    angle = (position + 1.0) * np.pi / 4.0
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def poisson_times(
    rate_hz: float, n_samples: int, sample_rate: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Sorted sample positions of events that fall independently of each other."""
    count = rng.poisson(rate_hz * n_samples / sample_rate)
    return np.sort(rng.integers(0, n_samples, count))


def unit_rms(samples: Samples) -> Samples:
    """Scaled to an RMS of 1 over all channels; silence stays."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return np.asarray(samples / np.float32(rms + 1e-20), np.float32)


def band(
    hz: NDArray[np.float32], low: float, high: float, order: int = 2
) -> NDArray[np.float32]:
    """Magnitude of a band-pass with Butterworth flanks of `order` on each side."""
    below = 1.0 / np.sqrt(1.0 + (low / hz) ** (2 * order))
    above = 1.0 / np.sqrt(1.0 + (hz / high) ** (2 * order))
    return np.asarray(below * above, np.float32)
