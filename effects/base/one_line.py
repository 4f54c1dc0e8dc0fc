"""Text from outside, made fit for one line on a terminal."""

import os
from pathlib import Path

MAX_LENGTH = 400  # characters


def one_line(text: str) -> str:
    r"""A text with its control characters escaped, cut to 400 characters.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)[:MAX_LENGTH]


def shown(path: Path) -> str:
    """A path as messages show it, in one line, whatever characters it holds."""
    return one_line(os.fspath(path).encode("utf-8", "backslashreplace").decode())
