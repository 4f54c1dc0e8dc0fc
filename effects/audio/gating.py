"""Gating blocks: the K-weighted power of a stream, every tenth of a second.

Both the loudness of a recording and the meters are made of them (ITU-R BS.1770-5):
blocks of 0.4 s that overlap by three quarters, each weighted by its spectrum, so that
nothing has to be kept from one block to the next but the samples that they share.
"""

import numpy as np

from effects.audio.k_weighting import k_weighting
from effects.audio.levels import Samples
from effects.audio.transforms import complex_fft, quick_length

HOP_S = 0.1
HOPS_A_BLOCK = 4
BLOCK_S = HOPS_A_BLOCK * HOP_S


class GatingBlocks:
    """Cuts a stream into gating blocks and measures the weighted power of each.

    Args:
        sample_rate: Hz.
        channels: of the stream.
    """

    def __init__(self, sample_rate: int, channels: int = 2) -> None:
        self._hop = round(HOP_S * sample_rate)
        self._length = HOPS_A_BLOCK * self._hop
        # Two channels are the real and the imaginary part of one signal: what each
        # has at a frequency is in the sum of powers there and at its negative.
        n_fft = quick_length(self._length)
        pairs = (channels + 1) // 2
        self._block = np.zeros((n_fft, 2 * pairs), np.float32)
        self._spectra = np.zeros((n_fft, pairs), np.complex64)
        frequencies = np.abs(np.fft.fftfreq(n_fft, 1.0 / sample_rate))
        # Without tapers, rumble leaks past the weighting's high-pass.
        taper = np.sin(0.5 * np.pi * (np.arange(self._hop) + 0.5) / self._hop) ** 2
        window = np.ones(self._length, np.float32)
        window[: self._hop] = taper
        window[-self._hop :] = taper[::-1]
        self._window = np.repeat(window[:, None], channels, axis=1)
        # Spectrum to mean square; the weighting leaves nothing at 0 Hz.
        weights = k_weighting(frequencies) / float(np.sum(window**2))
        # Real and imaginary part of a bin, of every pair, get one weight.
        self._weights = np.repeat(weights, 2 * pairs).astype(np.float32)
        self._kept: Samples = np.zeros((0, channels), np.float32)

    def add(self, samples: Samples) -> list[float]:
        """Mean squares, summed over channels, of the blocks that are complete now.

        Args:
            samples: more of the stream, shape (n, channels), finite.
        """
        waiting = np.concatenate([self._kept, samples])
        found = []
        start = 0
        while start + self._length <= len(waiting):
            found.append(self._mean_square(waiting[start : start + self._length]))
            start += self._hop
        self._kept = waiting[start:].copy()
        return found

    def _mean_square(self, block: Samples) -> float:
        inside = self._block[: self._length, : block.shape[1]]
        np.multiply(block, self._window, out=inside)
        pairs = self._block.view(np.complex64)
        parts = complex_fft(pairs, self._spectra).view(np.float32).reshape(-1)
        np.square(parts, out=parts)
        np.multiply(parts, self._weights, out=parts)
        return float(parts.sum())


def lufs_of(mean_square: float) -> float:
    """Loudness in LUFS of a weighted mean square; about -200 for silence."""
    return float(-0.691 + 10.0 * np.log10(mean_square + 1e-20))
