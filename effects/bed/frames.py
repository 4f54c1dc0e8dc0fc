"""Frames of the bed, ducked band by band under the music.

A frame is two hops of the bed as it will be there, since loops are known ahead, and is
weighted in frequency by gains that are decided once for it. Frames begin one hop apart
on a grid of absolute positions and add up. A frame depends on its number, the layers,
the music's band envelope and the depth alone: to the bit, it is the same in any batch.

Safe in the callback: arrays of fixed size but for the frames themselves, numpy only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.audio.third_octaves import N_BANDS, Bands, band_places
from effects.audio.transforms import inverse_real_fft, real_fft
from effects.bed.layer_mixer import LayerMixer
from effects.bed.loop_layer import LoopLayer, powers_into
from effects.bed.masking import BandEnvelope, duck_into

HOP_S = 0.043  # about: a power of two in samples; bins are 12 Hz apart
CHANNELS = 2
BATCH = 32  # frames that are made at once

_FFT_FRAMES = 16  # numpy's transforms slow down when they are given more


def hop_length(sample_rate: int) -> int:
    """Samples from one frame to the next."""
    return int(2 ** max(5, round(np.log2(HOP_S * sample_rate))))


@dataclass(frozen=True)
class FrameInputs:
    """What a frame is made from, besides its number.

    Attributes:
        layers: of the bed.
        envelope: of the music's partials.
        depth_db: by how much a band is turned down at most.
    """

    layers: tuple[LoopLayer, ...]
    envelope: BandEnvelope
    depth_db: float


@dataclass(frozen=True, eq=False)
class BedFrame:
    """A frame, ready to be added.

    Attributes:
        begin: position of its first sample.
        samples: weighted in time, shape (2 * hop, 2).
        inputs: that it was made from.
        music: what the envelope was at `begin`, shape (N_BANDS,).
    """

    begin: int
    samples: Samples
    inputs: FrameInputs
    music: Bands

    def is_made_from(self, inputs: FrameInputs, scratch: Bands) -> bool:
        """Callback: whether these inputs give the same frame.

        Args:
            inputs: in force.
            scratch: shape (N_BANDS,), overwritten.
        """
        made = self.inputs
        if inputs.depth_db != made.depth_db:
            return False
        if inputs.envelope is not made.envelope:
            inputs.envelope.read_into(scratch, self.begin)
            if not np.array_equal(scratch, self.music):
                return False
        if inputs.layers is made.layers:
            return True
        end = self.begin + len(self.samples)
        return _heard(inputs.layers, self.begin, end) == _heard(
            made.layers, self.begin, end
        )


class FrameMaker:
    """Makes frames. It holds scratch memory: every thread needs its own.

    Args:
        sample_rate: Hz.
        batch: frames at once, at most.
    """

    def __init__(self, sample_rate: int, batch: int = BATCH) -> None:
        self.batch = batch
        self.hop = hop = hop_length(sample_rate)
        position = (np.arange(2 * hop) + 0.5) / (2 * hop)
        self._window = np.sin(np.pi * position).astype(np.float32)
        # Real and imaginary part of a bin get one gain: every entry comes twice.
        below, share = band_places(2 * hop, sample_rate)
        self._below, self._share = np.repeat(below, 2), np.repeat(share, 2)
        self._mixer = LayerMixer(4 * hop, CHANNELS)
        self._dry = np.zeros(((batch + 1) * hop, CHANNELS), np.float32)
        n_fft = min(batch, _FFT_FRAMES)
        self._spectra = np.zeros((n_fft, CHANNELS, hop + 1), np.complex64)
        self._wet = np.zeros((n_fft, CHANNELS, 2 * hop), np.float32)
        self._bed, self._gains = (np.zeros((batch, N_BANDS)) for _ in range(2))
        self._steps = np.zeros((batch, N_BANDS - 1), np.float32)
        self._bins, self._rise = (
            np.zeros((n_fft, 2 * hop + 2), np.float32) for _ in range(2)
        )

    def make(self, number: int, n: int, inputs: FrameInputs) -> list[BedFrame]:
        """Frames `number` to `number + n - 1`.

        Args:
            number: of the first; frame k begins at position k * hop.
            n: how many, up to `batch`.
            inputs: what they are made from.
        """
        hop, frames = self.hop, np.empty((n, CHANNELS, 2 * self.hop), np.float32)
        dry = self._dry[: (n + 1) * hop]
        dry.fill(0.0)
        self._mixer.mix_into(dry, inputs.layers, number * hop)
        hops = dry.reshape(n + 1, hop, CHANNELS).transpose(0, 2, 1)
        music = np.zeros((n, N_BANDS))
        begins = range(number * hop, (number + n) * hop, hop)
        for row, begin in zip(music, begins, strict=True):
            inputs.envelope.read_into(row, begin)
        powers_into(self._bed[:n], inputs.layers, begins)
        gains = self._gains[:n]
        ducked = duck_into(gains, music, self._bed[:n], inputs.depth_db)
        for first in range(0, n, _FFT_FRAMES):
            last = min(n, first + _FFT_FRAMES)
            part, begun, ended = frames[first:last], hops[:-1], hops[1:]
            np.multiply(begun[first:last], self._window[:hop], out=part[..., :hop])
            np.multiply(ended[first:last], self._window[hop:], out=part[..., hop:])
            if ducked[first:last].any():
                self._filter(part, gains[first:last], ducked[first:last])
            part *= self._window
        return [
            BedFrame(begin, frames[i].T, inputs, music[i])
            for i, begin in enumerate(begins)
        ]

    def _filter(
        self,
        frames: Samples,
        gains: Bands,
        ducked: NDArray[np.bool_],
    ) -> None:
        """Weigh the spectra of those frames that are ducked; the others stay."""
        n = len(frames)
        spectra = self._spectra[:n]
        bins, rise, steps = self._bins[:n], self._rise[:n], self._steps[:n]
        gains_32 = gains.astype(np.float32)
        np.subtract(gains_32[:, 1:], gains_32[:, :-1], out=steps)
        np.take(steps, self._below, axis=1, out=rise, mode="clip")
        np.multiply(rise, self._share, out=rise)
        np.take(gains_32, self._below, axis=1, out=bins, mode="clip")
        np.add(bins, rise, out=bins)
        real_fft(frames, spectra)
        parts = spectra.view(np.float32)
        np.multiply(parts, bins[:, None, :], out=parts)
        wet = frames if ducked.all() else self._wet[:n]
        inverse_real_fft(spectra, frames.shape[-1], wet)
        if wet is not frames:
            np.copyto(frames, wet, where=ducked[:, None, None])


def _heard(layers: tuple[LoopLayer, ...], begin: int, end: int) -> list[object]:
    found = (layer.heard_between(begin, end) for layer in layers)
    return [heard for heard in found if heard]
