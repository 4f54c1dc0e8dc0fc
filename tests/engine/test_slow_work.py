"""Slow work is waited for by a thread that looks around meanwhile."""

import threading
import time

import pytest

from engine.live.clock import REAL_CLOCK
from engine.live.slow_work import AbandonedError, SlowWork


def test_it_gives_what_the_work_gives_and_looks_around_meanwhile() -> None:
    looks: list[int] = []
    done = threading.Event()

    def work() -> str:
        assert done.wait(20.0), "nobody looked around"
        return threading.current_thread().name

    def look() -> None:
        looks.append(threading.get_ident())
        if len(looks) == 3:
            done.set()

    assert SlowWork(REAL_CLOCK, threading.Event()).do(work, look) == "bed-work"
    assert set(looks) == {threading.get_ident()}


def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        SlowWork(REAL_CLOCK, threading.Event()).do(lambda: 1 / 0, lambda: None)


def test_work_without_end_is_abandoned_when_the_session_ends() -> None:
    stopping, released = threading.Event(), threading.Event()
    began = time.monotonic()
    try:
        with pytest.raises(AbandonedError):
            SlowWork(REAL_CLOCK, stopping).do(released.wait, stopping.set)
    finally:
        released.set()
    assert time.monotonic() - began < 5.0
