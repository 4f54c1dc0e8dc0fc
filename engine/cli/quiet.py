"""Standard error without what C libraries write there, and fewer of their threads."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TextIO


def limit_threads() -> None:
    """Let numerical libraries start no workers, which would delay the callback."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def silence_libraries() -> None:
    """Discard what C libraries write to stderr, until the process ends.

    PortAudio and ALSA write a dozen lines whenever a device is missing. They know
    stderr by its number, so that number is given to the null device; Python's own
    lines still appear.
    """
    with contextlib.suppress(OSError):  # stderr is closed
        sys.stderr = _python_alone()


@contextlib.contextmanager
def libraries_silenced() -> Iterator[None]:
    """Discard what C libraries write to stderr within the block."""
    before = sys.stderr
    try:
        ours = _python_alone()
    except OSError:  # stderr is closed
        yield
        return
    sys.stderr = ours
    try:
        yield
    finally:
        sys.stderr = before
        with ours:  # closed also where it cannot be flushed
            os.dup2(ours.fileno(), 2)


def _python_alone() -> TextIO:
    """Open what stderr is now for Python, and the null device under its number."""
    ours = os.fdopen(
        os.dup(2),
        "w",
        buffering=1,
        encoding=sys.stderr.encoding,
        errors="backslashreplace",
    )
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    return ours
