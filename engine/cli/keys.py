"""Keys of a terminal as they are hit, without waiting for the end of a line."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

_ARROWS = {b"C": ".", b"B": ".", b"D": ",", b"A": ","}
_ESCAPE_S = 0.05  # an arrow's bytes come together; a lone escape does not


class Keys:
    """Bytes of standard input as keys and lines.

    Args:
        handle: to read from.
        is_terminal: whether what is typed is to be shown.
    """

    def __init__(self, handle: int, *, is_terminal: bool) -> None:
        self._handle, self._echo = handle, is_terminal

    def next(self, timeout: float | None = None) -> str:
        """The next key; `q` at the end of the input, "" when none came in time."""
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
        """Take single keys again, where a shell that had us stopped has ended that."""
        if self._echo:
            import termios
            import tty

            if termios.tcgetattr(self._handle)[3] & termios.ICANON:
                tty.setcbreak(self._handle, termios.TCSANOW)

    def line(self) -> str:
        """What is typed up to the end of the line; empty when escape is hit."""
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
    """Keys of standard input; a terminal is put back in order at the end."""
    handle = sys.stdin.fileno()
    if not sys.stdin.isatty():
        yield Keys(handle, is_terminal=False)
        return
    import termios
    import tty

    before = termios.tcgetattr(handle)
    try:
        tty.setcbreak(handle, termios.TCSANOW)  # what was typed ahead stays
        yield Keys(handle, is_terminal=True)
    finally:
        termios.tcsetattr(handle, termios.TCSANOW, before)


def in_foreground(handle: int) -> bool:
    """Whether a terminal is ours to draw on and read: not that of a job behind."""
    try:
        return os.isatty(handle) and os.tcgetpgrp(handle) == os.getpgrp()
    except OSError:
        return False
