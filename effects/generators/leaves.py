"""Leaves of a broad-leaved tree in a light breeze.

What it follows: leaves sound by touching one another; the noise of foliage lies at
2 to 8 kHz and rises steeply with wind speed (Fegeant, Acustica 85, 1999). Gusts follow
Kolmogorov's f^-5/3, and each branch answers its own eddies.
"""

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.generators import noise

BRANCHES = 5
TOUCHES_HZ = 350.0  # single audible touches a second, over the whole tree
LENGTH_S = 0.024
N_SHAPES = 100


def render(sample_rate: int, seconds: float, rng: np.random.Generator) -> Samples:
    """Rustling leaves as a seamless loop, shape (n_samples, 2), RMS near 1."""
    n = noise.length_of(sample_rate, seconds)
    gust = _gusts(n, sample_rate, rng, 0.06, 1.5)
    shapes = _touches(sample_rate, rng)
    tree = np.zeros((n, 2), np.float32)
    # Branches stand all around, or one ear would hear the tree louder.
    for place in np.linspace(-0.8, 0.8, BRANCHES):
        eddy = _gusts(n, sample_rate, rng, 0.3, 8.0)
        speed = np.clip(1.0 + 0.2 * gust + 0.17 * eddy, 0.3, 2.2)
        level = np.asarray(speed**2.2, np.float32)
        centre = 3_000.0 * 2.0 ** rng.uniform(-0.3, 0.8)
        rustle = noise.mono_noise(n, sample_rate, _foliage(centre), rng)
        pan = noise.pan_gains(float(place))
        tree += (rustle * level)[:, None] * pan
        total = np.cumsum(level, dtype=np.float64)
        count = rng.poisson(TOUCHES_HZ * n / sample_rate / BRANCHES)
        times = np.searchsorted(total, np.sort(rng.random(count)) * total[-1])
        kinds = rng.integers(0, N_SHAPES, count)
        strength = rng.lognormal(-0.2, 0.6, count).astype(np.float32)
        noise.scatter_many(
            tree, shapes[kinds], times.astype(np.int64), 9.0 * strength[:, None] * pan
        )
    wind = noise.shaped_noise(n, sample_rate, _far_wind, rng, coherence=0.4)
    wind *= np.clip(1.0 + 0.2 * gust, 0.3, 2.2)[:, None] ** np.float32(2.0)
    return noise.unit_rms(noise.unit_rms(tree) + np.float32(0.30) * wind)


def _gusts(
    n: int, sample_rate: int, rng: np.random.Generator, low_hz: float, high_hz: float
) -> NDArray[np.float32]:
    return noise.slow_curve(
        n, sample_rate, rng, low_hz=low_hz, high_hz=high_hz, slope=-5.0 / 3.0
    )


def _touches(sample_rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Dry ticks of leaf on leaf, shape (N_SHAPES, length), unit energy."""
    time = np.arange(int(LENGTH_S * sample_rate)) / sample_rate
    decay = rng.uniform(0.0012, 0.004, (N_SHAPES, 1))
    hz = np.exp(rng.uniform(np.log(1_800.0), np.log(7_000.0), (N_SHAPES, 1)))
    ticks = rng.standard_normal((N_SHAPES, len(time))) * 0.5
    ticks += np.sin(2.0 * np.pi * hz * time)
    ticks *= np.exp(-time / decay) * np.minimum(1.0, time / 0.0012)
    ticks /= np.sqrt(np.sum(ticks**2, axis=1, keepdims=True))
    return np.asarray(ticks, np.float32)


def _foliage(centre: float) -> noise.Spectrum:
    def amplitude(hz: NDArray[np.float32]) -> NDArray[np.float32]:
        air = np.exp(-hz / np.float32(12_000.0))
        return np.asarray(
            noise.band(hz, centre / 2.0, centre * 1.8, 1) * air, np.float32
        )

    return amplitude


def _far_wind(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    fall = (1.0 + (hz / 200.0) ** 2) ** np.float32(-0.5)
    return np.asarray(fall * noise.band(hz, 50.0, 3_000.0, 1), np.float32)
