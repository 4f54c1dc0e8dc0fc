"""Snow falling at night: a hush.

What it follows: fresh snow is a porous absorber, which takes most of what lies above
some 500 Hz (Ishida, Contrib. Inst. Low Temp. Sci. A20, 1965; Maysenhoelder et al.,
Cold Reg. Sci. Technol. 83-84, 2012), so that distant sound arrives without treble;
what is left is slow, soft wind, and flakes that touch cloth and twigs close by.
"""

import numpy as np
from numpy.typing import NDArray

from effects.generators import noise
from effects.levels import Samples

FLAKES_HZ = 55.0
LENGTH_S = 0.006
N_SHAPES = 80


def render(sample_rate: int, seconds: float, rng: np.random.Generator) -> Samples:
    """Falling snow as a seamless loop, shape (n_samples, 2), RMS near 1."""
    n = noise.length_of(sample_rate, seconds)
    hush = np.zeros((n, 2), np.float32)
    for centre, level in ((90.0, 1.0), (240.0, 0.8), (600.0, 0.35), (1_500.0, 0.12)):
        part = noise.shaped_noise(n, sample_rate, _octaves(centre), rng, coherence=0.35)
        gust = noise.slow_curve(
            n, sample_rate, rng, low_hz=0.03, high_hz=0.9, slope=-5.0 / 3.0
        )
        # The higher, the more it takes a gust to be heard at all.
        depth = np.float32(0.16 + 0.10 * np.log2(centre / 90.0))
        hush += np.float32(level) * part * np.exp(depth * gust)[:, None]
    flakes = _flakes(n, sample_rate, rng)
    return noise.unit_rms(hush + np.float32(0.07) * flakes)


def _flakes(n: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    time = np.arange(int(LENGTH_S * sample_rate)) / sample_rate
    decay = rng.uniform(0.0006, 0.0018, (N_SHAPES, 1))
    shapes = rng.standard_normal((N_SHAPES, len(time))) * np.exp(-time / decay)
    shapes *= np.minimum(1.0, time / 0.0008)
    shapes = np.cumsum(shapes - shapes.mean(axis=1, keepdims=True), axis=1)  # soft
    shapes -= shapes[:, -1:] * (time / time[-1])
    shapes /= np.sqrt(np.sum(shapes**2, axis=1, keepdims=True))
    times = noise.poisson_times(FLAKES_HZ, n, sample_rate, rng)
    strength = rng.exponential(1.0, (len(times), 1))
    pan = rng.uniform(0.0, np.pi / 2, len(times))
    gains = strength * np.stack([np.cos(pan), np.sin(pan)], axis=1)
    flakes = np.zeros((n, 2), np.float32)
    kinds = rng.integers(0, N_SHAPES, len(times))
    noise.scatter_many(
        flakes, shapes.astype(np.float32)[kinds], times, gains.astype(np.float32)
    )
    return noise.unit_rms(flakes)


def _octaves(centre: float) -> noise.Spectrum:
    def amplitude(hz: NDArray[np.float32]) -> NDArray[np.float32]:
        return noise.band(hz, centre / 1.8, centre * 1.8, 2)

    return amplitude
