"""Snow falling at night: a hush.

What it follows: fresh snow is a porous absorber, which takes most of what lies above
some 500 Hz (Ishida, Contrib. Inst. Low Temp. Sci. A20, 1965; Maysenhoelder et al.,
Cold Reg. Sci. Technol. 83-84, 2012), so that distant sound arrives without treble;
what is left is slow, soft wind, and flakes that touch cloth and twigs close by.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.levels import Samples
from effects.generators import noise

FLAKES_HZ = 55.0
LENGTH_S = 0.05
N_SHAPES = 200


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
    # Flake and cloth give way to each other for milliseconds: a touch, not a tick.
    n_touch = int(LENGTH_S * sample_rate)
    time = np.arange(n_touch) / sample_rate
    hz = np.maximum(fft.rfftfreq(n_touch, 1.0 / sample_rate), 1.0)
    centre = np.exp(rng.uniform(np.log(500.0), np.log(2_400.0), (N_SHAPES, 1)))
    colour = np.exp(-0.5 * (np.log2(hz / centre) / 0.8) ** 2)
    shapes = fft.irfft(
        fft.rfft(rng.standard_normal((N_SHAPES, n_touch))) * colour, n_touch
    )
    rise = rng.uniform(0.002, 0.006, (N_SHAPES, 1))
    shapes *= time / rise * np.exp(1.0 - time / rise)
    shapes *= np.minimum(1.0, (time[-1] - time) / 0.01)
    shapes /= np.sqrt(np.sum(shapes**2, axis=1, keepdims=True))
    times = noise.poisson_times(FLAKES_HZ, n, sample_rate, rng)
    strength = rng.gamma(2.0, 0.5, (len(times), 1))
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
