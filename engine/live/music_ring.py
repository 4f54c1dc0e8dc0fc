"""The ring of music: addressed by the session's samples, respliced while it plays.

The reader goes on whether or not there is music: its position is the session's, so a
producer that was late goes on at the right place. A new plan is offered together with
the sample from which it holds, and the reader takes it whole at the beginning of a
block, or refuses it because it has come by: nobody ever hears half of a change.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from effects.audio.levels import Samples
from effects.bed.masking import BandEnvelope
from engine.live.ring import RingBuffer


@dataclass(frozen=True, eq=False)
class Splice:
    """Music that takes the place of what was written, from a sample on.

    Attributes:
        at: the sample.
        samples: of layers, shape (n, 2); nothing is written behind them any more.
        envelope: of the partials, of this music and what comes before it.
        is_last: the music ends with these samples.
    """

    at: int
    samples: Samples
    envelope: BandEnvelope
    is_last: bool = False


class MusicRing(RingBuffer):
    """A ring whose reader never waits, and whose unheard part can be replaced.

    Threads: the producer calls `write`, `peek` and `offer`, the callback `advance_into`
    and `answer`.

    >>> ring = MusicRing(capacity=8, channels=1)
    >>> ring.write(np.ones((2, 1), np.float32), BandEnvelope())
    True
    >>> out = np.empty((4, 1), np.float32)
    >>> ring.advance_into(out)
    2
    >>> ring.read, ring.written
    (4, 2)
    """

    def __init__(self, capacity: int, channels: int) -> None:
        super().__init__(capacity, channels)
        self.envelope = BandEnvelope()  # of all that is written
        self.begins_at = 0  # before this sample, nothing is there
        self.finished = False  # set by the producer: no more will be written
        self._offer: Splice | None = None
        self._answered: Splice | None = None
        self._taken = False

    def write(self, samples: Samples, envelope: BandEnvelope | None = None) -> bool:
        """Producer: write all of `samples`, or none of them if they do not fit.

        Args:
            samples: shape (n, channels); the reader may have passed some of them.
            envelope: of the partials, to the end of these samples.
        """
        if len(samples) > self.space:
            return False
        if envelope is not None:
            self.envelope = envelope  # first: what can be read has one
        return super().write(samples)

    def peek(self, position: int, n_samples: int) -> Samples:
        """Producer: a copy of samples already written but not yet overwritten.

        Raises:
            ValueError: part of the span was never written or is gone.
        """
        oldest = self._written - self.capacity
        if position < oldest or position + n_samples > self._written:
            raise ValueError(
                f"samples {position}..{position + n_samples} are not in the ring, "
                f"which holds {max(0, oldest)}..{self._written}"
            )
        start = position % self.capacity
        head = min(n_samples, self.capacity - start)
        return np.concatenate(
            [self._samples[start : start + head], self._samples[: n_samples - head]]
        )

    def offer(self, splice: Splice, wait: Callable[[], bool]) -> bool:
        """Producer: have the reader go over to new music; returns whether it does.

        Args:
            splice: from a sample on that was not read yet.
            wait: called until the reader has answered; false to give up.

        Raises:
            ValueError: the samples do not fit.
        """
        if splice.at + len(splice.samples) - self._read > self.capacity:
            raise ValueError("a splice reaches farther ahead than the ring")
        self._offer = splice
        while self._answered is not splice:
            if not wait():
                return False
        return self._taken

    def answer(self) -> None:
        """Callback, before it reads: take what is offered, if it is not too late."""
        offer = self._offer
        if offer is None or offer is self._answered:
            return
        self._taken = offer.at >= self._read
        if self._taken:
            if offer.at > self._written:  # between them, nothing was made
                self.begins_at = offer.at
            self.envelope = offer.envelope
            self._put(offer.at, offer.samples)
            self._written = offer.at + len(offer.samples)
            self.finished = offer.is_last
        self._answered = offer

    def advance_into(self, out: Samples) -> int:
        """Callback: fill `out` with what is there, and go on by its length.

        Returns:
            How many samples were there, before silence.
        """
        got = self.read_into(out)
        self._read += len(out) - got
        return got

    def has(self, n_samples: int, position: int) -> bool:
        """Whether so many samples are there from a position on, or all to the end."""
        finished = self.finished  # read before the cursor: it is set after a write
        is_enough = finished or self._written - position >= n_samples
        return is_enough and position >= self.begins_at
