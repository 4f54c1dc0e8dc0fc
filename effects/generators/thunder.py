"""A thunderstorm some kilometres away, over a hush of rain.

What it follows: the spectrum of thunder peaks below 100 Hz, by the energy of the
stroke (Few, J. Geophys. Res. 74, 1969); the channel is tortuous, so that its parts
arrive one after another, as claps and a rumble of 10 to 30 s; the air takes the
treble of what comes from farther up the channel, so each rumble grows darker as it
goes.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.levels import Samples
from effects.generators import noise, rain

PEAK_HZ = 55.0
EVERY_S = 22.0
RUMBLE_S = (9.0, 18.0)
BANDS_HZ = ((25.0, 70.0, 1.0), (60.0, 150.0, 0.9), (120.0, 320.0, 0.5), (300, 900, 0.2))


def render(sample_rate: int, seconds: float, rng: np.random.Generator) -> Samples:
    """Distant thunder as a seamless loop, shape (n_samples, 2), RMS near 1."""
    n = noise.length_of(sample_rate, seconds)
    storm = np.zeros((n, 2), np.float32)
    count = max(1, round(seconds / EVERY_S))
    slots = (np.arange(count) + rng.uniform(0.1, 0.7, count)) * (n / count)
    for start in slots:
        distance = rng.uniform(0.3, 1.0)
        rumble = _rumble(sample_rate, rng, distance)
        noise.scatter(storm, rumble, int(start), 1.15 - 0.75 * distance)
    hush = rain.far_drops(n, sample_rate, rng, intensity=0.35)
    ground = noise.shaped_noise(n, sample_rate, _ground, rng, coherence=0.6)
    breath = noise.slow_curve(n, sample_rate, rng, low_hz=0.05, high_hz=1.0)
    ground *= np.exp(np.float32(0.35) * breath)[:, None]
    storm *= np.float32(1.0 / (np.max(np.abs(storm)) + 1e-9))
    return noise.unit_rms(storm + np.float32(0.02) * hush + np.float32(0.016) * ground)


def _rumble(sample_rate: int, rng: np.random.Generator, distance: float) -> Samples:
    """One flash: claps from parts of the channel, each fainter, darker and longer."""
    length_s = rng.uniform(*RUMBLE_S)
    n = fft.next_fast_len(int(length_s * sample_rate), real=True)
    time = np.arange(n, dtype=np.float32) / np.float32(sample_rate)
    flash = np.zeros((n, 2), np.float32)
    claps = np.sort(rng.exponential(0.28 * length_s, rng.integers(7, 13)))
    claps = np.concatenate([[rng.uniform(0.1, 0.5)], claps[claps < 0.8 * length_s]])
    strength = rng.lognormal(0.0, 0.75, len(claps)) * np.exp(-claps / (0.5 * length_s))
    width = rng.uniform(0.25, 1.4, len(claps)) * (0.7 + distance)
    for low, high, level in BANDS_HZ:
        # Treble only from the near parts, so early, and less of it from afar.
        dark = (high / 150.0) ** 0.5 * (0.4 + distance)
        envelope = np.zeros(n, np.float32)
        for at, amount, spread in zip(claps, strength, width, strict=True):
            since = np.maximum(time - at, 0.0) / (spread * (150.0 / high) ** 0.3)
            swell = since * np.exp(1.0 - since)
            envelope += swell * np.float32(amount * np.exp(-dark * at / length_s * 6.0))
        colour = noise.shaped_noise(
            n, sample_rate, _band(low, high), rng, coherence=0.6
        )
        faint = level * np.exp(-1.2 * distance * max(0.0, np.log2(high / 150.0)))
        flash += colour * envelope[:, None] * np.float32(faint)
    edge = np.minimum(1.0, np.minimum(time / 0.05, (time[-1] - time) / 1.5))
    flash *= edge[:, None]
    return np.asarray(flash / (np.max(np.abs(flash)) + 1e-9), np.float32)


def _band(low: float, high: float) -> noise.Spectrum:
    def amplitude(hz: NDArray[np.float32]) -> NDArray[np.float32]:
        return noise.band(hz, low, high, 2)

    return amplitude


def _ground(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    return noise.band(hz, 40.0, 400.0, 1)
