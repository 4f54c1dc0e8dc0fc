"""Gating blocks: the K-weighted power of a stream, every tenth of a second.

Both the loudness of a recording and the meters are made of them (ITU-R BS.1770-5):
blocks of 0.4 s that overlap by three quarters. Each is put together of three pieces of
0.2 s, weighted by their spectra: under a window that is half of a sine, the powers of
pieces that overlap by half add up to that of the whole. So each sample is transformed
twice, and nothing has to be kept but the samples that two pieces share. What a stream
begins with abruptly lies at the edge of the window, and counts little.
"""

import numpy as np

from effects.audio.k_weighting import k_weighting
from effects.audio.levels import Samples
from effects.audio.transforms import complex_fft, quick_length

HOP_S = 0.1
HOPS_A_BLOCK = 4
BLOCK_S = HOPS_A_BLOCK * HOP_S
PIECES = HOPS_A_BLOCK - 1  # of two hops each, in a block


class GatingBlocks:
    """Cuts a stream into gating blocks and measures the weighted power of each.

    Args:
        sample_rate: Hz.
        channels: of the stream.
    """

    def __init__(self, sample_rate: int, channels: int = 2) -> None:
        self._hop = round(HOP_S * sample_rate)
        self._length = 2 * self._hop
        # Two channels are the real and the imaginary part of one signal: what each
        # has at a frequency is in the sum of powers there and at its negative.
        n_fft = quick_length(self._length)
        pairs = (channels + 1) // 2
        self._piece = np.zeros((n_fft, 2 * pairs), np.float32)
        self._spectra = np.zeros((n_fft, pairs), np.complex64)
        frequencies = np.abs(np.fft.fftfreq(n_fft, 1.0 / sample_rate))
        window = np.sin(np.pi * (np.arange(self._length) + 0.5) / self._length)
        self._window = np.repeat(window.astype(np.float32)[:, None], channels, axis=1)
        # What is transformed are the steps from sample to sample: of the samples
        # themselves, rumble would leak past the weighting's high-pass.
        of_steps = 4.0 * np.sin(np.pi * frequencies / sample_rate) ** 2
        of_steps[0] = 1.0  # the weighting leaves nothing at 0 Hz
        # Spectrum to the share of a block's mean square that a piece has.
        weights = k_weighting(frequencies) / of_steps / (PIECES * np.sum(window**2))
        # Real and imaginary part of a bin, of every pair, get one weight.
        self._weights = np.repeat(weights, 2 * pairs).astype(np.float32)
        self._last: Samples = np.zeros((1, channels), np.float32)
        self._kept: Samples = np.zeros((0, channels), np.float32)
        self._before: list[float] = []  # of the last pieces, one fewer than a block has

    def add(self, samples: Samples) -> list[float]:
        """Mean squares, summed over channels, of the blocks that are complete now.

        Args:
            samples: more of the stream, shape (n, channels), finite.
        """
        steps = np.diff(samples, axis=0, prepend=self._last)
        waiting = np.concatenate([self._kept, steps])
        powers, start = self._before, 0
        while start + self._length <= len(waiting):
            powers.append(self._power(waiting[start : start + self._length]))
            start += self._hop
        self._kept = waiting[start:].copy()
        self._last = samples[-1:].copy() if len(samples) else self._last
        n_blocks = max(0, len(powers) - PIECES + 1)
        self._before = powers[n_blocks:]
        return [sum(powers[first : first + PIECES]) for first in range(n_blocks)]

    def _power(self, piece: Samples) -> float:
        """What a piece adds to the mean square of a block."""
        inside = self._piece[: self._length, : piece.shape[1]]
        np.multiply(piece, self._window, out=inside)
        pairs = self._piece.view(np.complex64)
        parts = complex_fft(pairs, self._spectra).view(np.float32).reshape(-1)
        np.square(parts, out=parts)
        np.multiply(parts, self._weights, out=parts)
        return float(parts.sum())


def lufs_of(mean_square: float) -> float:
    """Loudness in LUFS of a weighted mean square; about -200 for silence."""
    return float(-0.691 + 10.0 * np.log10(mean_square + 1e-20))
