"""Text from outside, made fit for one line on a terminal."""

import os
from pathlib import Path

LONGEST = 400  # characters


def one_line(text: str) -> str:
    r"""A text without control characters: they are escaped, and its end is cut off.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)[:LONGEST]


def shown(path: Path) -> str:
    """A path as messages show it, in one line, whatever its name holds."""
    return one_line(os.fspath(path).encode("utf-8", "backslashreplace").decode())
