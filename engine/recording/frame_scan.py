"""Finding the whole frames of a FLAC file that may be torn."""

import io
from dataclasses import dataclass
from typing import BinaryIO

from engine.recording import flac

WINDOW = 1 << 23  # bytes looked at together
SYNC = b"\xff\xf8"  # how a frame of a stream with a fixed block size begins


@dataclass(frozen=True)
class FrameRun:
    """The unbroken run of whole frames that a file starts with.

    Attributes:
        n_samples: per channel.
        end: byte after the last of them.
        smallest: bytes of the smallest frame.
        largest: bytes of the largest frame.
    """

    n_samples: int
    end: int
    smallest: int
    largest: int


def scan_frames(
    file: BinaryIO, size: int, start: int, info: flac.StreamInfo
) -> FrameRun:
    """Follow the frames from a byte on, for as long as each is whole.

    A frame counts when its header is valid, its number is one up, and its checksum is
    right.

    Args:
        file: opened for reading.
        size: bytes of it.
        start: byte at which the first frame begins.
        info: of the stream.
    """
    longest = flac.longest_frame(info)
    n_samples, at, smallest, largest = 0, start, 0, 0
    base, data = start, read_at(file, start, WINDOW)
    while True:
        if at - base > len(data) - 2 * longest and base + len(data) < size:
            base, data = at, read_at(file, at, WINDOW + 2 * longest)
        header = flac.frame_header(data, at - base, info)
        if header is None:
            break
        next_at = _next_frame(data, at - base, header, longest, info)
        if next_at is None:
            length = _last_length(data[at - base : at - base + longest], header, info)
        else:
            length = next_at - (at - base)
            if not flac.is_whole(data[at - base : next_at]):
                break
        if length:
            n_samples, at = n_samples + header.n_samples, at + length
            smallest = min(smallest or length, length)
            largest = max(largest, length)
        if next_at is None:
            break
    return FrameRun(n_samples, at, smallest, largest)


def _next_frame(
    data: bytes, at: int, header: flac.FrameHeader, longest: int, info: flac.StreamInfo
) -> int | None:
    found = data.find(SYNC, at + header.length, at + longest)
    while found >= 0:
        following = flac.frame_header(data, found, info)
        if following is not None and following.number == header.number + 1:
            return found
        found = data.find(SYNC, found + 1, at + longest)
    return None


def _last_length(
    data: bytes, header: flac.FrameHeader, info: flac.StreamInfo
) -> int | None:
    """Bytes of the frame that `data` starts with, or None when it is torn.

    It is the last one, so no header follows that would end it. A checksum of 16 bits
    comes out right by chance once in 65,536 lengths, so the decoder has the last word.
    """
    for length in flac.whole_lengths(data):
        if length > header.length + 2 and _decodes(data[:length], header, info):
            return length
    return None


def _decodes(frame: bytes, header: flac.FrameHeader, info: flac.StreamInfo) -> bool:
    import soundfile

    stream = flac.single_frame_stream(frame, header, info)
    try:
        with soundfile.SoundFile(io.BytesIO(stream)) as sound:
            return len(sound.read(header.n_samples, "int32")) == header.n_samples
    except (soundfile.LibsndfileError, ValueError, AssertionError):
        return False


def has_frame(file: BinaryIO, size: int, at: int, info: flac.StreamInfo) -> bool:
    """Whether a frame begins anywhere behind the torn one at `at`."""
    at += 1
    while at < size:
        data = read_at(file, at, WINDOW)
        found = data.find(SYNC)
        while found >= 0:
            if flac.frame_header(data, found, info) is not None:
                return True
            found = data.find(SYNC, found + 1)
        at += max(1, len(data) - flac.LONGEST_HEADER)
    return False


def read_at(file: BinaryIO, at: int, n: int) -> bytes:
    """Bytes [at, at + n) of a file, fewer at its end."""
    file.seek(at)
    return file.read(n)
