"""Child processes that end with the process that started them, even when killed."""

import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing import connection

from effects.base.memory import give_memory_back, keep_memory


def end_with_parent() -> None:
    """In a child process: end when the parent ends, even if it is killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            connection.wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, name="watch", daemon=True).start()


def begin_worker() -> None:
    """In a worker of a pool: leave interrupts to the parent, and end when it ends.

    Memory of freed arrays is kept for the next job.
    """
    _begin()
    keep_memory()
    end_with_parent()


def begin_child() -> None:
    """The same in a child whose standard input is a pipe that the parent holds open.

    Memory of freed arrays goes back to the system.
    """
    _begin()
    give_memory_back()

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=watch, name="watch", daemon=True).start()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # ends it in a native call, too
