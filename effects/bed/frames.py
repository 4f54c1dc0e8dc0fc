"""Frames of the bed, filtered band by band: low-passed, and ducked under the music.

A frame is a stretch of the bed as it will be there, since loops are known ahead, and is
weighted in frequency by gains that are decided once for it. Frames begin one hop apart
on a grid of absolute positions; each fades into the next over its last quarter. A frame
depends on its number, the layers, the music's band envelope and the bed's filter alone:
to the bit, it is the same in any batch.

Safe in the callback: arrays of fixed size but for the frames themselves, numpy only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.audio.third_octaves import N_BANDS, Bands, band_places
from effects.audio.transforms import inverse_real_fft, quick_length, real_fft
from effects.bed.filtering import BedFilter, gains_into
from effects.bed.layer_mixer import LayerMixer
from effects.bed.loop_layer import LoopLayer, powers_into
from effects.bed.masking import BandEnvelope

FADE_S = 0.0265  # about: from one frame to the next; bins are 9 Hz apart
HOP_FADES = 3  # fades in a hop; a frame has four, so a third of a bed is made twice
CHANNELS = 2
BATCH = 32  # frames that are made at once

_FFT_FRAMES = 16  # numpy's transforms slow down when they are given more


def fade_length(sample_rate: int) -> int:
    """Samples over which a frame fades into the next."""
    return quick_length(max(8, round(FADE_S * sample_rate)))


def hop_length(sample_rate: int) -> int:
    """Samples from one frame to the next."""
    return HOP_FADES * fade_length(sample_rate)


@dataclass(frozen=True)
class FrameInputs:
    """What a frame is made from, besides its number.

    Attributes:
        layers: of the bed.
        envelope: of the music's partials.
        bed_filter: in force.
    """

    layers: tuple[LoopLayer, ...]
    envelope: BandEnvelope
    bed_filter: BedFilter


@dataclass(frozen=True, eq=False)
class BedFrame:
    """A frame, ready to be added.

    Attributes:
        begin: position of its first sample.
        samples: faded at both ends, shape (hop + fade, 2).
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
        if inputs.bed_filter != made.bed_filter:
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
        self.hop, self._fade = hop_length(sample_rate), fade_length(sample_rate)
        self._length = length = self.hop + self._fade
        # Sines, before and after it is filtered: frames add up to what they are of.
        place = (np.arange(self._fade) + 0.5) / self._fade
        self._rise = np.sin(0.5 * np.pi * place).astype(np.float32)
        self._fall = np.ascontiguousarray(self._rise[::-1])
        # Real and imaginary part of a bin get one gain: every entry comes twice.
        below, share = band_places(length, sample_rate)
        self._below, self._share = np.repeat(below, 2), np.repeat(share, 2)
        self._mixer = LayerMixer(2 * length, CHANNELS)
        self._dry = np.zeros((batch * self.hop + self._fade, CHANNELS), np.float32)
        n_fft = min(batch, _FFT_FRAMES)
        self._spectra = np.zeros((n_fft, CHANNELS, length // 2 + 1), np.complex64)
        self._wet = np.zeros((n_fft, CHANNELS, length), np.float32)
        self._bed, self._gains = (np.zeros((batch, N_BANDS)) for _ in range(2))
        self._steps = np.zeros((batch, N_BANDS - 1), np.float32)
        self._bins, self._slopes = (
            np.zeros((n_fft, length + 2), np.float32) for _ in range(2)
        )

    def make(self, number: int, n: int, inputs: FrameInputs) -> list[BedFrame]:
        """Frames `number` to `number + n - 1`.

        Args:
            number: of the first; frame k begins at position k * hop.
            n: how many, up to `batch`.
            inputs: what they are made from.
        """
        hop, fade = self.hop, self._fade
        frames = np.empty((n, CHANNELS, self._length), np.float32)
        dry = self._dry[: n * hop + fade]
        dry.fill(0.0)
        self._mixer.mix_into(dry, inputs.layers, number * hop)
        begun = dry[: n * hop].reshape(n, hop, CHANNELS).transpose(0, 2, 1)
        ended = dry[fade:].reshape(n, hop, CHANNELS).transpose(0, 2, 1)[..., -fade:]
        music = np.zeros((n, N_BANDS))
        begins = range(number * hop, (number + n) * hop, hop)
        for row, begin in zip(music, begins, strict=True):
            inputs.envelope.read_into(row, begin)
        powers_into(self._bed[:n], inputs.layers, begins)
        gains = self._gains[:n]
        filtered = gains_into(gains, music, self._bed[:n], inputs.bed_filter)
        for first in range(0, n, _FFT_FRAMES):
            last = min(n, first + _FFT_FRAMES)
            part = frames[first:last]
            np.copyto(part[..., :hop], begun[first:last])
            np.copyto(part[..., hop:], ended[first:last])
            self._fade_ends(part)
            if filtered[first:last].any():
                self._filter(part, gains[first:last], filtered[first:last])
            self._fade_ends(part)
        return [
            BedFrame(begin, frames[i].T, inputs, music[i])
            for i, begin in enumerate(begins)
        ]

    def _fade_ends(self, frames: Samples) -> None:
        frames[..., : self._fade] *= self._rise
        frames[..., self.hop :] *= self._fall

    def _filter(
        self,
        frames: Samples,
        gains: Bands,
        filtered: NDArray[np.bool_],
    ) -> None:
        """Weigh the spectra of those frames that are filtered; the others stay."""
        n = len(frames)
        spectra = self._spectra[:n]
        bins, slopes, steps = self._bins[:n], self._slopes[:n], self._steps[:n]
        gains_32 = gains.astype(np.float32)
        np.subtract(gains_32[:, 1:], gains_32[:, :-1], out=steps)
        np.take(steps, self._below, axis=1, out=slopes, mode="clip")
        np.multiply(slopes, self._share, out=slopes)
        np.take(gains_32, self._below, axis=1, out=bins, mode="clip")
        np.add(bins, slopes, out=bins)
        real_fft(frames, spectra)
        parts = spectra.view(np.float32)
        np.multiply(parts, bins[:, None, :], out=parts)
        wet = frames if filtered.all() else self._wet[:n]
        inverse_real_fft(spectra, frames.shape[-1], wet)
        if wet is not frames:
            np.copyto(frames, wet, where=filtered[:, None, None])


def _heard(layers: tuple[LoopLayer, ...], begin: int, end: int) -> list[object]:
    found = (layer.heard_between(begin, end) for layer in layers)
    return [heard for heard in found if heard]
