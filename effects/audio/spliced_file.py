"""A file in which some bytes are replaced, read without writing a copy."""

import io
import os
from collections.abc import Sequence
from typing import TypeAlias

Piece: TypeAlias = bytes | range  # bytes to put in, or the bytes of the file to take


class SplicedFile(io.RawIOBase):
    """Pieces of a file and of other bytes, one after the other.

    Args:
        descriptor: of the file; it must stay open as long as this is read.
        pieces: in order; a `range` names bytes of the file.
    """

    def __init__(self, descriptor: int, pieces: Sequence[Piece]) -> None:
        self._descriptor = descriptor
        self._pieces = [piece for piece in pieces if len(piece)]
        self._size = sum(map(len, self._pieces))
        self._position = 0

    def readable(self) -> bool:
        """Whether it can be read; always."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read from any place; always."""
        return True

    def tell(self) -> int:
        """Position of the next byte."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, as of any file."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        self._position = max(0, base[whence] + offset)
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fill a buffer as far as there are bytes; returns their number."""
        out = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        done = 0
        start = 0
        for piece in self._pieces:
            first = self._position - start
            while done < len(out) and 0 <= first < len(piece):
                part = self._part(piece, first, len(out) - done)
                if not part:
                    return done  # the file became shorter
                out[done : done + len(part)] = part
                done += len(part)
                first += len(part)
                self._position += len(part)
            start += len(piece)
        return done

    def _part(self, piece: Piece, first: int, n: int) -> bytes:
        if isinstance(piece, bytes):
            return piece[first : first + n]
        return os.pread(self._descriptor, min(n, len(piece) - first), piece[first])
