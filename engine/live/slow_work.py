"""Work that may take long, while the thread that asked for it looks around."""

import threading
from collections.abc import Callable
from typing import TypeVar

from engine.live.clock import Clock

LOOK_EVERY_S = 0.1

_T = TypeVar("_T")


class AbandonedError(Exception):
    """What was asked for is not waited for any longer, since the session ends."""


class SlowWork:
    """Does one piece of work after another, each in a thread of its own.

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
        results: list[_T] = []
        failures: list[BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                results.append(work())
            except BaseException as error:  # raised where the work was asked for
                failures.append(error)
            done.set()

        self._clock.thread(run, "bed-work").start()
        while not self._clock.wait(done, LOOK_EVERY_S):
            if self._stopping.is_set():
                raise AbandonedError
            look()
        if failures:
            raise failures[0]
        return results[0]
