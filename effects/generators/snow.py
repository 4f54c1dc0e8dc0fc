"""Snow falling at night: a hush of flakes.

What it follows: fresh snow is a porous absorber, which takes most of what lies above
some 500 Hz (Ishida, Contrib. Inst. Low Temp. Sci. A20, 1965; Maysenhoelder et al.,
Cold Reg. Sci. Technol. 83-84, 2012), so that nothing arrives from afar: neither the
bass of moving air, on a still night, nor treble. What is left is close by: flakes in
their hundreds that settle on cloth and twigs, each a soft touch of some milliseconds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.levels import Samples
from effects.generators import noise

N_SHAPES = 200
CLOTH_HZ = 650.0  # where a touch on cloth is loudest


@dataclass(frozen=True)
class Flakes:
    """A size of flake: touches a second, seconds to rise, octaves of colour, level."""

    rate_hz: float
    rise_s: tuple[float, float]
    octaves: tuple[float, float]
    level: float


FINE = Flakes(500.0, (0.002, 0.006), (-0.3, 1.0), 0.8)
COARSE = Flakes(30.0, (0.006, 0.016), (-0.9, 0.5), 0.4)


def render(sample_rate: int, seconds: float, rng: np.random.Generator) -> Samples:
    """Falling snow as a seamless loop, shape (n_samples, 2), RMS near 1."""
    n = noise.length_of(sample_rate, seconds)
    snow = np.float32(0.45) * noise.shaped_noise(
        n, sample_rate, _hush, rng, coherence=0.3
    )
    for flakes in (FINE, COARSE):
        # Snow comes thicker and thinner, over seconds.
        drift = noise.slow_curve(n, sample_rate, rng, low_hz=0.05, high_hz=0.6)
        snow += (
            np.float32(flakes.level)
            * _touches(flakes, n, sample_rate, rng)
            * np.exp(np.float32(0.14) * drift)[:, None]
        )
    return noise.unit_rms(snow)


def _touches(
    flakes: Flakes, n: int, sample_rate: int, rng: np.random.Generator
) -> Samples:
    # Flake and cloth give way to each other for milliseconds: a touch, not a tick.
    n_touch = int(6.0 * flakes.rise_s[1] * sample_rate)
    time = np.arange(n_touch) / sample_rate
    hz = np.maximum(fft.rfftfreq(n_touch, 1.0 / sample_rate), 1.0)
    centre = CLOTH_HZ * 2.0 ** rng.uniform(*flakes.octaves, (N_SHAPES, 1))
    colour = np.exp(-0.5 * (np.log2(hz / centre) / 0.5) ** 2)
    shapes = fft.irfft(
        fft.rfft(rng.standard_normal((N_SHAPES, n_touch))) * colour, n_touch
    )
    rise = rng.uniform(*flakes.rise_s, (N_SHAPES, 1))
    shapes *= time / rise * np.exp(1.0 - time / rise)
    shapes *= np.minimum(1.0, (time[-1] - time) / (0.25 * time[-1]))
    shapes /= np.sqrt(np.sum(shapes**2, axis=1, keepdims=True))
    times = noise.poisson_times(flakes.rate_hz, n, sample_rate, rng)
    strength = rng.gamma(2.0, 0.5, (len(times), 1))
    pan = rng.uniform(0.0, np.pi / 2, len(times))
    gains = strength * np.stack([np.cos(pan), np.sin(pan)], axis=1)
    touches = np.zeros((n, 2), np.float32)
    kinds = rng.integers(0, N_SHAPES, len(times))
    noise.scatter_many(
        touches, shapes.astype(np.float32)[kinds], times, gains.astype(np.float32)
    )
    return noise.unit_rms(touches)


def _hush(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    return noise.band(hz, 220.0, 900.0, 2)
