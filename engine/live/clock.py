"""The clock of a session: time, waiting, and threads that wait.

All of the session's own threads live by it, so that a simulated one can turn a whole
session faster than real time, and the same way every time.
"""

import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Time as a session's threads see it."""

    def now(self) -> float:
        """Seconds since some moment; never less than before."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until an event is set, for so long at most; returns whether it is."""

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        """A thread that ends with the process, not started yet."""


class RealClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds since some moment; never less than before."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until an event is set, for so long at most; returns whether it is."""
        return event.wait(seconds)

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        time.sleep(seconds)

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        """A thread that ends with the process, not started yet."""
        return threading.Thread(target=target, name=name, daemon=True)


REAL_CLOCK = RealClock()
