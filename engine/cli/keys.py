"""Keys of a terminal as they are pressed, without waiting for the end of a line."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

_ARROWS = {b"C": ".", b"B": ".", b"D": ",", b"A": ","}
_ESCAPE_S = 0.05  # within which the bytes of an arrow key come


class Keys:
    """Reads keys and lines from standard input.

    Args:
        handle: to read from.
        is_terminal: whether to echo what is typed.
    """

    def __init__(self, handle: int, *, is_terminal: bool) -> None:
        self._handle, self._echo = handle, is_terminal

    def next(self, timeout: float | None = None) -> str:
        """Return the next key; `q` at the end of the input, "" when none came in time.

        Args:
            timeout: seconds to wait; None for as long as it takes.
        """
        if timeout is not None and not self._waiting(timeout):
            return ""
        byte = os.read(self._handle, 1)
        if byte != b"\x1b":
            return byte.decode("ascii", "replace") if byte else "q"
        if not self._waiting(_ESCAPE_S):
            return ""
        if (byte := os.read(self._handle, 1)) not in (b"[", b"O"):
            return byte.decode("ascii", "replace")
        return _ARROWS.get(os.read(self._handle, 1), "")

    def renew(self) -> None:
        """Read single keys again after a shell has changed the terminal's mode."""
        if self._echo:
            import termios
            import tty

            if termios.tcgetattr(self._handle)[3] & termios.ICANON:
                tty.setcbreak(self._handle, termios.TCSANOW)

    def line(self) -> str:
        """Return what is typed up to the end of the line; empty after escape."""
        typed = b""
        while (byte := os.read(self._handle, 1)) not in (b"\n", b"\r", b""):
            if byte == b"\x1b":
                return ""
            if byte in (b"\x7f", b"\x08"):
                typed = typed.decode("utf-8", "ignore")[:-1].encode()
            else:
                typed += byte
            if self._echo:
                shown = typed.decode("utf-8", "ignore")
                click.echo(f"\r\x1b[Kname: {shown}", nl=False)
        if self._echo:
            click.echo()
        return typed.decode("utf-8", "replace").strip()

    def _waiting(self, timeout: float) -> bool:
        return bool(select.select([self._handle], [], [], timeout)[0])


@contextmanager
def keys() -> Iterator[Keys]:
    """Read keys of standard input within the block; restores the terminal."""
    handle = sys.stdin.fileno()
    if not sys.stdin.isatty():
        yield Keys(handle, is_terminal=False)
        return
    import termios
    import tty

    before = termios.tcgetattr(handle)
    try:
        tty.setcbreak(handle, termios.TCSANOW)  # keeps what was typed ahead
        yield Keys(handle, is_terminal=True)
    finally:
        termios.tcsetattr(handle, termios.TCSANOW, before)


def in_foreground(handle: int) -> bool:
    """Whether this process is in the foreground of a terminal."""
    try:
        return os.isatty(handle) and os.tcgetpgrp(handle) == os.getpgrp()
    except OSError:
        return False
