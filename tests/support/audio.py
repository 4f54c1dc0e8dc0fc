"""What tests measure of audio: by reference libraries, not by the project's code."""

from pathlib import Path

import numpy as np
import pyloudnorm
import soundfile
import soxr

from effects.audio.levels import Samples


def load(path: Path) -> tuple[Samples, int]:
    """A whole file as (n_samples, channels), and its sample rate."""
    samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    return samples, sample_rate


def lufs(samples: Samples, sample_rate: int) -> float:
    """Integrated loudness by pyloudnorm."""
    return float(pyloudnorm.Meter(sample_rate).integrated_loudness(samples))


def true_peak_db(samples: Samples, sample_rate: int) -> float:
    """Peak of the samples oversampled eight times by soxr, in dBTP."""
    dense = soxr.resample(samples, sample_rate, 8 * sample_rate, quality="VHQ")
    return 20.0 * float(np.log10(max(np.max(np.abs(dense)), 1e-10)))


def correlation(samples: Samples) -> float:
    """Pearson correlation of left and right."""
    return float(np.corrcoef(samples[:, 0], samples[:, 1])[0, 1])


def residual_db(heard: Samples, expected: Samples) -> float:
    """Power of the difference against that of the expected, in dB."""
    difference = heard.astype(np.float64) - expected
    power = np.mean(np.square(expected, dtype=np.float64))
    return 10.0 * float(np.log10((np.mean(difference**2) + 1e-20) / (power + 1e-20)))


def align(heard: Samples, expected: Samples, longest: int) -> int:
    """Samples by which `heard` starts later than `expected`: where they differ least.

    Correlation alone would be drawn to where the music is louder.

    Args:
        heard: shape (n, channels), at least as long as `longest` plus a second.
        expected: shape (m, channels).
        longest: delay in samples beyond which is not looked.
    """
    reference = expected[: min(len(expected), len(heard) - longest)].mean(axis=1)
    candidates = heard[: len(reference) + longest].mean(axis=1)
    size = len(reference) + len(candidates)
    spectrum = np.fft.rfft(candidates, size) * np.conj(np.fft.rfft(reference, size))
    product = np.fft.irfft(spectrum, size)[: longest + 1]
    power = np.cumsum(np.concatenate([[0.0], np.square(candidates, dtype=np.float64)]))
    within = power[len(reference) :] - power[: -len(reference)]
    n = min(len(within), len(product))
    return int(np.argmin(within[:n] - 2.0 * product[:n]))


def longest_silence_s(samples: Samples, sample_rate: int) -> float:
    """The longest stretch in which no sample is above -80 dBFS, in seconds."""
    quiet = np.max(np.abs(samples), axis=1) < 1e-4
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet, [0]]).astype(np.int8)))
    return float((edges[1::2] - edges[::2]).max(initial=0)) / sample_rate


def level_step_db(samples: Samples, at: int, window: int) -> float:
    """Level just after `at` against just before it, over `window` samples, in dB."""
    before = np.mean(np.square(samples[at - window : at], dtype=np.float64))
    after = np.mean(np.square(samples[at : at + window], dtype=np.float64))
    return 10.0 * float(np.log10((after + 1e-20) / (before + 1e-20)))
