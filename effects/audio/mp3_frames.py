"""Frames of MP3 files: how long a file is, and where its music begins.

A header that states the length of an MP3 (Xing) may be missing, and then readers guess
from the first frames; or it may state that of the first of several files that were
joined. And there may be zeros or junk before the first frame. Such a file is given a
header that is right.
"""

import mmap
import struct
from dataclasses import dataclass

from effects.audio.spliced_file import Piece, SplicedFile

SAME_LENGTH = 0.01  # share by which a stated number of frames may be off
FARTHEST = 1 << 20  # bytes that are searched for a first frame, and for a next one

_KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000)}
_RATES[0] = (11_025, 12_000, 8_000)
_SAME = 0xFFFE0C00  # bits of a header that do not change: sync, version, layer, rate

_Bytes = mmap.mmap | bytes


@dataclass(frozen=True)
class Mp3Layout:
    """What a walk over the frames of a file found.

    Attributes:
        tag: bytes of an ID3 tag at the very beginning.
        first: where the first frame of sound begins; a header frame is passed over.
        end: where the last frame ends.
        count: of frames of sound.
        header: the four bytes of the first frame of sound, as a number.
        stated: number of frames by the header, or None if it states none.
        steady: whether all frames have the same bit rate.
        led_by_junk: whether something else lies before the first frame.
    """

    tag: int
    first: int
    end: int
    count: int
    header: int
    stated: int | None
    steady: bool
    led_by_junk: bool


def mended_mp3(descriptor: int) -> SplicedFile | None:
    """An MP3 with a header that is right, or None if it needs none or is no MP3.

    Args:
        descriptor: of the file.
    """
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as data:
        found = walk(data)
    if found is None:
        return None
    if found.stated is None:
        right = found.steady
    else:
        right = abs(found.stated - found.count) <= SAME_LENGTH * found.count + 1
    if right and not found.led_by_junk:
        return None
    pieces: list[Piece] = [
        range(found.tag),
        xing_frame(found.header, found.count, found.end - found.first),
        range(found.first, found.end),
    ]
    return SplicedFile(descriptor, pieces)


def walk(data: _Bytes) -> Mp3Layout | None:
    """Walk over the frames of layer III in a file; None if there are not two of them.

    Args:
        data: the whole file.
    """
    tag = _id3_length(data, 0)
    start = tag
    while tag_length := _id3_length(data, start):  # another one, after the first
        start += tag_length
    if data[start : start + 4] in (b"fLaC", b"RIFF", b"OggS", b"FORM"):
        return None
    first = _next_frame(data, start, min(len(data), start + FARTHEST))
    if first is None:
        return None
    header = _header(data, first)
    stated = _stated_frames(data, first, header)
    begin = (
        first + frame_length(header) if _is_header_frame(data, first, header) else first
    )
    place = end = begin
    count, kinds = 0, set()
    first_header = header
    while place + 4 <= len(data):
        found = _header(data, place)
        length = frame_length(found) if (found ^ header) & _SAME == 0 else 0
        if not length:
            place += _id3_length(data, place)
            ahead = _next_frame(data, place, min(len(data), place + FARTHEST), header)
            if ahead is None:
                break
            place = ahead
            continue
        if count and _is_header_frame(data, place, found):
            place += length  # of a file that was joined on
            continue
        if not count:
            first_header = found
        count += 1
        kinds.add(found & 0xF000)
        place += length
        end = min(place, len(data))
    return Mp3Layout(
        tag=tag if tag < len(data) else 0,
        first=begin,
        end=end,
        count=count,
        header=first_header,
        stated=stated,
        steady=len(kinds) == 1,
        led_by_junk=first > tag,
    )


def xing_frame(header: int, count: int, n_bytes: int) -> bytes:
    """A silent frame that states how many frames follow.

    Args:
        header: of a frame of the file.
        count: number of frames.
        n_bytes: their length in bytes.
    """
    # No checksum, no padding, and a bit rate at which the frame has room for it.
    bit_rate = 9 if _version(header) == 3 else 8
    header = (header | 0x10000) & ~0xF200 | bit_rate << 12
    frame = bytearray(frame_length(header))
    struct.pack_into(">I", frame, 0, header)
    at = 4 + _side_length(header)
    struct.pack_into(">4sIII", frame, at, b"Xing", 3, count, n_bytes)
    return bytes(frame)


def frame_length(header: int) -> int:
    """Length of a frame in bytes; 0 if this is no header of layer III.

    Args:
        header: its first four bytes, as a number.
    """
    version, rate_index, kbps_index = _version(header), header >> 10 & 3, header >> 12
    kbps_index &= 15
    is_frame = header >> 21 == 0x7FF and version != 1 and header >> 17 & 3 == 1
    if not is_frame or rate_index == 3 or kbps_index in (0, 15):
        return 0
    kbps = (_KBPS_1 if version == 3 else _KBPS_2)[kbps_index]
    coefficient = 144_000 if version == 3 else 72_000
    return coefficient * kbps // _RATES[version][rate_index] + (header >> 9 & 1)


def _header(data: _Bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "big")


def _version(header: int) -> int:
    return header >> 19 & 3  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5


def _next_frame(
    data: _Bytes, start: int, stop: int, like: int | None = None
) -> int | None:
    """Place of the next frame that another one follows, or that ends the file."""
    place = data.find(b"\xff", start, stop)
    while place >= 0:
        header = _header(data, place)
        length = frame_length(header)
        if length and (like is None or (header ^ like) & _SAME == 0):
            after = place + length
            following = _header(data, after)
            if (following ^ header) & _SAME == 0 and frame_length(following):
                return place
            if like is not None and after >= len(data) - 128:
                return place
        place = data.find(b"\xff", place + 1, stop)
    return None


def _side_length(header: int) -> int:
    mono = header >> 6 & 3 == 3
    if _version(header) == 3:
        return 17 if mono else 32
    return 9 if mono else 17


def _is_header_frame(data: _Bytes, place: int, header: int) -> bool:
    at = place + 4 + _side_length(header)
    return data[at : at + 4] in (b"Xing", b"Info") or (
        data[place + 36 : place + 40] == b"VBRI"
    )


def _stated_frames(data: _Bytes, place: int, header: int) -> int | None:
    at = place + 4 + _side_length(header)
    if data[at : at + 4] in (b"Xing", b"Info") and data[at + 7 : at + 8]:
        return _header(data, at + 8) if data[at + 7] & 1 else None
    if data[place + 36 : place + 40] == b"VBRI":
        return _header(data, place + 36 + 14)
    return None


def _id3_length(data: _Bytes, place: int) -> int:
    """Length in bytes of an ID3v2 tag at a place; 0 if there is none, or it lies."""
    head = data[place : place + 10]
    if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    length = 10 + size + (10 if head[5] & 0x10 else 0)
    return length if place + length < len(data) else 0
