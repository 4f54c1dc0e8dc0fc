"""Water dripping in a cave.

What it follows: the plink of a drop is the bubble that it traps below the surface, a
damped tone by Minnaert's law (Phillips, Agarwal and Jordan, Sci. Rep. 8, 2018); a
drip falls nearly regularly, as its drop fills at a steady rate. The cave answers with
exponentially decaying noise, its treble decaying sooner (Moorer, Computer Music J. 3,
1979).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.levels import Samples
from effects.generators import noise

DRIPS = 12  # places where it drips
PERIOD_S = (2.6, 13.0)
REVERB_S = 3.2  # to -60 dB at low frequencies
REVERB_HZ = (300.0, 900.0, 2_500.0, 6_000.0)  # band edges of the decay times
REVERB_SHARES = (1.0, 0.85, 0.6, 0.35, 0.18)


def render(sample_rate: int, seconds: float, rng: np.random.Generator) -> Samples:
    """A dripping cave as a seamless loop, shape (n_samples, 2), RMS near 1."""
    n = noise.length_of(sample_rate, seconds)
    dry = np.zeros((n, 2), np.float32)
    for _ in range(DRIPS):
        hz = np.exp(rng.uniform(np.log(650.0), np.log(3_800.0)))
        period_s, phase = rng.uniform(*PERIOD_S), rng.random()
        count = max(2, round(n / sample_rate / period_s))
        level = 0.25 + rng.exponential(0.4)
        pan = noise.pan_gains(float(rng.uniform(-0.7, 0.7)))
        for drop in range(count):
            at = (drop + phase + 0.08 * rng.standard_normal()) * n / count
            grain = _plink(hz * (1.0 + 0.08 * rng.standard_normal()), sample_rate, rng)
            noise.scatter(dry, grain[:, None], int(at), level * pan)
    cave = _reverberated(dry, sample_rate, rng)
    wet = np.float32(0.35) * dry + noise.unit_rms(cave) * np.float32(
        0.9 * np.sqrt(np.mean(dry**2))
    )
    trickle = noise.shaped_noise(n, sample_rate, _air, rng, coherence=0.15)
    breath = noise.slow_curve(n, sample_rate, rng, low_hz=0.05, high_hz=1.0)
    trickle *= np.exp(np.float32(0.2) * breath)[:, None]
    return noise.unit_rms(noise.unit_rms(wet) + np.float32(0.16) * trickle)


def _plink(
    hz: float, sample_rate: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A splash, then the bubble: its pitch rises as it closes in on the surface."""
    time = np.arange(int(0.12 * sample_rate)) / sample_rate
    damping = rng.uniform(35.0, 80.0)
    rise = rng.uniform(0.5, 2.5)
    bubble = np.sin(2.0 * np.pi * hz * (time + 0.5 * rise * time**2))
    bubble *= np.exp(-damping * time) * np.minimum(1.0, time / 0.001)
    splash = rng.standard_normal(len(time)) * np.exp(-time / 0.002)
    delay = int(rng.uniform(0.004, 0.02) * sample_rate)
    plink = 0.05 * splash
    plink[delay:] += bubble[: len(time) - delay]
    return np.asarray(plink * np.minimum(1.0, (time[-1] - time) / 0.01), np.float32)


def _reverberated(dry: Samples, sample_rate: int, rng: np.random.Generator) -> Samples:
    n = len(dry)
    length = min(n, int(1.3 * REVERB_S * sample_rate))
    time = np.arange(length) / sample_rate
    hz = fft.rfftfreq(length, 1.0 / sample_rate)
    edges = (0.0, *REVERB_HZ, sample_rate)
    wet = np.empty_like(dry)
    for channel in range(2):
        white = fft.rfft(rng.standard_normal(length))
        answer = np.zeros(length)
        for low, high, share in zip(edges[:-1], edges[1:], REVERB_SHARES, strict=True):
            part = fft.irfft(white * ((hz >= low) & (hz < high)), length)
            answer += part * 10.0 ** (-3.0 * time / (REVERB_S * share))
        answer *= np.minimum(1.0, time / 0.015)
        # Each ear hears both sides, its own sooner and louder.
        source = 0.65 * dry[:, channel] + 0.35 * dry[:, 1 - channel]
        padded = np.pad(answer, (0, n - length)).astype(np.float32)
        wet[:, channel] = fft.irfft(fft.rfft(source) * fft.rfft(padded), n)
    return wet


def _air(hz: NDArray[np.float32]) -> NDArray[np.float32]:
    low = noise.band(hz, 60.0, 350.0, 1)
    trickle = np.float32(0.25) * noise.band(hz, 900.0, 3_500.0, 1)
    return np.asarray(low + trickle, np.float32)
