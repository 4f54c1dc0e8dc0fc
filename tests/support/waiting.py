"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable


def wait_until(
    holds: Callable[[], object], timeout: float = 60.0, what: str = "it"
) -> float:
    """Wait until something holds; returns how many seconds that took.

    Raises:
        AssertionError: it did not, within `timeout` seconds.
    """
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        assert waited < timeout, f"{what}: not within {timeout} s"
        time.sleep(0.005 if waited < 1.0 else 0.05)
    return time.monotonic() - began
