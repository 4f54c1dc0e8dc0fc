"""A wood fire.

What it follows: the roar of a flame falls as about f^-2.5 in power above some
hundred hertz (Clavin and Siggia, Combust. Sci. Technol. 78, 1991) and flickers at
1.5 / sqrt(D) hertz for a base of D metres (Cetegen and Ahmed, Combust. Flame 93,
1993). Crackles are what cracking materials give: sharp events of all sizes, by a
power law of energy (Sethna, Dahmen and Myers, Nature 410, 2001), in clusters. Steam
hisses out of the wood.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.levels import Samples
from effects.generators import noise

BASE_M = 0.35
FLICKER_HZ = 1.5 / BASE_M**0.5
CRACKLES_HZ = 9.0
ENERGY_EXPONENT = 1.6
ENERGIES = (1.0, 100.0)
LENGTH_S = 0.12
N_SHAPES = 400


def render(sample_rate: int, seconds: float, rng: np.random.Generator) -> Samples:
    """A fire as a seamless loop, shape (n_samples, 2), RMS near 1."""
    n = noise.length_of(sample_rate, seconds)
    roar = noise.shaped_noise(n, sample_rate, _roar, rng, coherence=0.5)
    flame = noise.slow_curve(n, sample_rate, rng, low_hz=0.2, high_hz=2.0 * FLICKER_HZ)
    puff = noise.slow_curve(
        n, sample_rate, rng, low_hz=FLICKER_HZ, high_hz=1.4 * FLICKER_HZ, slope=0.0
    )
    level = np.exp(np.float32(0.25) * flame + np.float32(0.18) * puff)
    roar *= level[:, None]
    hiss = noise.shaped_noise(n, sample_rate, _hiss, rng, coherence=0.1)
    steam = noise.slow_curve(n, sample_rate, rng, low_hz=0.08, high_hz=3.0)
    hiss *= np.exp(np.float32(0.5) * steam)[:, None]
    crackles = _crackles(n, sample_rate, rng)
    fire = np.float32(0.8) * roar + np.float32(0.055) * hiss
    return noise.unit_rms(fire + np.float32(0.32) * noise.unit_rms(crackles))


def _crackles(n: int, sample_rate: int, rng: np.random.Generator) -> Samples:
    shapes = _pops(sample_rate, rng)
    first = noise.poisson_times(CRACKLES_HZ / 3.0, n, sample_rate, rng)
    # A crack sets off others: each is followed by a geometric number of them.
    runs = rng.geometric(1.0 / 3.0, len(first))
    delays = rng.exponential(0.06, int(runs.sum())) * sample_rate
    times = (np.repeat(first, runs) + delays.astype(np.int64)) % n
    low, high = (energy ** (1.0 - ENERGY_EXPONENT) for energy in ENERGIES)
    uniform = rng.random(len(times))
    energy = (low + (high - low) * uniform) ** (1.0 / (1.0 - ENERGY_EXPONENT))
    pan = np.pi / 4 * (1.0 + np.clip(0.45 * rng.standard_normal(len(times)), -0.9, 0.9))
    gains = np.sqrt(energy)[:, None] * np.stack([np.cos(pan), np.sin(pan)], axis=1)
    crackles = np.zeros((n, 2), np.float32)
    kinds = rng.integers(0, N_SHAPES, len(times))
    noise.scatter_many(crackles, shapes[kinds], times, gains.astype(np.float32))
    return crackles


def _pops(sample_rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Crackles as heard from the bench, shape (N_SHAPES, length), unit energy.

    At its wood a crack is an impulse. Some metres on it has come by the ground, the
    logs and the listener's surroundings too, each path with less treble: a knock of
    some milliseconds that rises before it falls, and a faint tail.
    """
    n = int(LENGTH_S * sample_rate)
    time = np.arange(n) / sample_rate
    hz = np.maximum(fft.rfftfreq(n, 1.0 / sample_rate), 1.0)
    centre = np.exp(rng.uniform(np.log(500.0), np.log(3_200.0), (N_SHAPES, 1)))
    width = rng.uniform(0.5, 1.1, (N_SHAPES, 1))  # octaves
    colour = np.exp(-0.5 * (np.log2(hz / centre) / width) ** 2)
    rough = fft.irfft(fft.rfft(rng.standard_normal((N_SHAPES, n))) * colour, n)
    rise = rng.uniform(0.0022, 0.0055, (N_SHAPES, 1))
    knock = time / rise * np.exp(1.0 - time / rise)
    tail = 0.10 * np.minimum(1.0, time / 0.008) * np.exp(-time / 0.028)
    pops = rough * (knock + tail) * np.minimum(1.0, (time[-1] - time) / 0.02)
    pops /= np.sqrt(np.sum(pops**2, axis=1, keepdims=True))
    return np.asarray(pops, np.float32)


def _roar(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    fall = (1.0 + (hz / 220.0) ** 2) ** np.float32(-0.625)
    return np.asarray(fall * noise.band(hz, 45.0, 9_000.0, 1), np.float32)


def _hiss(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    return noise.band(hz, 2_500.0, 9_000.0, 1)
