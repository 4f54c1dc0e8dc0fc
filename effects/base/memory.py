"""Memory of freed arrays: given back to the system, or kept for the next ones."""

import contextlib
import ctypes

# Of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
LARGE = 1 << 20  # bytes; an array of this size or more is the system's again when freed
HEAPS = 2  # at most; one for the audio callback's thread to be mostly alone with
MOST_KEPT = 1 << 27  # bytes at the end of a heap
LARGEST_KEPT = 1 << 25  # bytes of an array; glibc allows no more


def give_memory_back() -> None:
    """Let the C library return the memory of freed arrays, in this process.

    Without it, glibc keeps a heap for each thread, and takes arrays of up to 32 MB from
    them once one as large was freed: a session with 100 MB of arrays held 700 MB.
    Another C library may lack the call, which changes nothing.
    """
    _set(LARGE, LARGE)


def keep_memory() -> None:
    """Let the C library keep the memory of freed arrays, in this process.

    For a worker that does the same over and over: to get the same pages again and again
    took a tenth of the time of an album's song, and four tenths of a clip's.
    """
    _set(LARGEST_KEPT, MOST_KEPT)


def give_back_now() -> None:
    """Return what is free already, as after loading a model; it takes milliseconds."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _set(mmap_threshold: int, trim_threshold: int) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_ARENA_MAX, HEAPS)
    mallopt(_MMAP_THRESHOLD, mmap_threshold)
    mallopt(_TRIM_THRESHOLD, trim_threshold)
