"""A waterfall some way off.

What it follows: falling water is the most stationary of water sounds, nearly white
to some kilohertz and with far more below 250 Hz than a brook (Galbrun and Ali, JASA
133, 2013): plunging jets trap bubble clouds, which ring together far below each
bubble (Prosperetti, JASA 84, 1988: collective oscillations at tens to hundreds of
hertz). Curtains of drops drift with the wind, so treble breathes more than bass.
"""

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.generators import noise

CURTAINS = 4  # strands of falling water, each with its own breathing


def render(sample_rate: int, seconds: float, rng: np.random.Generator) -> Samples:
    """A waterfall as a seamless loop, shape (n_samples, 2), RMS near 1."""
    n = noise.length_of(sample_rate, seconds)
    fall = noise.shaped_noise(n, sample_rate, _plunge, rng, coherence=0.45)
    clouds = noise.slow_curve(n, sample_rate, rng, low_hz=1.0, high_hz=14.0, slope=-0.6)
    fall *= np.exp(np.float32(0.12) * clouds)[:, None]
    for _ in range(CURTAINS):
        centre = 1_500.0 * 2.0 ** rng.uniform(0.0, 2.0)
        strand = noise.mono_noise(n, sample_rate, _strand(centre), rng)
        sway = noise.slow_curve(n, sample_rate, rng, low_hz=0.15, high_hz=5.0)
        strand *= np.float32(0.5 / CURTAINS**0.5) * np.exp(np.float32(0.22) * sway)
        fall += strand[:, None] * noise.pan_gains(rng.uniform(-0.9, 0.9))
    return noise.unit_rms(fall)


def _plunge(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    cloud = np.float32(1.6) * noise.band(hz, 45.0, 260.0, 1)
    spray = noise.band(hz, 200.0, 3_000.0, 1)
    air = np.exp(-hz / np.float32(9_000.0))
    return np.asarray((cloud + spray) * air, np.float32)


def _strand(centre: float) -> noise.Spectrum:
    def amplitude(hz: NDArray[np.float32]) -> NDArray[np.float32]:
        return noise.band(hz, centre / 1.6, centre * 1.6, 1)

    return amplitude
