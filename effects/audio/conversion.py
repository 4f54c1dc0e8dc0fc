"""Conversion of sample rate and number of channels."""

import numpy as np

from effects.audio.levels import Samples

# Gains to left and right of each channel in the order of WAV, by number of channels:
# ITU-R BS.775-4, table 2. The centre and the surrounds come 3 dB lower, a centre at the
# back 6 dB, and the channel for low-frequency effects is left out.
_L, _R, _C, _NONE = (1.0, 0.0), (0.0, 1.0), (0.5**0.5, 0.5**0.5), (0.0, 0.0)
_LS, _RS, _CS = (0.5**0.5, 0.0), (0.0, 0.5**0.5), (0.5, 0.5)
_FOLD = {
    3: (_L, _R, _C),
    4: (_L, _R, _LS, _RS),
    5: (_L, _R, _C, _LS, _RS),
    6: (_L, _R, _C, _NONE, _LS, _RS),
    7: (_L, _R, _C, _NONE, _CS, _LS, _RS),
    8: (_L, _R, _C, _NONE, _LS, _RS, _LS, _RS),
}
# Where each channel of the order of WAV stands in Ogg files (Vorbis I, section 4.3.9).
_IN_OGG = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 5, 3, 4),
    7: (0, 2, 1, 6, 5, 3, 4),
    8: (0, 2, 1, 7, 5, 6, 3, 4),
}


def to_stereo(samples: Samples) -> Samples:
    """Convert to two channels: mono is doubled, surround sound is folded down.

    Args:
        samples: shape (n_samples, channels), 1 to 8 channels in the order of WAV.

    Returns:
        Shape (n_samples, 2), float32. Full-scale surround sound may exceed full scale.
    """
    channels = samples.shape[1]
    if channels == 2:
        return samples
    if channels == 1:
        return np.repeat(samples, 2, axis=1)
    gains = np.array(_FOLD[channels], np.float32)
    return samples.astype(np.float32, copy=False) @ gains


def in_wav_order(samples: Samples, container: str) -> Samples:
    """Put the channels that were read from a file into the order of WAV.

    Args:
        samples: shape (n_samples, channels).
        container: of the file, as libsndfile names it; Ogg has an order of its own.

    Returns:
        Shape (n_samples, channels).
    """
    order = _IN_OGG.get(samples.shape[1]) if container == "OGG" else None
    return samples if order is None else samples[:, order]


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
