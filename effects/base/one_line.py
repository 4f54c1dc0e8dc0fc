"""Text from outside, made fit for one line on a terminal."""

import os
from pathlib import Path

MAX_LENGTH = 400  # characters


def one_line(text: str) -> str:
    r"""A text with its control characters escaped, cut to 400 characters.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return escaped(text)[:MAX_LENGTH]


def escaped(text: str) -> str:
    """A text of any length with its control characters escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shown(path: Path) -> str:
    """A path as messages show it, in one line, whatever characters it holds."""
    return one_line(os.fspath(path).encode("utf-8", "backslashreplace").decode())
