"""Sound written into a FIFO, for a program at its other end.

Plain PCM goes out while it is made. A sound file is written to the disk first and then
copied: the header of most formats holds the length, and a FIFO cannot go back to it.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from effects.audio.levels import Samples
from effects.base.errors import RunError
from effects.base.one_line import shown


@contextmanager
def fifo_file(path: Path) -> Iterator[BinaryIO]:
    """A FIFO opened for writing, once somebody reads from it.

    Raises:
        RunError: it cannot be opened, or its reader has gone.
    """
    try:
        with path.open("wb", buffering=0) as fifo:
            yield fifo
    except BrokenPipeError:
        raise RunError(f"{shown(path)}: its reader has gone") from None
    except OSError as error:
        raise RunError(f"{shown(path)}: {error.strerror}") from error


@contextmanager
def pcm_into(path: Path) -> Iterator[Callable[[Samples], None]]:
    """A function that writes blocks of float32 as s16le, interleaved, into a FIFO.

    Raises:
        RunError: as for `fifo_file`.
    """
    with fifo_file(path) as fifo:

        def write(block: Samples) -> None:
            steps = np.rint(np.nan_to_num(block, posinf=0.0, neginf=0.0) * 32_768.0)
            data = np.clip(steps, -32_768, 32_767).astype("<i2").tobytes()
            view = memoryview(data)
            while view:
                view = view[fifo.write(view) :]

        yield write


@contextmanager
def file_into(path: Path) -> Iterator[Path]:
    """A path for a file that is copied into a FIFO when the block ends well.

    Raises:
        RunError: as for `fifo_file`, or there is no room for the file.
    """
    with fifo_file(path) as fifo, tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder, f"sound{path.suffix}")
        yield temporary
        with temporary.open("rb") as file:
            shutil.copyfileobj(file, fifo, 1 << 16)
