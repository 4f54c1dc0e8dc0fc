"""Small files of a model folder, each written whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from effects.base.errors import RunError


def write_whole(path: Path, content: bytes) -> None:
    """Put a file in its place; what stood there stays until the new one is whole.

    Raises:
        RunError: the disk is full, or the folder cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise RunError(f"cannot write {path}: {error.strerror}") from error
