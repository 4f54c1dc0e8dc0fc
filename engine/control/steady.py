"""Threads of a session that have to go on, whatever one of their steps raises."""

import time
from collections.abc import Callable

from effects.base.errors import LatentError, what_lacks
from engine.control.callbacks import Say

TOLD_EVERY_S = 60.0  # the same failure


class Steady:
    """Does the steps of a thread; what one of them raises is told, and costs no more.

    A disk, a file or a limit of the machine may fail a step at any time in weeks of
    music. One thread calls it.

    Args:
        what: the part of the session that would stand still, before what is told.
        say: takes one line for the user.
    """

    def __init__(self, what: str, say: Say) -> None:
        self._what, self._say = what, say
        self._told, self._told_at = "", 0.0

    def do(self, step: Callable[[], object]) -> bool:
        """Do a step; returns whether it was done to its end."""
        try:
            step()
        except Exception as error:
            self._tell(_reason(error))
            return False
        return True

    def _tell(self, reason: str) -> None:
        now = time.monotonic()
        if reason == self._told and now - self._told_at < TOLD_EVERY_S:
            return
        self._told, self._told_at = reason, now
        self._say(f"{self._what}: {reason}")


def _reason(error: Exception) -> str:
    if isinstance(error, LatentError):
        return str(error)
    if (lack := what_lacks(error)) is not None:
        return lack
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"failed inside: {error!r:.80}"
