"""Keeping a child process running: when it ends by itself, another takes its place."""

import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import AnyStr

from engine.control.callbacks import Say
from engine.control.steady import Steady

RESTART_S = (1.0, 30.0)  # first and longest wait before a process is replaced


def keep_replacing(
    process: "subprocess.Popen[AnyStr]",
    *,
    attend: Callable[["subprocess.Popen[AnyStr]"], None],
    start: Callable[[], "subprocess.Popen[AnyStr] | None"],
    stopping: threading.Event,
    say: Say,
    name: str,
) -> None:
    """Replace a process whenever it ends, until `stopping` is set.

    Each that ends within half a minute is waited for twice as long as the one before,
    and so is one that cannot be started.

    Args:
        process: the first, which runs.
        attend: called with each process, and returns when it ends.
        start: starts another; gives None if there shall be none any more.
        stopping: set before a process is ended on purpose.
        say: takes one line for the user.
        name: of the process, for that line.
    """
    wait, steady = RESTART_S[0], Steady(name, say)
    started: list[subprocess.Popen[AnyStr] | None] = []
    while True:
        began = time.monotonic()
        if not steady.do(partial(attend, process)):
            process.kill()  # what it says is nonsense
        process.wait()
        if stopping.is_set():
            return
        if time.monotonic() - began > RESTART_S[1]:
            wait = RESTART_S[0]
        say(f"{name} ended; starting it again in {wait:g} s")
        if stopping.wait(wait):
            return
        wait = min(2.0 * wait, RESTART_S[1])
        while not steady.do(lambda: started.append(start())):
            if stopping.wait(wait):
                return
            wait = min(2.0 * wait, RESTART_S[1])
        another = started.pop()
        if another is None:
            return
        process = another
