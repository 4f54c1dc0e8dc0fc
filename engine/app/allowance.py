"""How many files messages may have a session begin."""

from collections.abc import Callable

from effects.base.errors import InputError

AT_ONCE = 20
EVERY_S = 5.0  # until one more may be begun


class Allowance:
    """Files that may be begun: some at once, then one every few seconds.

    Whoever may send messages may fill a folder with files otherwise, some hundred each
    second. Nobody saves presets, or starts recordings, at that rate by hand.

    Args:
        seconds: that the session has played.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._left, self._at = float(AT_ONCE), 0.0

    def take(self) -> None:
        """Begin a file.

        Raises:
            InputError: too many were begun shortly before.
        """
        now = self._seconds()
        self._left = min(AT_ONCE, self._left + (now - self._at) / EVERY_S)
        self._at = now
        if self._left < 1.0:
            raise InputError("too many files in a short time; one more in some seconds")
        self._left -= 1.0
