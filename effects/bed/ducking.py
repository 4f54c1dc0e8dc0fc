"""The bed on its way to the mixer: frames that are made ahead, added in the callback.

`make_ahead` belongs to a thread that may take its time, or to the loop of an offline
render; `mix_into` to the callback. They share a fixed number of places for frames, each
replaced as a whole. The callback takes a frame that was made from what is in force when
it comes to it, and makes one itself if there is none, so what sounds never depends on
how far ahead frames were made.

Safe in the callback: no lock, memory of fixed size, numpy only.
"""

import numpy as np

from effects.audio.levels import Samples, planar
from effects.audio.third_octaves import N_BANDS
from effects.bed.filtering import BedFilter
from effects.bed.frames import (
    CHANNELS,
    BedFrame,
    FrameInputs,
    FrameMaker,
    fade_length,
    hop_length,
)
from effects.bed.masking import BandEnvelope
from effects.bed.published_layers import PublishedLayers

AHEAD = 26  # frames that `make_ahead` makes, two seconds; it begins when half are left

_PLACES = 32  # of frames: a whole batch, or those ahead and a few that are being read


class DuckedBed:
    """The bed's layers, filtered, and ducked under the music.

    Args:
        layers: of the bed.
        sample_rate: Hz.
        batch: frames that `mix_into` makes at once when it finds none, if the music
            is known so far: 1 for a callback, more where none are made ahead.
    """

    def __init__(
        self, layers: PublishedLayers, sample_rate: int, *, batch: int = 1
    ) -> None:
        self._published = layers
        self._hop, self._fade = hop_length(sample_rate), fade_length(sample_rate)
        self._maker = FrameMaker(sample_rate, batch)
        self._ahead_maker: FrameMaker | None = None
        self._sample_rate = sample_rate
        self._places: list[BedFrame | None] = [None] * _PLACES
        self._chunk = -2  # number of the hop that is ready
        self._last: BedFrame | None = None  # the frame that begins with it
        self._ready = planar(self._hop, CHANNELS)
        self._scratch = np.zeros(N_BANDS)
        self._scratch_ahead = np.zeros(N_BANDS)

    def mix_into(
        self, out: Samples, position: int, envelope: BandEnvelope, bed_filter: BedFilter
    ) -> None:
        """Callback: add the bed for positions [position, position + len(out)).

        Args:
            out: shape (n_samples, 2), added to in place.
            position: absolute sample that `out[0]` is.
            envelope: of the music's partials, known up to the end of `out`.
            bed_filter: in force.
        """
        done = 0
        while done < len(out):
            chunk, start = divmod(position + done, self._hop)
            if chunk != self._chunk:
                self._advance(chunk, envelope, bed_filter)
            n = min(len(out) - done, self._hop - start)
            target = out[done : done + n]
            np.add(target, self._ready[start : start + n], out=target)
            done += n

    def make_ahead(
        self, position: int, envelope: BandEnvelope, bed_filter: BedFilter
    ) -> None:
        """Another thread: make the frames that come after a position, as far as known.

        Nothing is made while all frames of the nearer half are there: a few at a time
        cost each twice as much as a dozen.

        Args:
            position: that the callback has come to.
            envelope: of the music's partials.
            bed_filter: in force.
        """
        if self._ahead_maker is None:
            self._ahead_maker = FrameMaker(self._sample_rate, AHEAD)
        maker = self._ahead_maker
        inputs = FrameInputs(self._published.layers, envelope, bed_filter)
        number = position // self._hop
        stop = number + min(AHEAD, self._n_known(number, envelope, AHEAD))
        near = min(stop, number + AHEAD // 2)
        if all(self._is_there(nearer, inputs) for nearer in range(number, near)):
            return
        while number < stop:
            if self._is_there(number, inputs):
                number += 1
                continue
            n = min(maker.batch, stop - number)
            self._keep(number, maker.make(number, n, inputs))
            number += n

    def _is_there(self, number: int, inputs: FrameInputs) -> bool:
        frame = self._places[number % _PLACES]
        return _is_ready(frame, number * self._hop, inputs, self._scratch_ahead)

    def _advance(
        self, chunk: int, envelope: BandEnvelope, bed_filter: BedFilter
    ) -> None:
        """Make hop number `chunk` ready: the frame before fades out in it."""
        hop, fade, ready = self._hop, self._fade, self._ready
        goes_on = chunk == self._chunk + 1
        # The frame before is made, and fades out at the beginning of the hop.
        decided = chunk * hop + fade if goes_on else (chunk - 1) * hop
        layers = self._published.answer(decided)
        inputs = FrameInputs(layers, envelope, bed_filter)
        before = self._last
        if before is None or not goes_on:
            before = self._frame(chunk - 1, inputs)
        self._last = self._frame(chunk, inputs)
        np.add(before.samples[hop:], self._last.samples[:fade], out=ready[:fade])
        np.copyto(ready[fade:], self._last.samples[fade:hop])
        self._chunk = chunk

    def _frame(self, number: int, inputs: FrameInputs) -> BedFrame:
        frame = self._places[number % _PLACES]
        if frame is not None and _is_ready(
            frame, number * self._hop, inputs, self._scratch
        ):
            return frame
        n = self._n_known(number, inputs.envelope, self._maker.batch)
        made = self._maker.make(number, n, inputs)
        self._keep(number, made)
        return made[0]

    def _n_known(self, number: int, envelope: BandEnvelope, most: int) -> int:
        """How many frames from this one on begin where music is known: 1 to `most`."""
        if envelope.end is None:
            return most
        return min(most, max(1, envelope.end // self._hop - number + 1))

    def _keep(self, number: int, frames: list[BedFrame]) -> None:
        for i, frame in enumerate(frames, number):
            self._places[i % _PLACES] = frame


def _is_ready(
    frame: BedFrame | None, begin: int, inputs: FrameInputs, scratch: np.ndarray
) -> bool:
    if frame is None or frame.begin != begin:
        return False
    return frame.is_made_from(inputs, scratch)
