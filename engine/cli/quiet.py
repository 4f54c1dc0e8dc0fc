"""Standard error without what C libraries write there, and fewer of their threads."""

import contextlib
import os
import sys
from collections.abc import Iterator


def limit_threads() -> None:
    """Let numerical libraries start no workers, which would delay the callback."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def silence_libraries() -> None:
    """Discard what C libraries write to stderr; Python's own lines still appear.

    PortAudio and ALSA write a dozen lines whenever a device is missing. They know
    stderr by its number, so that number is given to the null device.
    """
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed
        return
    sys.stderr = os.fdopen(
        kept, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
    )
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Discard all that is written to stderr within the block."""
    try:
        kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # stderr is closed
        yield
        return
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
