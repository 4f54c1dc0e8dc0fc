"""A brook over stones.

What it follows: running water sounds by bubbles, each a damped sinusoid at
Minnaert's frequency whose pitch rises as the bubble nears the surface; damping
d = 0.043 f + 0.0014 f^1.5 per second, radii by a power law, strength growing with
size (van den Doel, ACM Trans. Applied Perception 2, 2005). Bubbles come in bursts
where the water tumbles.
"""

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.generators import noise

MINNAERT = 3.26  # Hz m, frequency times radius in water
RADII_M = (0.0004, 0.0095)
BREAKING_M = 0.006
RADIUS_EXPONENT = 2.2  # of the density of radii
BUBBLES_HZ = 700.0
LENGTH_S = 0.09
N_SHAPES = 900
PLACES = 7  # where the water tumbles, each with its own rhythm and position


def render(sample_rate: int, seconds: float, rng: np.random.Generator) -> Samples:
    """A brook as a seamless loop, shape (n_samples, 2), RMS near 1."""
    n = noise.length_of(sample_rate, seconds)
    shapes, weights = _bubbles(sample_rate, rng)
    brook = np.zeros((n, 2), np.float32)
    # The places lie all around, or one ear would hear the brook louder.
    for place in np.linspace(-0.85, 0.85, PLACES):
        times = _tumbling(n, sample_rate, rng)
        kinds = rng.choice(N_SHAPES, len(times), p=weights)
        strength = rng.lognormal(0.0, 0.7, len(times)).astype(np.float32)
        pan = np.clip(place + 0.1 * rng.standard_normal(), -1.0, 1.0)
        gains = strength[:, None] * noise.pan_gains(float(pan))[None, :]
        for part in np.array_split(np.arange(len(times)), 12):
            noise.scatter_many(brook, shapes[kinds[part]], times[part], gains[part])
    wash = noise.shaped_noise(n, sample_rate, _wash, rng, coherence=0.2)
    return noise.unit_rms(noise.unit_rms(brook) + np.float32(0.42) * wash)


def _tumbling(n: int, sample_rate: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Times of bubbles whose rate rises and sinks several times a second."""
    flow = np.exp(
        0.7 * noise.slow_curve(n, sample_rate, rng, low_hz=0.4, high_hz=9.0, slope=-0.8)
    )
    total = np.cumsum(flow, dtype=np.float64)
    count = rng.poisson(BUBBLES_HZ * n / sample_rate / PLACES)
    drawn = np.sort(rng.random(count)) * total[-1]
    return np.asarray(np.searchsorted(total, drawn), np.int64)


def _bubbles(
    sample_rate: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Sounds of `N_SHAPES` bubbles, shape (N_SHAPES, length); the share of each."""
    # Evenly over the pitches, or those of few large bubbles would stick out; how many
    # there are of each is in the weights.
    share = (np.arange(N_SHAPES) + rng.random(N_SHAPES)) / N_SHAPES
    radii = RADII_M[0] * (RADII_M[1] / RADII_M[0]) ** share
    weights = radii ** (1.0 - RADIUS_EXPONENT)
    hz = MINNAERT / radii
    damping = 0.043 * hz + 0.0014 * hz**1.5
    rise = damping * rng.choice([0.0, 0.03, 0.1], N_SHAPES, p=[0.4, 0.3, 0.3])
    time = np.arange(int(LENGTH_S * sample_rate)) / sample_rate
    phase = hz[:, None] * (time + 0.5 * rise[:, None] * time**2)
    shapes = np.sin(2.0 * np.pi * phase) * np.exp(-damping[:, None] * time)
    shapes *= (phase < 0.45 * sample_rate * (time + 1e-9)) * np.minimum(
        1.0, (LENGTH_S - time) / 0.01
    )
    attack = np.minimum(1.0, time / 0.0012)
    # Bubbles near the largest are broken up by the flow before they ring.
    whole = np.exp(-((radii / BREAKING_M) ** 2))
    shapes *= attack * ((radii / RADII_M[1]) ** 0.25 * whole)[:, None]
    return np.asarray(shapes, np.float32), weights / weights.sum()


def _wash(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    fall = (1.0 + (hz / 900.0) ** 2) ** np.float32(-0.45)
    return np.asarray(fall * noise.band(hz, 220.0, 9_000.0, 1), np.float32)
