"""Fades over the master: slow gains that a control thread asks the callback for."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from effects.audio.levels import Samples


class FadeKind(StrEnum):
    """Fades of a session, which multiply; the values are their names in journals."""

    MAIN = "fade/main"  # pause, resume, stop
    SLEEP = "fade/sleep"  # wake and sleep


@dataclass(frozen=True, eq=False)
class FadeRequest:
    """A move to another amplitude, from the sample on at which the callback takes it.

    Attributes:
        kind: which of the fades.
        seconds: that the move takes.
        level: amplitude to reach.
        start: amplitude to begin with; the one in force if None.
        eased: along a parabola, slow at first, not along a line.
    """

    kind: FadeKind
    seconds: float
    level: float
    start: float | None = None
    eased: bool = False


@dataclass(frozen=True)
class _FadePlan:
    """A way from one amplitude to another, from sample `at` on.

    Attributes:
        at: sample from which it holds.
        length: of the way in samples.
        start: amplitude at its beginning.
        stop: amplitude at its end, and from there on.
        eased: along a parabola, slow at first, not along a line.
    """

    at: int
    length: int
    start: float
    stop: float
    eased: bool = False

    def level(self, position: int) -> float:
        if position >= self.at + self.length:
            return self.stop
        progress = max((position - self.at) / self.length, 0.0)
        if self.eased:
            progress *= progress
        return self.start + (self.stop - self.start) * progress


class Fade:
    """A slow gain over the master.

    `ask` is for a control thread, the rest for the callback.

    The callback takes a request at the beginning of a block, and that sample is the one
    at which the fade begins, however late the thread that asked was. The gain at a
    sample is a function of its position alone: blocks may be cut anywhere.

    Args:
        sample_rate: Hz.
        max_block: longest block that it is applied to, in samples.
    """

    def __init__(self, sample_rate: int, max_block: int) -> None:
        self._sample_rate = sample_rate
        self._plan = _FadePlan(0, 1, 1.0, 1.0)
        self._asked: FadeRequest | None = None  # replaced by the control thread
        self._taken: FadeRequest | None = None  # the last that was taken
        self._index = np.arange(max_block, dtype=np.float64)
        self._way = np.zeros(max_block, np.float64)
        self._gain = np.zeros(max_block, np.float32)

    def ask(self, request: FadeRequest) -> None:
        """Control thread: have a fade begin with the next block."""
        self._asked = request

    def take(self, position: int) -> FadeRequest | None:
        """Callback: begin what was asked for at a block's first sample, if anything."""
        asked = self._asked
        if asked is self._taken:
            return None
        self._taken = asked
        if asked is not None:
            self.begin(position, asked)
        return asked

    def begin(self, at: int, request: FadeRequest) -> None:
        """Callback: begin a fade at a sample that was not applied yet."""
        first = self._plan.level(at) if request.start is None else request.start
        length = max(1, round(request.seconds * self._sample_rate))
        self._plan = _FadePlan(at, length, first, request.level, request.eased)

    def level(self, position: int) -> float:
        """Return the amplitude at a sample."""
        return self._plan.level(position)

    def apply(self, block: Samples, position: int) -> None:
        """Callback: multiply a block, shape (n, 2), that begins at a sample."""
        plan = self._plan
        moving = len(block)
        if plan.start != plan.stop:
            moving = min(max(plan.at + plan.length - position, 0), moving)
            self._move(plan, block[:moving], position)
        else:
            moving = 0
        if plan.stop != 1.0:
            block[moving:] *= np.float32(plan.stop)

    def _move(self, plan: _FadePlan, block: Samples, position: int) -> None:
        n = len(block)
        way, gain = self._way[:n], self._gain[:n]
        # In double precision: a sleep timer's fade is longer than 2^24 samples.
        np.add(self._index[:n], position - plan.at, out=way)
        np.multiply(way, 1.0 / plan.length, out=way)
        if plan.eased:
            np.multiply(way, way, out=way)
        np.multiply(way, plan.stop - plan.start, out=way)
        np.add(way, plan.start, out=way)
        np.copyto(gain, way, casting="same_kind")
        block[:, 0] *= gain
        block[:, 1] *= gain
