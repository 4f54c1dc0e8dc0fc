"""Waves breaking on a sandy shore.

What it follows: sea and swell arrive with periods of 6 to 12 s, in groups; a breaker
is a roar of bubble plumes, low (some hundred hertz) as it plunges, then a hiss of
small bubbles (1-8 kHz) as the foam spreads and runs back (Deane, Nature 418, 2002:
bubble sizes follow two power laws, split at 1 mm, 3.3 kHz; Means and Heitmeyer,
JASA 110, 2001: surf noise falls about 5 dB an octave from 100 Hz on). A crest does
not break at once but spills in pieces, so the wash comes in gusts, one to three a
second, irregular in strength and place.
"""

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.generators import noise

PERIOD_S = (6.5, 11.0)
SPILLS_HZ = 4.0  # pieces of a crest that fall, a second
SPILL_RISE_S = (0.08, 0.2)
SPILL_POINTS_HZ = 200  # points a second that their course is drawn with
SPILLED = (0.62, 0.8, 0.9)  # share of roar, body and foam that comes in such pieces


def render(sample_rate: int, seconds: float, rng: np.random.Generator) -> Samples:
    """Surf as a seamless loop, shape (n_samples, 2), RMS near 1."""
    n = noise.length_of(sample_rate, seconds)
    roar = noise.shaped_noise(n, sample_rate, _roar, rng, coherence=0.5)
    body = noise.shaped_noise(n, sample_rate, _body, rng, coherence=0.25)
    foam = noise.shaped_noise(n, sample_rate, _foam, rng, coherence=0.1)
    rise = [np.zeros((n, 2), np.float32) for _ in range(3)]
    for start, strength in _breakers(n, sample_rate, rng):
        pan = rng.uniform(-0.6, 0.6)
        for layer, envelope in zip(
            rise, _envelopes(sample_rate, strength, rng), strict=True
        ):
            for channel, side in enumerate((-1.0, 1.0)):
                # A breaker runs along the shore: one ear hears it first.
                late = int((0.25 + 0.25 * side * pan) * sample_rate)
                gain = 1.0 + 0.3 * side * pan
                column = layer[:, channel : channel + 1]
                noise.scatter(column, envelope[:, None], start + late, gain)
    for layer, share, depth in zip(rise, SPILLED, (0.10, 0.22, 0.28), strict=True):
        spills = _spills(n, sample_rate, rng)
        layer *= np.float32(1.0 - share) + np.float32(share) * spills
        # Within a spill the surf wavers several times a second.
        for channel in range(2):
            tumble = noise.slow_curve(n, sample_rate, rng, low_hz=0.8, high_hz=9.0)
            layer[:, channel] *= np.exp(np.float32(depth) * tumble)
    sea = np.float32(0.2) * roar + np.float32(0.13) * body + np.float32(0.04) * foam
    sea += roar * rise[0] + body * rise[1] + foam * rise[2]
    return noise.unit_rms(sea)


def _spills(n: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    """How a crest falls piece by piece: gusts of wash, shape (n, 2), mean near 1.

    Shot noise: each piece rises within a fifth of a second and ebbs away, at a place
    along the shore and with a strength of its own.
    """
    n_points = round(n / sample_rate * SPILL_POINTS_HZ)
    count = round(n / sample_rate * SPILLS_HZ)
    rise = rng.uniform(*SPILL_RISE_S, count) * SPILL_POINTS_HZ
    strength = rng.exponential(1.0, count)
    pan = rng.uniform(-1.0, 1.0, count)
    starts = rng.integers(0, n_points, count)
    points = np.zeros((n_points, 2), np.float32)
    for k in range(count):
        t = np.arange(1, int(9.0 * rise[k])) / rise[k]
        piece = (strength[k] * t * np.exp(1.0 - t)).astype(np.float32)
        noise.scatter(points, piece[:, None], starts[k], noise.pan_gains(pan[k]))
    points /= points.mean()
    places = np.arange(n) * (n_points / n)
    closed = np.concatenate([points, points[:1]])
    columns = [np.interp(places, np.arange(n_points + 1), c) for c in closed.T]
    return np.stack(columns, axis=1).astype(np.float32)


def _breakers(
    n: int, sample_rate: int, rng: np.random.Generator
) -> list[tuple[int, float]]:
    """When waves break, and how strong: groups of strong ones, then a lull."""
    seconds = n / sample_rate
    count = max(1, round(seconds / np.mean(PERIOD_S)))
    gaps = rng.uniform(*PERIOD_S, count)
    times = np.cumsum(gaps * (seconds / gaps.sum()))
    group = np.sin(2 * np.pi * (np.arange(count) / max(3, count // 2) + rng.random()))
    strength = np.clip(0.75 + 0.3 * group + 0.12 * rng.standard_normal(count), 0.3, 1.3)
    return [
        (int(t * sample_rate), float(s)) for t, s in zip(times, strength, strict=True)
    ]


def _envelopes(
    sample_rate: int, strength: float, rng: np.random.Generator
) -> list[NDArray[np.float32]]:
    """Rise and fall of roar, body and foam of one breaker; the foam is late."""
    envelopes = []
    for delay, attack, decay, level in (
        (0.0, 1.1, 1.5, 1.0),
        (0.5, 0.9, 1.9, 0.75),
        (1.1, 0.9, 3.0, 0.33),
    ):
        attack, decay = attack * rng.uniform(0.8, 1.25), decay * rng.uniform(0.8, 1.3)
        time = np.arange(int((delay + attack + 6 * decay) * sample_rate)) / sample_rate
        t = np.maximum(time - delay, 0.0) / attack
        rise = np.sin(0.5 * np.pi * np.minimum(t, 1.0)) ** 2
        fall = np.exp(-np.maximum(time - delay - attack, 0.0) / decay)
        end = np.clip(6.0 - np.maximum(time - delay - attack, 0.0) / decay, 0.0, 1.0)
        envelopes.append((level * strength * rise * fall * end).astype(np.float32))
    return envelopes


def _roar(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    fall = (1.0 + (hz / 180.0) ** 2) ** np.float32(-0.55)
    return np.asarray(fall * noise.band(hz, 40.0, 2_500.0, 1), np.float32)


def _body(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    return noise.band(hz, 350.0, 2_200.0, 1)


def _foam(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    return noise.band(hz, 1_800.0, 8_500.0, 1)
