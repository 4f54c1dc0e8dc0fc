"""Appending to files of JSON objects, one a line."""

import os
from pathlib import Path

_TAIL = 1 << 16  # bytes; a line is shorter


def append_bytes(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Append to a file; with `sync`, wait until it is on the disk."""
    with path.open("ab") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def append_line(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Append lines, and cut off before them a torn one that a killed program left."""
    if path.exists():
        _cut_torn_line(path)
    append_bytes(path, content, sync=sync)


def _cut_torn_line(path: Path) -> None:
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - _TAIL)
        file.seek(start)
        tail = file.read()
        if tail and not tail.endswith(b"\n"):
            file.truncate(start + tail.rfind(b"\n") + 1)
