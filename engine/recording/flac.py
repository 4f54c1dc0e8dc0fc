"""The parts of FLAC's container that libsndfile leaves to us (RFC 9639).

Stream information, tags and the frames' headers and checksums: enough to tell which
frames of a torn file are whole, and to change tags in place. Audio itself is encoded
and decoded by libFLAC alone.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MARKER = b"fLaC"
INFO_LENGTH = 34  # of the stream information, which always comes first
INFO_START = 8
STREAMINFO, PADDING, VORBIS_COMMENT = 0, 1, 4
ROOM = 1 << 15  # bytes that a recording keeps for tags and chapters
FILLER = "~"  # what that room is filled with until the first tags are written
FIRST_SAMPLE = "LATENT_FIRST_SAMPLE"  # a tag that only recordings of ours have
LONGEST_HEADER = 16  # of a frame
LARGEST_METADATA = 1 << 25  # room for a picture of the largest size

_BLOCK_SIZES = {1: 192, **{c: 144 << c for c in range(2, 6)}} | {
    c: 1 << c for c in range(8, 16)
}
_RATE_BYTES = {12: 1, 13: 2, 14: 2}


@dataclass(frozen=True)
class StreamInfo:
    """What a FLAC file says about itself; zero stands for unknown."""

    block_size: int
    sample_rate: int
    channels: int
    bits: int
    n_samples: int
    raw: bytes  # all 34 bytes

    @classmethod
    def parse(cls, raw: bytes) -> "StreamInfo | None":
        """Read the 34 bytes of the block, or None when they make no sense."""
        if len(raw) < INFO_LENGTH:
            return None
        shortest, longest = struct.unpack(">HH", raw[:4])
        packed = int.from_bytes(raw[10:18], "big")
        rate, channels = packed >> 44, (packed >> 41 & 7) + 1
        bits, n_samples = (packed >> 36 & 31) + 1, packed & (1 << 36) - 1
        if not rate or longest < 16 or shortest > longest or bits < 4:
            return None
        return cls(longest, rate, channels, bits, n_samples, raw[:INFO_LENGTH])

    def with_length(self, n_samples: int, smallest: int, largest: int) -> bytes:
        """The block's bytes for that many samples, without a checksum of audio.

        Args:
            n_samples: per channel.
            smallest: bytes of the smallest frame.
            largest: bytes of the largest frame.
        """
        sizes = smallest.to_bytes(3, "big") + largest.to_bytes(3, "big")
        packed = int.from_bytes(self.raw[10:18], "big") >> 36 << 36 | n_samples
        # The MD5 of audio that was never counted is unknown, which is all zeros.
        return self.raw[:4] + sizes + packed.to_bytes(8, "big") + bytes(16)


@dataclass(frozen=True)
class FrameHeader:
    """Header of one frame of a stream with a fixed block size."""

    number: int
    n_samples: int
    length: int  # bytes, with its checksum


def metadata_end(data: bytes) -> int | None:
    """Where the first frame starts, or None when the metadata is not all there."""
    if data[:4] != MARKER or len(data) < INFO_START or data[4] & 127 != STREAMINFO:
        return None
    at, last = 4, False
    while not last:
        if at + 4 > len(data):
            return None
        last = bool(data[at] & 128)
        at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
    return at if at <= len(data) else None


def comment_block(
    vendor: str, tags: Sequence[tuple[str, str]], room: int
) -> bytes | None:
    """Tags and padding that fill `room` bytes, as the last blocks of metadata.

    Args:
        vendor: who encoded.
        tags: names and texts, in order; a name may come more than once.
        room: bytes to fill, headers included.

    Returns:
        None when the tags do not fit.
    """
    fields = [vendor, *(f"{name}={text}" for name, text in tags)]
    coded = [text.encode("utf-8", "replace") for text in fields]
    sized = [struct.pack("<I", len(text)) + text for text in coded]
    body = sized[0] + struct.pack("<I", len(tags)) + b"".join(sized[1:])
    left = room - 8 - len(body)
    if left < 0:
        return None
    comment = bytes([VORBIS_COMMENT]) + len(body).to_bytes(3, "big") + body
    return comment + bytes([PADDING | 128]) + left.to_bytes(3, "big") + bytes(left)


def frame_header(data: bytes, at: int, info: StreamInfo) -> FrameHeader | None:
    """The frame header at a position, or None when there is no valid one.

    Section 9.1 of the RFC. Only a fixed block size is known here.
    """
    head = data[at : at + LONGEST_HEADER]
    if len(head) < 6 or head[0] != 0xFF or head[1] != 0xF8 or head[3] & 1:
        return None
    size_code, rate_code = head[2] >> 4, head[2] & 15
    number, end = _coded_number(head, 4)
    if number < 0 or size_code == 0 or rate_code == 15 or head[3] >> 4 > 10:
        return None
    if size_code in (6, 7):
        width = size_code - 5
        n_samples = int.from_bytes(head[end : end + width], "big") + 1
        end += width
    else:
        n_samples = _BLOCK_SIZES[size_code]
    end += _RATE_BYTES.get(rate_code, 0)
    if end >= len(head) or n_samples > info.block_size:
        return None
    if crc8(head[:end]) != head[end]:
        return None
    return FrameHeader(number, n_samples, end + 1)


def longest_frame(info: StreamInfo) -> int:
    """More bytes than any frame of the stream can have, stored verbatim."""
    return info.block_size * info.channels * (info.bits + 8) // 8 + 1024


def single_frame_stream(frame: bytes, header: FrameHeader, info: StreamInfo) -> bytes:
    """A whole FLAC stream of one frame, which becomes its first."""
    _, number_end = _coded_number(frame, 4)
    head = frame[:4] + b"\0" + frame[number_end : header.length - 1]
    renumbered = head + bytes([crc8(head)]) + frame[header.length : -2]
    end = crc16(renumbered).to_bytes(2, "big")
    start = MARKER + bytes([STREAMINFO | 128]) + INFO_LENGTH.to_bytes(3, "big")
    return start + info.with_length(header.n_samples, 0, 0) + renumbered + end


def crc8(data: bytes) -> int:
    """Checksum of a frame header: x^8 + x^2 + x + 1, from zero."""
    table, crc = _crc8_table(), 0
    for byte in data:
        crc = table[crc ^ byte]
    return crc


def is_whole(frame: bytes) -> bool:
    """Whether a frame, with the checksum that ends it, is as it was written.

    The checksum is the remainder of the frame as a polynomial over GF(2), divided by
    x^16 + x^15 + x^2 + 1; with the checksum behind it, that is zero. Halves are
    folded together, a few array operations for a frame; zeros in front change nothing.
    """
    if len(frame) % 2:
        frame = b"\0" + frame
    words: NDArray[np.uint16] = np.frombuffer(frame, ">u2").astype(np.uint16)
    level = 0
    while len(words) > 1:
        if len(words) % 2:
            words = np.concatenate([np.zeros(1, np.uint16), words])
        # `take` is half again as fast as indexing here.
        folded = _shift_table(level).take(words[0::2])
        folded ^= words[1::2]
        words, level = folded, level + 1
    return bool(len(words)) and int(words[0]) == 0


def whole_lengths(data: bytes) -> list[int]:
    """All lengths at which what `data` starts with could be a whole frame."""
    table: list[int] = _crc16_table()
    crc, lengths = 0, []
    for n, byte in enumerate(data, 1):
        crc = (crc << 8 & 0xFF00) ^ table[crc >> 8 ^ byte]
        if not crc:
            lengths.append(n)
    return lengths


def crc16(data: bytes) -> int:
    """Checksum of a frame: x^16 + x^15 + x^2 + 1, from zero."""
    table, crc = _crc16_table(), 0
    for byte in data:
        crc = (crc << 8 & 0xFF00) ^ table[crc >> 8 ^ byte]
    return crc


def _coded_number(head: bytes, at: int) -> tuple[int, int]:
    """Number in the extended UTF-8 of frame headers, and where it ends; -1 if none."""
    first = head[at]
    if first < 0x80:
        return first, at + 1
    n_more = 7 - (first ^ 0xFF).bit_length()
    more = head[at + 1 : at + 1 + n_more]
    if n_more < 1 or n_more > 5 or len(more) < n_more:
        return -1, at
    number = first & (1 << 6 - n_more) - 1
    for byte in more:
        if byte >> 6 != 2:
            return -1, at
        number = number << 6 | byte & 63
    return number, at + 1 + n_more


@lru_cache(maxsize=1)
def _crc8_table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
        table.append(crc)
    return table


@lru_cache(maxsize=1)
def _crc16_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = crc << 1 ^ (0x18005 if crc & 0x8000 else 0)
        table.append(crc)
    return table


@lru_cache(maxsize=32)
def _shift_table(level: int) -> NDArray[np.uint16]:
    """Each remainder times x^(16 * 2^level), reduced."""
    if level:
        half = _shift_table(level - 1)
        twice: NDArray[np.uint16] = half[half]
        return twice
    byte = np.array(_crc16_table(), np.uint16)
    word = np.arange(1 << 16, dtype=np.uint16)
    once: NDArray[np.uint16] = (word << 8) ^ byte[word >> 8]
    both: NDArray[np.uint16] = (once << 8) ^ byte[once >> 8]
    return both
