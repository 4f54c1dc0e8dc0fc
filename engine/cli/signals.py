"""What signals do to a command: the first one raises, the next ends the process.

A command that plays replaces these handlers by its own while it plays.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_S = 0.3  # after a signal, and then again, it is seen whether it is on its way
SOON_S = 0.02  # by when the destructor that swallowed a signal has returned

_asked: list[int] = []  # signals that have raised
# Called for other exceptions that were swallowed.
_other_hook: "Callable[[sys.UnraisableHookArgs], object]" = sys.__unraisablehook__


class Stopped(BaseException):
    """Raised in the main thread by a signal that asks the command to end.

    It is no KeyboardInterrupt, for which click prints an empty line.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """128 and the signal, as shells have it."""
        return 128 + self.number


def raise_on_signals() -> None:
    """From now on, raise `Stopped` for a signal, so that files are cleaned up.

    A command under `nohup` goes on when its terminal is closed.
    """
    for number in _handled():
        signal.signal(number, _raise_stopped)
    # An exception is swallowed when a signal meets a destructor or a weak reference's
    # callback. The alarm raises it again until the process ends, and soon where Python
    # tells that it did so.
    signal.signal(signal.SIGALRM, _raise_again)
    global _other_hook
    _other_hook = sys.unraisablehook
    sys.unraisablehook = _swallowed


def asked() -> int | None:
    """The number of the last signal that raised, if one did.

    `Stopped` may come out as something else: a module that was being imported reports
    that its initialisation failed.
    """
    return _asked[-1] if _asked else None


def hand_over() -> int | None:
    """Stop raising for signals, and return one that came and was swallowed, if any.

    For a command that has just set handlers of its own.
    """
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    return asked()


def leave(code: int) -> None:
    """End the process with an exit code, whatever else still runs in it.

    Files are closed when a command returns. A thread that is still inside a native
    library, or one of that library's own, would crash the process while the interpreter
    is taken down; so might a library whose import a signal has cut off. And a signal
    would print a traceback.
    """
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    for number in _handled():
        signal.signal(number, lambda number, frame: os._exit(code))
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # was closed when the process began
                stream.flush()
        except (OSError, ValueError):  # nobody reads it, no room, or it is closed
            if stream is sys.stderr:  # the interpreter would end by its own code, 120
                os._exit(code)
    others = set(threading.enumerate()) - {threading.main_thread()}
    are_foreign = _n_threads() > 1 + len(others)
    if asked() is not None or are_foreign or any(each.daemon for each in others):
        os._exit(code)
    sys.exit(code)


def _n_threads() -> int:
    """Threads of the process, also those that no Python code began; 0: not known."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0


def _handled() -> list[signal.Signals]:
    """Signals that end the command: not the one that `nohup` had ignored."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [n for n in END_SIGNALS if not (ignored and n == signal.SIGHUP)]


def _raise_stopped(number: int, frame: FrameType | None) -> None:
    for each in _handled():
        signal.signal(each, _end_at_once)
    _asked.append(number)
    signal.setitimer(signal.ITIMER_REAL, AGAIN_S, AGAIN_S)
    raise Stopped(number)


def _raise_again(number: int, frame: FrameType | None) -> None:
    error = sys.exc_info()[1]  # that is being handled where the alarm came
    while error is not None:
        if isinstance(error, Stopped):
            return
        error = error.__cause__ or error.__context__
    raise Stopped(_asked[-1])


def _swallowed(fault: "sys.UnraisableHookArgs") -> None:
    if isinstance(fault.exc_value, Stopped):
        signal.setitimer(signal.ITIMER_REAL, SOON_S, AGAIN_S)
    else:
        _other_hook(fault)


def _end_at_once(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
