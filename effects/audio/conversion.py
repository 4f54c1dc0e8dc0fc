"""Conversion of sample rate and number of channels."""

import numpy as np

from effects.audio.levels import Samples


def to_stereo(samples: Samples) -> Samples:
    """Samples as two channels: mono is doubled, more than two are folded.

    Args:
        samples: shape (n_samples, channels). Of more than two channels the even
            ones are averaged into the left, the odd ones into the right.

    Returns:
        Shape (n_samples, 2), float32.
    """
    channels = samples.shape[1]
    if channels == 2:
        return samples
    if channels == 1:
        return np.repeat(samples, 2, axis=1)
    left, right = samples[:, 0::2].mean(axis=1), samples[:, 1::2].mean(axis=1)
    return np.stack([left, right], axis=1).astype(np.float32)


def resample(samples: Samples, from_rate: float, to_rate: float) -> Samples:
    """Samples at another sample rate, converted by soxr at its high quality.

    Args:
        samples: shape (n_samples, channels).
        from_rate: Hz, or any number that stands to `to_rate` as it does.
        to_rate: Hz.

    Returns:
        Shape (about n_samples * to_rate / from_rate, channels), float32.
    """
    import soxr

    if from_rate == to_rate:
        return samples
    converted: Samples = soxr.resample(samples, from_rate, to_rate, quality="HQ")
    return converted.astype(np.float32, copy=False)
