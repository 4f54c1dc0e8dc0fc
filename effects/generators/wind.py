"""Wind over open land with trees not far away.

What it follows: atmospheric turbulence has a Kolmogorov spectrum, so gust speed is a
random curve whose power falls as f^-5/3 above a corner of some hundredths of a hertz
(Kaimal et al., Q. J. R. Meteorol. Soc. 98, 1972). The sound power of flow past
obstacles grows as about the sixth power of speed (Curle, Proc. R. Soc. A 231, 1955),
and an obstacle of width d whistles near the Strouhal frequency f = 0.2 v / d.
"""

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.generators import noise

STROUHAL = 0.2
MEAN_SPEED = 7.0  # m/s, a fresh breeze
# Widths of what the wind passes, in m, and how loud: crowns, branches, twigs.
OBSTACLES = ((0.02, 1.0), (0.007, 0.55), (0.0025, 0.22))
BANDWIDTH = 0.55  # octaves around the Strouhal frequency, bodies are not alike
SLOWER = 6
LOUDNESS_EXPONENT = 2.2  # of amplitude: 3 by Curle, less as gusts miss some bodies


def render(sample_rate: int, seconds: float, rng: np.random.Generator) -> Samples:
    """Wind with gusts as a seamless loop, shape (n_samples, 2), RMS near 1."""
    n = noise.length_of(sample_rate, seconds)
    wind = np.zeros((n, 2), np.float32)
    common = _gusts(n, sample_rate, rng)
    rumble = _rumble(n, sample_rate, rng)
    for channel in range(2):
        # The same gust reaches both ears, its eddies do not.
        speed = 0.85 * common + 0.5 * _gusts(n, sample_rate, rng)
        relative = np.clip(1.0 + 0.19 * speed, 0.35, 2.2).astype(np.float32)
        level = relative ** np.float32(LOUDNESS_EXPONENT)
        wind[:, channel] += level * rumble[:, channel]
        wind[:, channel] += level * _whistle(n, sample_rate, relative, rng)
    return noise.unit_rms(wind)


def _gusts(n: int, sample_rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return noise.slow_curve(
        n, sample_rate, rng, low_hz=0.05, high_hz=4.0, slope=-5.0 / 3.0
    )


def _rumble(n: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """Broad turbulence noise: flat to about 150 Hz, then falling 7 dB an octave."""

    def amplitude(hz: NDArray[np.float32]) -> NDArray[np.float32]:
        fall = (1.0 + (hz / 150.0) ** 2) ** np.float32(-0.6)
        return np.asarray(fall * noise.band(hz, 35.0, 9_000.0, 2), np.float32)

    return noise.shaped_noise(n, sample_rate, amplitude, rng, coherence=0.35)


def _whistle(
    n: int,
    sample_rate: int,
    relative_speed: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Aeolian noise: each kind of body sounds at a frequency that follows the speed.

    Bands at fixed frequencies are cross-faded, which is filtering with a centre that
    moves, without a filter that changes; all of it lies below 3 kHz, so it is made at
    a sixth of the rate.
    """
    n, low_rate = n // SLOWER, sample_rate // SLOWER
    total = np.zeros(n, np.float32)
    octave = np.log2(relative_speed[::SLOWER])
    spacing = 0.5
    for width, level in OBSTACLES:
        centre = STROUHAL * MEAN_SPEED / width
        for step in range(-4, 4):
            weight = np.maximum(0.0, 1.0 - np.abs(octave / spacing - step))
            if not weight.any():
                continue
            hz = centre * 2.0 ** (step * spacing)
            tone = noise.mono_noise(n, low_rate, _bump(hz), rng)
            total += np.float32(0.5 * level) * np.sqrt(weight) * tone
    return noise.upsample(total, SLOWER)


def _bump(centre: float) -> noise.Spectrum:
    def amplitude(hz: NDArray[np.float32]) -> NDArray[np.float32]:
        octaves = np.log2(hz / np.float32(centre)) / np.float32(BANDWIDTH)
        return np.asarray(np.exp(-0.5 * octaves**2), np.float32)

    return amplitude
