"""The callback's side of the ring, with concealment of what comes too late.

While the ring is nearly empty, what is left of the music is crossfaded into a loop of
its last sound, and music that comes again is crossfaded back: a late producer is heard
as a sound that stays, not as a gap. Whether to turn is decided on a grid of absolute
positions, and every turn is put into the log, so that it can be done again.
"""

import numpy as np

from effects.audio.levels import Samples
from effects.bed.masking import BandEnvelope
from engine.live.callback_log import CallbackLog
from engine.live.loop_crossfade import Concealing, LoopCrossfade, grid_of, starved_of
from engine.live.metrics import Metrics
from engine.live.music_ring import MusicRing
from engine.sound.concealment import Concealment


class RingReader:
    """Reads music from a ring for a mixer, and conceals what is late. Callback only.

    Args:
        ring: of layers, shape (n, 2).
        sample_rate: Hz.
        metrics: `underruns` and `concealments` are counted here.
        max_block: longest block that is read at once.
    """

    def __init__(
        self, ring: MusicRing, sample_rate: int, metrics: Metrics, max_block: int
    ) -> None:
        self.concealment = Concealment(
            np.zeros((1, ring.channels), np.float32)
        )  # replaced by the producer after it has written
        self.log = CallbackLog()  # of the crossfade's turns
        self._ring, self._metrics = ring, metrics
        self._grid, self._starved = grid_of(sample_rate), starved_of(sample_rate)
        self._crossfade = LoopCrossfade(sample_rate, ring.channels, max_block)
        self._is_dry = False
        self._view = ring.envelope, ring.envelope

    @property
    def band_envelope(self) -> BandEnvelope:
        """Of the music's partials, as far as they are written."""
        written, held = self._ring.envelope, self._crossfade.held
        known, view = self._view
        if known is not written or view.held != held:
            view = written.holding(held)
            self._view = written, view  # replaced whole: two threads ask
        return view

    def read_into(self, out: Samples) -> int:
        """Fill `out`, shape (n, 2), with music, or with concealment where it lacks.

        Returns:
            How many samples were there.
        """
        self._ring.answer()
        position, n, done = self._ring.read, len(out), 0
        got = self._ring.advance_into(out)
        while done < n:
            into = (position + done) % self._grid
            if into == 0:
                self._decide(position + done)
            part = out[done : done + self._grid - into]
            self._crossfade.apply(part, position + done)
            done += len(part)
        return got

    def _decide(self, position: int) -> None:
        """Turn the crossfade at a sample of the grid, if it is time."""
        ring, fade = self._ring, self._crossfade
        if fade.rises:
            if ring.has(self._starved, position):
                return
            begins = fade.level(position) == fade.length
            self._metrics.concealments += begins
            self._turn(
                position, Concealing(False, self.concealment if begins else None)
            )
            return
        if fade.level(position) == 0 and not self._is_dry:
            self._is_dry = True
            self._metrics.underruns += 1
        if ring.has(2 * self._starved, position):
            self._is_dry = False
            self._turn(position, Concealing(True))

    def _turn(self, position: int, deed: Concealing) -> None:
        self._crossfade.turn(position, deed)
        self.log.put(position, deed)
