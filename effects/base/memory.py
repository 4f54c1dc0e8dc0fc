"""Memory that is given back to the system when it is not needed any more."""

import contextlib
import ctypes

# Of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
LARGE = 1 << 20  # bytes; an array of this size or more is the system's again when freed
HEAPS = 2  # at most; one for the audio callback's thread to be mostly alone with


def give_memory_back() -> None:
    """Let the C library return the memory of freed arrays, in this process.

    Without it, glibc keeps a heap for each thread, and takes arrays of up to 32 MB from
    them once one as large was freed: a session with 100 MB of arrays held 700 MB.
    Another C library may lack the call, which changes nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_ARENA_MAX, HEAPS)
    mallopt(_MMAP_THRESHOLD, LARGE)
    mallopt(_TRIM_THRESHOLD, LARGE)


def give_back_now() -> None:
    """Return what is free already, as after loading a model; it takes milliseconds."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
