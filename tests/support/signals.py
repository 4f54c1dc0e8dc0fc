"""Test signals whose properties are known, and a click detector."""

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples


def tone(
    hz: float,
    seconds: float,
    sample_rate: int,
    *,
    amplitude: float = 0.5,
    channels: int = 1,
    phase: float = 0.0,
) -> Samples:
    """A sine of shape (n_samples, channels), the same on every channel."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    wave = amplitude * np.sin(2.0 * np.pi * hz * time + phase)
    return _on_channels(wave, channels)


def chord(
    frequencies: list[float], seconds: float, sample_rate: int, amplitude: float = 0.2
) -> Samples:
    """A sum of sines at quiet odd phases, mono: a sustained sound."""
    parts = [
        tone(hz, seconds, sample_rate, amplitude=amplitude, phase=1.7 * number)
        for number, hz in enumerate(frequencies)
    ]
    mixed: Samples = np.sum(parts, axis=0, dtype=np.float32)
    return mixed


def noise(
    seconds: float,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    amplitude: float = 0.1,
    channels: int = 2,
) -> Samples:
    """White Gaussian noise with standard deviation `amplitude`."""
    shape = (round(seconds * sample_rate), channels)
    return (amplitude * rng.standard_normal(shape)).astype(np.float32)


def silence(seconds: float, sample_rate: int, channels: int = 2) -> Samples:
    """Digital silence."""
    return np.zeros((round(seconds * sample_rate), channels), np.float32)


def drum_hits(
    seconds: float, sample_rate: int, rng: np.random.Generator, per_second: float = 2.0
) -> Samples:
    """Bursts of noise that start at once and decay in 60 ms, mono."""
    hits = silence(seconds, sample_rate, channels=1)
    decay = np.exp(-np.arange(round(0.3 * sample_rate)) / (0.06 * sample_rate))
    for start in np.arange(0.1, seconds, 1.0 / per_second) * sample_rate:
        burst = decay * rng.standard_normal(len(decay)) * 0.3
        room = hits[round(start) : round(start) + len(burst), 0]
        room += burst[: len(room)].astype(np.float32)
    return hits


def with_click(samples: Samples, at: int, height: float = 0.05) -> Samples:
    """A copy in which every sample from `at` on is moved by `height`: a step."""
    broken = samples.copy()
    broken[at:] += np.float32(height)
    return broken


def clicks(
    samples: Samples, *, threshold: float = 12.0, window: int = 2048
) -> NDArray[np.intp]:
    """Where samples jump in a way that their surroundings do not.

    A click is a sample whose second difference exceeds `threshold` times the root
    mean square of the second differences in a window around it, with the eight
    nearest on either side left out. In Gaussian noise twelve times is met once in
    10^32 samples, while a step of a tenth of the local amplitude in music, whose
    second difference is small, stands out by far more.

    Args:
        samples: shape (n_samples, channels).
        threshold: times the surroundings' root mean square.
        window: samples that count as surroundings.

    Returns:
        Indices of clicks on any channel, ascending.
    """
    second = np.abs(np.diff(samples.astype(np.float64), n=2, axis=0))
    if not len(second):
        return np.zeros(0, np.intp)
    power = np.concatenate([np.zeros((1, second.shape[1])), np.cumsum(second**2, 0)])
    centre = np.arange(len(second))

    def energy(reach: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        low = np.maximum(centre - reach, 0)
        high = np.minimum(centre + reach + 1, len(second))
        return power[high] - power[low], high - low

    around, n_around = energy(window // 2)
    near, n_near = energy(8)
    count = np.maximum(n_around - n_near, 1)[:, None]
    surroundings = np.sqrt(np.maximum(around - near, 0.0) / count)
    # Half a step of 24 bits: under that, silence would be full of clicks.
    jumps = second > threshold * np.maximum(surroundings, 2.0**-24)
    return np.flatnonzero(np.any(jumps, axis=1)) + 1


def _on_channels(wave: NDArray[np.float64], channels: int) -> Samples:
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)
