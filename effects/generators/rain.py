"""Steady rain on open ground and water, near and far.

What it follows: a raindrop on water sounds by the air bubble that it traps, a damped
sinusoid at Minnaert's frequency f = 3.26 m/s / radius (Minnaert, Phil. Mag. 16,
1933); the bubbles of small drops (0.8-1.1 mm) lie at 12-21 kHz and peak near 14 kHz,
those of large ones below 10 kHz (Pumphrey, Crum and Bjorno, JASA 85, 1989;
Medwin, Nystuen et al., JASA 92, 1992). On solid ground a drop is a short wide-band
tick, on earth and leaves a dull one: most of what recordings of rain hold lies between
300 Hz and 3 kHz. Sizes follow Marshall and Palmer's exponential law (J. Meteor. 5,
1948). Far drops blend into noise, whose treble the air takes.
"""

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.generators import noise

N_SHAPES = 300  # bubbles of each class, none quite like another
STRONGEST = 3.0  # of a class, against its mean: a drop that is closer is a click
# Centre in Hz, damping in s, drops a second, loudness: from fine to coarse drops.
CLASSES = (
    (13_500.0, 0.0010, 420.0, 0.12),
    (9_000.0, 0.0014, 260.0, 0.18),
    (6_000.0, 0.0020, 130.0, 0.26),
    (3_800.0, 0.0028, 90.0, 0.42),
    (2_300.0, 0.0040, 50.0, 0.62),
    (1_300.0, 0.0060, 28.0, 0.80),
    (750.0, 0.0085, 14.0, 0.90),
    (430.0, 0.0120, 6.0, 0.90),
)


def render(
    sample_rate: int,
    seconds: float,
    rng: np.random.Generator,
    *,
    intensity: float = 0.5,
) -> Samples:
    """Rain as a seamless loop.

    Args:
        sample_rate: Hz.
        seconds: about how long.
        rng: source of chance.
        intensity: 0 a drizzle of single drops, 1 a downpour.

    Returns:
        Shape (n_samples, 2), RMS near 1.
    """
    n = noise.length_of(sample_rate, seconds)
    wash = far_drops(n, sample_rate, rng, intensity)
    drops = _drops(n, sample_rate, rng, intensity)
    # Showers breathe over tens of seconds; a few tenths of a dB to a dB or two.
    breath = noise.slow_curve(n, sample_rate, rng, low_hz=0.03, high_hz=0.8)
    wash *= np.exp(np.float32(0.10) * breath)[:, None]
    near = 0.65 - 0.2 * intensity
    mixed = wash + np.float32(near) * drops
    return noise.unit_rms(mixed)


def far_drops(
    n: int, sample_rate: int, rng: np.random.Generator, intensity: float
) -> Samples:
    """Rain without its near drops: noise with a hump, lower in heavier rain."""
    centre = 2_000.0 - 900.0 * intensity
    bass = 0.10 + 0.30 * intensity**2

    def amplitude(hz: NDArray[np.float32]) -> NDArray[np.float32]:
        hump = noise.band(hz, 0.3 * centre, 1.9 * centre, 1)
        rumble = bass * noise.band(hz, 60.0, 500.0, 1)
        air = np.exp(-hz / np.float32(14_000.0))
        return np.asarray((hump + rumble) * air, np.float32)

    return noise.shaped_noise(n, sample_rate, amplitude, rng, coherence=0.2)


def _drops(
    n: int, sample_rate: int, rng: np.random.Generator, intensity: float
) -> Samples:
    """The near drops: damped sinusoids, each at its place and with its strength."""
    density = 0.15 + 1.6 * intensity**1.5
    drops = np.zeros((n, 2), np.float32)
    for centre, damping, rate_hz, level in CLASSES:
        if centre > 0.4 * sample_rate:
            continue
        coarse = 1.0 if centre > 5_000 else 0.4 + 1.6 * intensity
        grains = [
            _bubble(centre * variant, damping, sample_rate, rng)
            for variant in np.exp(rng.uniform(-0.24, 0.24, N_SHAPES))
        ]
        times = noise.poisson_times(rate_hz * density * coarse, n, sample_rate, rng)
        strength = level * np.minimum(rng.exponential(1.0, len(times)), STRONGEST)
        kinds = rng.integers(0, len(grains), len(times))
        pan = rng.uniform(0.15, np.pi / 2 - 0.15, len(times))
        shapes = np.stack(grains)[kinds] * strength[:, None].astype(np.float32)
        gains = np.stack([np.cos(pan), np.sin(pan)], axis=1).astype(np.float32)
        noise.scatter_many(drops, shapes, times, gains)
    return noise.unit_rms(drops)


def _bubble(
    hz: float, damping_s: float, sample_rate: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    time = np.arange(int(8 * damping_s * sample_rate)) / sample_rate
    ring = np.sin(2 * np.pi * hz * time) * np.exp(-time / damping_s)
    # Coarse drops land softer: cloth, earth and water give way to them.
    ring *= 1.0 - np.exp(-time * hz / 1.5)
    tick = rng.standard_normal(len(time)) * np.exp(-time / 0.0004)
    grain = ring + 0.25 * min(1.0, hz / 6_000.0) ** 2 * tick
    return np.asarray(grain / np.sqrt(np.sum(grain**2)), np.float32)
