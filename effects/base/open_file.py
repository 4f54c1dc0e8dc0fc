"""Opening files that somebody else wrote: regular files only, of a bounded size.

A FIFO blocks whoever opens it, a device may have no end, and a file may be larger than
memory. What is read as one piece is read here, so that each of these is refused in one
line.
"""

import os
import stat
from io import BufferedReader
from pathlib import Path

from effects.base.errors import InputError
from effects.base.one_line import shown

PIECE = 1 << 20  # bytes read at once


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file, or a link to one, for reading; never blocks.

    Args:
        path: of the file.

    Raises:
        InputError: there is no such file, it is a folder, a FIFO, a socket or a
            device, or it may not be read.
    """
    try:
        refused = _refused(os.stat(path))
        if not refused:
            # Not blocking: the name may have come to stand for a FIFO meanwhile.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            refused = _refused(os.fstat(descriptor))
            if not refused:
                return os.fdopen(descriptor, "rb")
            os.close(descriptor)
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: no such file") from None
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read ({error.strerror})") from None
    except ValueError:  # a null character, or a lone surrogate
        raise InputError(f"{shown(path)}: no name of a file") from None
    raise InputError(f"{shown(path)}: {refused}")


def read_bytes(path: Path, limit: int, kind: str = "file") -> bytes:
    """Read a regular file as a whole.

    Args:
        path: of the file.
        limit: bytes that it may have.
        kind: what it is read as, for the message.

    Raises:
        InputError: as for `open_regular`, or the file is larger than `limit`.
    """
    pieces: list[bytes] = []
    size = 0
    with open_regular(path) as file:
        try:
            # Not in one call, which would allocate `limit` bytes for any file.
            while size <= limit and (piece := file.read(PIECE)):
                pieces.append(piece)
                size += len(piece)
        except OSError as error:
            reason = error.strerror
            raise InputError(f"{shown(path)}: cannot be read ({reason})") from None
    if size > limit:
        raise InputError(f"{shown(path)}: over {limit} bytes, too many for a {kind}")
    return b"".join(pieces)


def read_text(path: Path, limit: int, kind: str = "file") -> str:
    """Read a text file in UTF-8 as a whole; a byte order mark is left out.

    Args:
        path: of the file.
        limit: bytes that it may have.
        kind: what it is read as, for the message.

    Raises:
        InputError: as for `read_bytes`, or the file is not UTF-8.
    """
    try:
        return read_bytes(path, limit, kind).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{shown(path)}: not a text file in UTF-8") from None


def _refused(status: os.stat_result) -> str:
    """Why a file is not opened; empty for a regular one."""
    if stat.S_ISDIR(status.st_mode):
        return "is a folder; name a file"
    return "" if stat.S_ISREG(status.st_mode) else "is no regular file"
