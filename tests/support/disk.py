"""A disk that is full, for the process that asks for one."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def disk_full_after(n_bytes: int) -> Iterator[None]:
    """No file may grow beyond this: writes fail on the way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
