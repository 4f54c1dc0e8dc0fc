"""Work that may take long, while the thread that asked for it looks around."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from engine.live.clock import Clock

LOOK_EVERY_S = 0.1

_T = TypeVar("_T")


class AbandonedError(Exception):
    """What was asked for is not waited for any longer, since the session ends."""


class Work(Generic[_T]):
    """A piece of work under way.

    Args:
        work: what is done.

    Attributes:
        done: set when there is a result.
    """

    def __init__(self, work: Callable[[], _T]) -> None:
        self.done = threading.Event()
        self._work = work
        self._results: list[_T] = []
        self._failures: list[BaseException] = []

    def run(self) -> None:
        """Do it; what it raises is kept for whoever asked for it."""
        try:
            self._results.append(self._work())
        except BaseException as error:  # raised by `result`
            self._failures.append(error)
        self.done.set()

    def result(self) -> _T:
        """What came of it, once it is done; or raise what it raised."""
        if self._failures:
            raise self._failures[0]
        return self._results[0]


class SlowWork:
    """Does pieces of work, each in a thread of its own.

    A piece that is abandoned is left to the end of the process: what reads a file, or
    makes a loop, cannot be interrupted.

    Args:
        clock: of the session.
        stopping: set when nothing is waited for any longer.
    """

    def __init__(self, clock: Clock, stopping: threading.Event) -> None:
        self._clock, self._stopping = clock, stopping

    def do(self, work: Callable[[], _T], look: Callable[[], None]) -> _T:
        """Return what `work` gives, or raise what it raises.

        Args:
            work: that may take long.
            look: called in this thread, every tenth of a second while it does.

        Raises:
            AbandonedError: the session ends.
        """
        under_way = self.begin(work)
        self.wait(under_way, look)
        return under_way.result()

    def begin(self, work: Callable[[], _T]) -> Work[_T]:
        """Let `work` be done, without waiting for it."""
        under_way = Work(work)
        self._clock.thread(under_way.run, "bed-work").start()
        return under_way

    def wait(
        self,
        work: Work[_T],
        look: Callable[[], None],
        leaves: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Wait until work is done; false when it was left, to be come back to.

        Args:
            work: under way.
            look: called in this thread, every tenth of a second.
            leaves: whether something else has to be done first.

        Raises:
            AbandonedError: the session ends.
        """
        while not self._clock.wait(work.done, LOOK_EVERY_S):
            if self._stopping.is_set():
                raise AbandonedError
            look()
            if leaves():
                return False
        return True
