"""Gating blocks: the K-weighted power of a stream, every tenth of a second.

Both the loudness of a recording and the meters are made of them (ITU-R BS.1770-5):
blocks of 0.4 s that overlap by three quarters, each weighted by its spectrum, so that
nothing has to be kept from one block to the next but the samples that they share.
"""

from typing import Any

import numpy as np

from effects.audio.k_weighting import k_weighting
from effects.audio.levels import Samples

HOP_S = 0.1
HOPS_A_BLOCK = 4


class GatingBlocks:
    """Cuts a stream into gating blocks and measures the weighted power of each.

    Args:
        sample_rate: Hz.
        channels: of the stream.
    """

    def __init__(self, sample_rate: int, channels: int = 2) -> None:
        self._hop = round(HOP_S * sample_rate)
        self._length = HOPS_A_BLOCK * self._hop
        n_bins = self._length // 2 + 1
        frequencies = np.arange(n_bins, dtype=np.float64)
        frequencies *= sample_rate / self._length
        # Without tapers, rumble leaks past the weighting's high-pass.
        taper = np.sin(0.5 * np.pi * (np.arange(self._hop) + 0.5) / self._hop) ** 2
        self._window = np.ones(self._length, np.float32)
        self._window[: self._hop] = taper
        self._window[-self._hop :] = taper[::-1]
        # One-sided spectrum to mean square; the weighting leaves nothing at 0 Hz.
        energy = float(np.sum(self._window**2))
        weights = k_weighting(frequencies) * 2.0 / (self._length * energy)
        # Real and imaginary part of a bin get one weight: every entry comes twice.
        self._weights = np.repeat(weights, 2)
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
        spectra: Any = np.fft.rfft(np.ascontiguousarray(block.T) * self._window)
        parts: Samples = spectra.view(np.float32)
        np.square(parts, out=parts)
        return float(parts.sum(axis=0, dtype=np.float64) @ self._weights)


def lufs_of(mean_square: float) -> float:
    """Loudness in LUFS of a weighted mean square; about -200 for silence."""
    return float(-0.691 + 10.0 * np.log10(mean_square + 1e-20))
