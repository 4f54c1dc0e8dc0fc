"""A summer night: crickets near and far.

What it follows: a field cricket sings near 4.7 kHz, chirps of 3 to 5 syllables at
about 30 a second, 2 to 3 chirps a second (Bennet-Clark and Bailey, J. Exp. Biol. 205,
2002); tree crickets trill near 3 kHz, 40 to 50 pulses a second, all of it faster on
warm nights (Dolbear, Am. Nat. 31, 1897). Singers of one kind tend to take turns. Far
ones melt into a shimmer around the carrier.
"""

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.generators import noise

FIELD_CRICKETS = 7
TREE_CRICKETS = 3
SIDES = (1.0, -1.0, -1.0, 1.0)  # of four crickets, from near to far


def render(sample_rate: int, seconds: float, rng: np.random.Generator) -> Samples:
    """A night with crickets as a seamless loop, shape (n_samples, 2), RMS near 1."""
    n = noise.length_of(sample_rate, seconds)
    night = np.zeros((n, 2), np.float32)
    # From near to far in turn on either side, or one ear would hear them louder.
    for k, distance in enumerate(np.sort(rng.uniform(0.15, 1.0, FIELD_CRICKETS))):
        song = _field_cricket(n, sample_rate, rng)
        night += _placed(song, distance, SIDES[k % 4], rng)
    for k, distance in enumerate(np.sort(rng.uniform(0.5, 1.0, TREE_CRICKETS))):
        song = _tree_cricket(n, sample_rate, rng)
        night += np.float32(0.45) * _placed(song, distance, -SIDES[k % 4], rng)
    shimmer = noise.shaped_noise(n, sample_rate, _shimmer, rng, coherence=0.1)
    pulse = noise.slow_curve(n, sample_rate, rng, low_hz=2.0, high_hz=40.0, slope=-0.3)
    shimmer *= np.exp(np.float32(0.3) * pulse)[:, None]
    air = noise.shaped_noise(n, sample_rate, _air, rng, coherence=0.3)
    breath = noise.slow_curve(n, sample_rate, rng, low_hz=0.05, high_hz=2.0)
    air *= np.exp(np.float32(0.3) * breath)[:, None]
    return noise.unit_rms(
        noise.unit_rms(night) + np.float32(0.30) * shimmer + np.float32(0.35) * air
    )


def _placed(
    song: NDArray[np.float32], distance: float, side: float, rng: np.random.Generator
) -> Samples:
    pan = noise.pan_gains(side * float(rng.uniform(0.0, 0.95)))
    return np.asarray(song[:, None] * pan * (0.05 / (0.05 + distance)), np.float32)


def _field_cricket(
    n: int, sample_rate: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Chirps through the whole loop, with rests now and then."""
    carrier = rng.normal(4_700.0, 160.0)
    syllable_s, n_syllables = 1.0 / rng.normal(29.0, 1.5), int(rng.integers(3, 6))
    period_s = rng.uniform(0.36, 0.62)
    count = max(1, round(n / sample_rate / period_s))
    period = n / count
    sings = noise.slow_curve(n, sample_rate, rng, low_hz=0.05, high_hz=0.3)
    song = np.zeros((n, 1), np.float32)
    for chirp in range(count):
        start = int(chirp * period + rng.normal(0.0, 0.012) * sample_rate)
        if sings[start % n] < -0.8:  # a rest of some seconds
            continue
        hz = carrier * (1.0 + 0.004 * rng.standard_normal())
        for syllable in range(n_syllables):
            grain = _syllable(hz, 0.62 * syllable_s, sample_rate)
            level = (0.45 + 0.55 * (syllable + 1) / n_syllables) * rng.uniform(0.9, 1.1)
            at = start + int(syllable * syllable_s * sample_rate)
            noise.scatter(song, grain[:, None], at, level)
    return song[:, 0]


def _tree_cricket(
    n: int, sample_rate: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A trill without end whose pitch and strength drift a little."""
    seconds = n / sample_rate
    # Whole numbers of cycles over the loop keep it seamless.
    pulses = round(rng.normal(44.0, 3.0) * seconds)
    cycles = round(rng.normal(3_050.0, 150.0) * seconds)
    phase = np.arange(n) / n
    drift = noise.slow_curve(n, sample_rate, rng, low_hz=0.05, high_hz=0.5)
    pulse = 0.5 - 0.5 * np.cos(2.0 * np.pi * (pulses * phase + 0.3 * drift))
    tone = np.sin(2.0 * np.pi * cycles * phase + 2.0 * drift)
    strength = np.exp(0.25 * drift)
    return np.asarray(tone * pulse**2 * strength, np.float32)


def _syllable(hz: float, length_s: float, sample_rate: int) -> NDArray[np.float32]:
    time = np.arange(int(length_s * sample_rate)) / sample_rate
    # The file of teeth is passed a little slower towards the end: pitch falls 3 %.
    phase = hz * (time - 0.015 * time**2 / length_s)
    rise = np.minimum(1.0, time / (0.35 * length_s))
    envelope = np.sin(0.5 * np.pi * rise) * np.minimum(1.0, (length_s - time) / 0.005)
    return np.asarray(np.sin(2.0 * np.pi * phase) * envelope, np.float32)


def _shimmer(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    field = noise.band(hz, 4_500.0, 4_900.0, 3)
    tree = np.float32(0.4) * noise.band(hz, 2_900.0, 3_200.0, 3)
    return np.asarray(field + tree, np.float32)


def _air(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    fall = (1.0 + (hz / 250.0) ** 2) ** np.float32(-0.5)
    return np.asarray(fall * noise.band(hz, 60.0, 5_000.0, 1), np.float32)
