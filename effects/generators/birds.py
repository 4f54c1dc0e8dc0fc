"""Birds far off at the edge of a wood.

What it follows: song is a pressure-driven oscillation of the syrinx, near-pure
whistles of 2 to 6 kHz whose pitch follows the singer's gesture, in syllables of
50 to 300 ms and phrases of some seconds (Mindlin and Laje, The Physics of Birdsong,
2005). Distance takes treble and fills the gaps with what the trunks scatter (Wiley
and Richards, Behav. Ecol. Sociobiol. 3, 1978).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.levels import Samples
from effects.generators import noise

BIRDS = 11
SCATTER_S = 1.1  # decay of the wood's answer to -60 dB


@dataclass(frozen=True)
class Bird:
    """One singer: its repertoire of syllables, its pace, and where it sits."""

    syllables: tuple[tuple[float, float, float, float, float], ...]
    gap_s: float
    repeats: int
    every_s: float
    distance: float
    pan: float


def render(sample_rate: int, seconds: float, rng: np.random.Generator) -> Samples:
    """Far birds as a seamless loop, shape (n_samples, 2), RMS near 1."""
    n = noise.length_of(sample_rate, seconds)
    song = np.zeros((n, 2), np.float32)
    for _ in range(BIRDS):
        _sing(song, _bird(rng), sample_rate, rng)
    wood = _scattered(song, sample_rate, rng)
    song = np.float32(0.45) * song + np.float32(0.9) * wood
    air = noise.shaped_noise(n, sample_rate, _leaves, rng, coherence=0.2)
    gust = noise.slow_curve(n, sample_rate, rng, low_hz=0.06, high_hz=2.0, slope=-1.7)
    air *= np.exp(np.float32(0.35) * gust)[:, None]
    return noise.unit_rms(np.float32(0.6) * noise.unit_rms(song) + air)


def _bird(rng: np.random.Generator) -> Bird:
    base = np.exp(rng.uniform(np.log(1_900.0), np.log(4_600.0)))
    syllables = tuple(
        (
            float(base * 2.0 ** rng.uniform(-0.35, 0.35)),  # where it starts, Hz
            float(rng.normal(0.0, 0.35)),  # glide, octaves
            float(rng.normal(0.0, 0.15)),  # bend in the middle, octaves
            float(rng.uniform(0.05, 0.26)),  # length, s
            float(rng.choice([0.0, 0.0, 0.0, 0.05])),  # trill depth, octaves
        )
        for _ in range(int(rng.integers(4, 9)))
    )
    return Bird(
        syllables,
        gap_s=float(rng.uniform(0.03, 0.14)),
        repeats=int(rng.integers(1, 4)),
        every_s=float(rng.uniform(9.0, 24.0)),
        distance=float(rng.uniform(0.35, 1.0)),
        pan=float(rng.uniform(-0.95, 0.95)),
    )


def _sing(
    song: Samples, bird: Bird, sample_rate: int, rng: np.random.Generator
) -> None:
    """Phrases all through the loop, put together anew each time."""
    gains = noise.pan_gains(bird.pan) * np.float32((1.1 - bird.distance) ** 1.5)
    at = rng.uniform(0.0, bird.every_s)
    while at < len(song) / sample_rate:
        cursor = at
        level = rng.uniform(0.6, 1.0)
        for _ in range(int(rng.integers(2, 6))):
            syllable = bird.syllables[int(rng.integers(len(bird.syllables)))]
            for _ in range(int(rng.integers(1, bird.repeats + 1))):
                grain = _syllable(*syllable, bird.distance, sample_rate, rng)
                noise.scatter(
                    song, grain[:, None], int(cursor * sample_rate), level * gains
                )
                cursor += len(grain) / sample_rate + bird.gap_s * rng.uniform(0.8, 1.3)
        at = cursor + bird.every_s * rng.uniform(0.5, 1.6)


def _syllable(
    hz: float,
    glide: float,
    bend: float,
    length_s: float,
    trill: float,
    distance: float,
    sample_rate: int,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    length_s *= rng.uniform(0.9, 1.1)
    x = np.arange(int(length_s * sample_rate)) / (length_s * sample_rate)
    octaves = glide * (x - 0.5) + bend * np.sin(np.pi * x)
    octaves += trill * np.sin(2.0 * np.pi * 28.0 * length_s * x)
    pitch = np.clip(hz * 2.0 ** (octaves + 0.01 * rng.standard_normal()), 1_200, 7_500)
    phase = 2.0 * np.pi * np.cumsum(pitch) / sample_rate
    air = np.exp(-distance * pitch / 5_000.0)
    second = 0.08 * (1.0 - distance) * np.sin(2.0 * phase)
    envelope = np.sin(np.pi * np.minimum(1.0, x * 1.02)) ** 0.8
    return np.asarray((np.sin(phase) + second) * envelope * air, np.float32)


def _scattered(song: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
    n = len(song)
    length = min(n, int(SCATTER_S * sample_rate))
    time = np.arange(length) / sample_rate
    decay = 10.0 ** (-3.0 * time / SCATTER_S) * np.minimum(1.0, time / 0.01)
    wood = np.empty_like(song)
    for channel in range(2):
        answer = rng.standard_normal(length) * decay
        answer /= np.sqrt(np.sum(answer**2))
        source = 0.6 * song[:, channel] + 0.4 * song[:, 1 - channel]
        padded = np.pad(answer, (0, n - length)).astype(np.float32)
        wood[:, channel] = fft.irfft(fft.rfft(source) * fft.rfft(padded), n)
    return wood


def _leaves(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    wind = (1.0 + (hz / 180.0) ** 2) ** np.float32(-0.55) * noise.band(hz, 50, 4_000, 1)
    foliage = np.float32(0.10) * noise.band(hz, 2_000.0, 6_000.0, 1)
    return np.asarray(wind + foliage, np.float32)
