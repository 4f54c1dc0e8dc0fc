"""WAV and AIFF files whose sizes were never written: a recorder lost power.

The samples are there, but the header says that there are none. Such a file is read with
a header that counts all that follows as samples.
"""

import os
import struct

from effects.audio.spliced_file import Piece, SplicedFile

HEAD = 1 << 16  # bytes within which the samples begin


def mended_sizes(descriptor: int) -> SplicedFile | None:
    """A WAV, RF64 or AIFF with sizes that are right, or None if it needs none.

    Args:
        descriptor: of the file.
    """
    head = bytearray(os.pread(descriptor, HEAD, 0))
    size = os.fstat(descriptor).st_size
    form = bytes(head[:4] + head[8:12])
    if form in (b"RIFFWAVE", b"RF64WAVE"):
        found = _find(head, "<", b"data")
    elif form in (b"FORMAIFF", b"FORMAIFC"):
        found = _find(head, ">", b"SSND")
    else:
        return None
    if found is None or found + 8 >= size or not _says_nothing(head, found):
        return None
    n = size - found - 8
    if _is_chunk(head[found + 8 : found + 16], n, form):
        return None  # it is empty indeed, and something else follows
    if form == b"RF64WAVE":
        head[:4] = b"RIFF"  # and the chunk with the large sizes is passed over
        at = _find(head, "<", b"ds64")
        if at is not None:
            head[at : at + 4] = b"JUNK"
    order = ">" if form.startswith(b"FORM") else "<"
    struct.pack_into(f"{order}I", head, 4, min(size - 8, 2**32 - 1))
    struct.pack_into(f"{order}I", head, found + 4, min(n, 2**32 - 1))
    if order == ">":
        _count_frames(head, n - 8)
    head = head[: found + 8]
    pieces: list[Piece] = [bytes(head), range(len(head), size)]
    return SplicedFile(descriptor, pieces)


def _find(head: bytearray, order: str, name: bytes) -> int | None:
    """Place of a chunk."""
    place = 12
    while place + 8 <= len(head):
        if head[place : place + 4] == name:
            return place
        length = struct.unpack_from(f"{order}I", head, place + 4)[0]
        place += 8 + length + length % 2
    return None


def _says_nothing(head: bytearray, found: int) -> bool:
    """Whether the size of a chunk was never written."""
    large = _find(head, "<", b"ds64") if head[:4] == b"RF64" else None
    stated = bytes(head[found + 4 : found + 8])
    if large is not None and stated == b"\xff" * 4:
        stated = bytes(head[large + 16 : large + 24])
    return not any(stated)


def _is_chunk(head: bytearray, n: int, form: bytes) -> bool:
    order = ">" if form.startswith(b"FORM") else "<"
    if len(head) < 8 or not bytes(head[:4]).isalnum():
        return False
    return bool(struct.unpack_from(f"{order}I", head, 4)[0] + 8 <= n)


def _count_frames(head: bytearray, n_bytes: int) -> None:
    """Write into an AIFF how many samples its bytes are."""
    at = _find(head, ">", b"COMM")
    if at is None:
        return
    channels, _, bits = struct.unpack_from(">hIh", head, at + 8)
    frame = max(1, channels * (bits + 7) // 8)
    struct.pack_into(">I", head, at + 10, min(n_bytes // frame, 2**32 - 1))
