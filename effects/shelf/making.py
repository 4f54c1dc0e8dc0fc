"""Loops that are made in a process of their own.

To make a loop takes a hundred megabytes and more for some seconds, of which the C
library keeps a part for good; a session that plays for weeks maps what was made from
the cache and never holds them. The process is given less of the machine than the
music, and ends with the one that asked for it, however that ends.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from effects.base.errors import LatentError
from effects.base.search_path import child_environment
from effects.base.workers import begin_child

NICE = 10


def make_in_process(folder: Path, cache: Path, name: str, sample_rate: int) -> None:
    """Have a loop made and kept in the cache; returns when the process has ended.

    What goes wrong there is not told: `Library.load` then makes the loop in this
    process, and raises the error.

    Args:
        folder: of the user's own effects.
        cache: that it is kept in.
        name: of the effect.
        sample_rate: Hz.
    """
    words = [str(folder), str(cache), name, str(sample_rate)]
    command = [sys.executable, "-P", "-m", "effects.shelf.making", *words]
    with (
        contextlib.suppress(OSError),
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # held open: its end tells the process to end
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=child_environment(),
        ) as process,
    ):
        process.wait()


def run(folder: str, cache: str, name: str, sample_rate: str) -> int:
    """Make a loop, as `python -m effects.shelf.making` does; gives its exit code."""
    from effects.shelf.library import Library

    begin_child()
    os.nice(NICE)
    try:
        Library(Path(folder), Path(cache)).load(name, int(sample_rate))
    except LatentError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
