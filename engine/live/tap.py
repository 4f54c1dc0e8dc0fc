"""A tap: a ring that the mixer fills with the master and a slower reader drains.

The callback calls `write`, which copies and counts, and never waits. One other thread
calls `read_into`, `skip` and `next_gap`. What does not fit is dropped as a whole block
and remembered as a gap at its place, so that the reader can leave silence of the same
length: everything after a gap is still where it was in the session.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from effects.audio.levels import Samples
from engine.live.ring import SparseRing

RING_S = 60.0  # a disk may stall for as long without loss
MAX_GAPS = 1000  # waiting to be read; later ones are joined to the last


@dataclass(frozen=True)
class Gap:
    """A run of samples that were dropped."""

    at: int  # samples that were kept before it
    n_samples: int


class Tap:
    """A ring for the master, from an exact sample of the session on.

    Args:
        sample_rate: Hz.
        channels: of the blocks.
        seconds: that the ring holds.
        position: gives the session's sample after the block that is being written;
            None counts from the first block on.
    """

    def __init__(
        self,
        sample_rate: int,
        channels: int = 2,
        seconds: float = RING_S,
        position: Callable[[], int] | None = None,
    ) -> None:
        self._ring = SparseRing(round(seconds * sample_rate), channels)
        self._position = position
        self._counted = 0  # samples offered so far; callback only
        self._pending = 0  # dropped since the last block that fitted; callback only
        self._gaps: deque[Gap] = deque()
        self.start_at = 0  # samples before this one are not taken; set before use
        self.first_sample: int | None = None  # written once by the callback
        self.dropped = 0  # samples; callback only
        self.closed = False  # set by the reader: nothing more is taken

    @property
    def available(self) -> int:
        """Samples ready to read."""
        return self._ring.available

    def write(self, samples: Samples) -> bool:
        """Callback: take a block, or drop it whole and count it."""
        if self.closed:
            return False
        n = len(samples)
        self._counted += n
        end = self._counted if self._position is None else self._position()
        if self.first_sample is None:
            if end <= self.start_at:
                return True
            early = max(0, self.start_at - (end - n))
            samples = samples[early:]
            n -= early
            self.first_sample = end - n
        if self._pending:
            if n > self._ring.space or len(self._gaps) >= MAX_GAPS:
                self._pending += n
                self.dropped += n
                return False
            # Before the samples: a reader that sees those must know of the gap.
            self._gaps.append(Gap(self._ring.written, self._pending))
            self._pending = 0
        if self._ring.write(samples):
            return True
        self._pending += n
        self.dropped += n
        return False

    def read_into(self, out: Samples) -> int:
        """Reader: fill the start of `out`; returns how many samples it got.

        Stops at a gap: `next_gap` then gives it.
        """
        return self._ring.read_into(out[: self._ready(len(out))])

    def skip(self, n_samples: int) -> int:
        """Reader: leave out samples; returns how many. Stops at a gap, too."""
        return self._ring.skip(self._ready(n_samples))

    def _ready(self, n_samples: int) -> int:
        """How many of so many samples can be taken, before a gap."""
        n = min(n_samples, self._ring.available)
        if self._gaps:  # read after `available`: see `write`
            n = min(n, self._gaps[0].at - self._ring.read)
        return n

    def next_gap(self) -> Gap | None:
        """Reader: return the gap that reading has come to, once; else None."""
        if self._gaps and self._gaps[0].at == self._ring.read:
            return self._gaps.popleft()
        return None

    def last_gap(self) -> Gap | None:
        """Reader, once the tap is closed and empty: return the gap at the end."""
        if self._pending:
            gap, self._pending = Gap(self._ring.written, self._pending), 0
            return gap
        return None
