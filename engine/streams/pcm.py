"""Samples as plain PCM for pipes and other programs."""

import numpy as np
import soxr

from effects.audio.levels import Samples
from engine.streams.encoder import CHANNELS
from engine.streams.messages import PCM_FORMATS

PCM_RATE = 48_000  # of programs that cannot be told another


class PcmConverter:
    """Turns the master into interleaved PCM.

    Args:
        pcm: "s16le" or "f32le".
        sample_rate: Hz, of the samples given.
        rate: Hz, of the PCM; None keeps it.

    Raises:
        ValueError: no such format.
    """

    def __init__(self, pcm: str, sample_rate: int, rate: int | None = None) -> None:
        if pcm not in PCM_FORMATS:
            raise ValueError(f"{pcm}: none of {PCM_FORMATS}")
        self._pcm = pcm
        self._resampler = None
        if rate is not None and rate != sample_rate:
            self._resampler = soxr.ResampleStream(
                sample_rate, rate, CHANNELS, dtype="float32"
            )

    def convert(self, samples: Samples) -> bytes:
        """Bytes of samples, shape (n, 2); what is not finite is silence."""
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        if self._pcm == "f32le":
            return bytes(samples.astype("<f4").data)
        steps = np.clip(np.rint(samples * 32_768.0), -32_768, 32_767)
        return bytes(steps.astype("<i2").data)
