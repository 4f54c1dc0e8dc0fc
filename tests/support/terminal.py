"""A program on a terminal of its own: what it draws, and keys for it."""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from tests.support.command import ROOT

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# A new session whose terminal is standard input, as a shell's job has it.
_ON_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


class Terminal:
    """Runs Python with these arguments on a pseudo-terminal of 90 x 24.

    Attributes:
        before: mode of the terminal at the start.
        process: that runs on it.
    """

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str]) -> None:
        self._main, self._terminal = pty.openpty()
        termios.tcsetwinsize(self._terminal, (24, 90))
        self.before: list[Any] = termios.tcgetattr(self._terminal)
        self._output = b""
        self._frozen = threading.Event()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ON_TERMINAL, *arguments],
            cwd=ROOT,
            env={**env, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)},
            stdin=self._terminal,
            stdout=self._terminal,
            stderr=self._terminal,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._terminal)
        self._reader.join(5.0)
        os.close(self._main)

    @property
    def raw(self) -> str:
        """All that was written so far."""
        return self._output.decode("utf-8", "replace")

    @property
    def text(self) -> str:
        """The same without colours and movements of the cursor."""
        return _ESCAPES.sub("", self.raw)

    @property
    def mode(self) -> list[Any]:
        """The terminal's mode now."""
        return termios.tcgetattr(self._terminal)

    @mode.setter
    def mode(self, mode: list[Any]) -> None:
        termios.tcsetattr(self._terminal, termios.TCSANOW, mode)

    def freeze(self) -> None:
        """From now on take nothing, as a window that hangs."""
        self._frozen.set()
        self._reader.join(5.0)
        # Opened anew: the program's own writes must wait, not fail.
        flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK
        filler = os.open(os.ttyname(self._terminal), flags)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(filler, bytes(1000))
        os.close(filler)

    def type(self, keys: str) -> None:
        """Hit keys."""
        os.write(self._main, keys.encode())

    def wait_for(self, pattern: str, timeout: float = 60.0, *, after: int = 0) -> int:
        """Wait until the text matches; returns where in the text the match ends."""
        end = time.monotonic() + timeout
        while True:
            # Looked up first: what a program writes at its end still counts.
            ended = self.process.poll() is not None
            if found := re.compile(pattern).search(self.text, after):
                return found.end()
            if ended or time.monotonic() > end:
                raise AssertionError(f"no {pattern!r} in:\n{self.text[-3000:]}")
            time.sleep(0.05)

    def _read(self) -> None:
        while not self._frozen.is_set():
            if not select.select([self._main], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(self._main, 65_536)
            except OSError:  # nobody has the other end any more
                return
            if not piece:
                return
            self._output += piece
