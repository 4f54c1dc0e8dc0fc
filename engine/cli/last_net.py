"""What nobody caught, told in one line: of threads, of destructors, of libraries' logs.

Python prints a traceback for each of them, and a library that logs where nobody listens
prints as much. In weeks of music the same line may come again and again, so each is
told once a minute at most.
"""

import logging
import sys
import threading
import time
from collections import OrderedDict
from pathlib import Path

import click

from effects.base.one_line import one_line

AGAIN_S = 60.0  # until the same line is told again
REMEMBERED = 64  # lines


class LastNet:
    """Tells what was caught nowhere else. Any thread."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, float] = OrderedDict()
        self._guard = threading.Lock()

    def spread(self) -> None:
        """From now on, catch what threads and destructors raise; quiet all logs."""
        threading.excepthook = self._of_thread
        sys.unraisablehook = self._of_destructor
        logging.getLogger().addHandler(logging.NullHandler())

    def _of_thread(self, fault: threading.ExceptHookArgs) -> None:
        name = fault.thread.name if fault.thread is not None else "?"
        self._tell(fault.exc_value, fault.exc_type, f"thread {name!r}")

    def _of_destructor(self, fault: "sys.UnraisableHookArgs") -> None:
        self._tell(fault.exc_value, fault.exc_type, "clearing up")

    def _tell(
        self, error: BaseException | None, kind: type[BaseException], where: str
    ) -> None:
        text = one_line(f"{kind.__name__}: {error} in {where}{_place(error)}")
        now = time.monotonic()
        with self._guard:
            last = self._told.pop(text, None)
            is_new = last is None or now - last >= AGAIN_S
            self._told[text] = now if is_new or last is None else last
            while len(self._told) > REMEMBERED:
                self._told.popitem(last=False)
        if is_new:
            _print(f"latent: unexpected {text}; please report it")


def _place(error: BaseException | None) -> str:
    """Where an error was raised, as `, music.py line 12`; nothing if not known."""
    trace = None if error is None else error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    file = Path(trace.tb_frame.f_code.co_filename).name
    return f", {file} line {trace.tb_lineno}"


def _print(line: str) -> None:
    try:
        click.echo(line, err=True)
    except (OSError, ValueError):  # nobody reads it, no room, or it is closed
        return
