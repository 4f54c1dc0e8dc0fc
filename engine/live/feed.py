"""The callback's side of the ring: music that never stops at an edge.

While the ring is nearly empty, the music fades with what is left of it, and comes
back on a ramp, so that a producer that is too late is heard as a gentle absence of
music over the bed, not as a click. Read by the callback only.
"""

import numpy as np

from effects.levels import Samples
from effects.room import Course
from engine.live.metrics import Metrics
from engine.live.ring import RingBuffer

STARVED_S = 0.1  # the last stretch of the ring, over which the music fades


class Feed:
    """A mixer's source over a ring; counts underruns.

    Args:
        ring: of layers, shape (n, 4).
        sample_rate: Hz.
        metrics: `underruns` is counted here.
        max_block: longest block that is read at once.
    """

    def __init__(
        self, ring: RingBuffer, sample_rate: int, metrics: Metrics, max_block: int
    ) -> None:
        self.room = Course()  # replaced by the producer before it writes
        self.finished = False  # set by the producer: no more will be written
        self._ring, self._metrics = ring, metrics
        self._starved = max(1, round(STARVED_S * sample_rate))
        self._level = 1.0  # gain that the last block ended with
        self._index = np.arange(1, max_block + 1, dtype=np.float32)
        self._gain = np.zeros(max_block, np.float32)

    def read_into(self, out: Samples) -> int:
        """Fill `out` with music, or with silence where there is none."""
        n = len(out)
        finished = self.finished  # read before the ring: it is set after the last write
        available = self._ring.available
        self._ring.read_into(out)
        if finished:
            return min(n, available)
        if available < n:
            self._metrics.underruns += 1
        left = available - n
        if left >= self._starved and self._level >= 1.0:
            return n
        self._apply_fade(out, available)
        return min(n, available)

    def _apply_fade(self, out: Samples, available: int) -> None:
        """Gain that follows what is left of the ring down, and a ramp up."""
        n = len(out)
        gain = self._gain[:n]
        np.subtract(available, self._index[:n], out=gain)  # left after each sample
        gain *= 1.0 / self._starved
        np.clip(gain, 0.0, 1.0, out=gain)
        rise = self._index[:n] * (1.0 / self._starved)
        rise += self._level
        np.minimum(gain, rise, out=gain)
        self._level = float(gain[-1])
        out *= gain[:, None]
