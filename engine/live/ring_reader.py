"""The callback's side of the ring, with concealment of what comes too late.

While the ring is nearly empty, what is left of the music is crossfaded into a loop of
its last sound, and music that comes again is crossfaded back: a late producer is heard
as a sound that stays, not as a gap. Read by the callback only.
"""

import numpy as np

from effects.audio.levels import Samples
from effects.bed.masking import BandEnvelope
from engine.live.metrics import Metrics
from engine.live.ring import RingBuffer
from engine.sound.concealment import Concealment

STARVED_S = 0.3  # the last stretch of the ring, over which the crossfade is made


class RingReader:
    """Reads music from a ring for a mixer, conceals underruns and counts them.

    Args:
        ring: of layers, shape (n, 4).
        sample_rate: Hz.
        metrics: `underruns` is counted here.
        max_block: longest block that is read at once.
    """

    def __init__(
        self, ring: RingBuffer, sample_rate: int, metrics: Metrics, max_block: int
    ) -> None:
        self.band_envelope = BandEnvelope()  # replaced by the producer before it writes
        self.concealment = Concealment(
            np.zeros((1, ring.channels), np.float32)
        )  # replaced by the producer after it has written
        self.finished = False  # set by the producer: no more will be written
        self._ring, self._metrics = ring, metrics
        self._starved = max(1, round(STARVED_S * sample_rate))
        self._level = 1.0  # share of music at the end of the last block, 0..1
        self._sounding = self.concealment  # of the present underrun
        self._looped = 0  # samples of the loop that were played
        self._index = np.arange(1, max_block + 1, dtype=np.float32)
        self._share, self._gain = (np.zeros(max_block, np.float32) for _ in range(2))
        self._scratch = np.zeros((max_block, self._ring.channels), np.float32)

    def read_into(self, out: Samples) -> int:
        """Fill `out`, shape (n, 4), with music, or with concealment where it lacks.

        Returns:
            How many samples were music.
        """
        n = len(out)
        finished = self.finished  # read before the ring: it is set after the last write
        available = self._ring.available
        self._ring.read_into(out)
        if available < n and not finished:
            self._metrics.underruns += 1
        is_enough = finished or available - n >= self._starved
        if self._level >= 1.0:
            if is_enough:
                return min(n, available)
            self._sounding = self.concealment
        self._crossfade(out, self._starved + n if finished else available)
        return min(n, available)

    def _crossfade(self, out: Samples, available: int) -> None:
        """Mix music and concealment, by what is left in the ring after each sample."""
        n = len(out)
        share, gain = self._share[:n], self._gain[:n]
        np.subtract(available, self._index[:n], out=share)  # left after each sample
        share *= 1.0 / self._starved
        np.clip(share, 0.0, 1.0, out=share)
        np.multiply(self._index[:n], 1.0 / self._starved, out=gain)
        gain += self._level
        np.minimum(share, gain, out=share)
        self._level = float(share[-1]) if n else self._level
        share *= 0.5 * np.pi
        np.sin(share, out=gain)  # equal power: the loop has phases of its own
        out *= gain[:, None]
        np.cos(share, out=gain)
        gain *= self._sounding.gain
        self._add(self._sounding.loop, gain, out)
        self._looped += n

    def _add(self, loop: Samples, gain: Samples, out: Samples) -> None:
        done = 0
        while done < len(out):
            start = (self._looped + done) % len(loop)
            n = min(len(out) - done, len(loop) - start)
            scratch = self._scratch[:n]
            np.multiply(
                loop[start : start + n], gain[done : done + n, None], out=scratch
            )
            out[done : done + n] += scratch
            done += n
