"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable


def wait_until(
    holds: Callable[[], object],
    timeout: float = 60.0,
    what: str = "it",
    every: float = 0.05,
) -> float:
    """Wait until something holds; returns how many seconds that took.

    Args:
        holds: whether it does; it may be a question to a server, so not too often.
        timeout: seconds after which it is given up.
        what: is waited for, for the message.
        every: seconds between looks.

    Raises:
        AssertionError: it did not, within `timeout` seconds.
    """
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        assert waited < timeout, f"{what}: not within {timeout} s"
        time.sleep(every)
    return time.monotonic() - began
