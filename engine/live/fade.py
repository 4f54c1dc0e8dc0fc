"""Fades over the master: slow gains that a control thread begins for the callback."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from effects.audio.levels import Samples


class FadeKind(StrEnum):
    """Fades of a session, which multiply; the values are their names in journals."""

    MAIN = "fade/main"  # pause, resume, stop
    SLEEP = "fade/sleep"  # wake and sleep


@dataclass(frozen=True)
class _FadePlan:
    """A way from one amplitude to another, from sample `at` on.

    Attributes:
        at: sample from which it holds.
        length: of the way in samples.
        start: amplitude at its beginning.
        stop: amplitude at its end, and from there on.
        eased: along a parabola, slow at first, not along a line.
        before: the plan in force until `at`.
    """

    at: int
    length: int
    start: float
    stop: float
    eased: bool = False
    before: "_FadePlan | None" = None

    def level(self, position: int) -> float:
        if position < self.at and self.before is not None:
            return self.before.level(position)
        progress = min(max((position - self.at) / self.length, 0.0), 1.0)
        if self.eased:
            progress *= progress
        return self.start + (self.stop - self.start) * progress


class Fade:
    """A slow gain over the master.

    `begin` is for a control thread, `apply` for the callback: the whole plan is one
    value that is replaced, never changed.

    Args:
        sample_rate: Hz.
        max_block: longest block that it is applied to, in samples.
    """

    def __init__(self, sample_rate: int, max_block: int) -> None:
        self._sample_rate = sample_rate
        self._plan = _FadePlan(0, 1, 1.0, 1.0)
        self._position = 0  # first sample of the block it was applied to last
        self._gain = np.zeros(max_block, np.float32)
        self._index = np.arange(max_block, dtype=np.float32)

    def begin(
        self,
        at: int,
        seconds: float,
        level: float,
        start: float | None = None,
        eased: bool = False,
    ) -> None:
        """Control thread: move to amplitude `level`, from sample `at` on.

        Args:
            at: sample of the session.
            seconds: that the move takes.
            level: amplitude to reach.
            start: amplitude to begin with; the one in force by default.
            eased: along a parabola, slow at first, not along a line.
        """
        before = self._plan
        if before.at <= self._position:  # the plan before it is over
            before = replace(before, before=None)
        length = max(1, round(seconds * self._sample_rate))
        first = before.level(at) if start is None else start
        self._plan = _FadePlan(at, length, first, level, eased, before)

    def level(self, position: int) -> float:
        """Return the amplitude at a sample."""
        return self._plan.level(position)

    def apply(self, block: Samples, position: int) -> None:
        """Callback: multiply a block, shape (n, 2), that begins at a sample."""
        self._position = position
        self._follow(self._plan, block, position)

    def _follow(self, plan: _FadePlan, block: Samples, position: int) -> None:
        earlier = min(max(plan.at - position, 0), len(block))
        if earlier and plan.before is not None:
            self._follow(plan.before, block[:earlier], position)
        self._apply(plan, block[earlier:], position + earlier)

    def _apply(self, plan: _FadePlan, block: Samples, position: int) -> None:
        n = len(block)
        if position >= plan.at + plan.length or plan.start == plan.stop:
            if plan.stop != 1.0:
                block *= np.float32(plan.stop)
            return
        gain = self._gain[:n]
        np.add(self._index[:n], position - plan.at, out=gain)
        gain *= 1.0 / plan.length
        np.clip(gain, 0.0, 1.0, out=gain)
        if plan.eased:
            gain *= gain
        gain *= plan.stop - plan.start
        gain += plan.start
        block[:, 0] *= gain
        block[:, 1] *= gain
