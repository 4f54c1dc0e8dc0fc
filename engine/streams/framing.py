"""Cutting encoded bytes where a listener may join: MP3 frames and Ogg pages."""

from effects.audio.mp3_frames import frame_length

_INFO_AT = 36  # where LAME's header stands in a stereo frame of MPEG 1
_OGG_HEADER = 27  # bytes of a page before its table of segments


class Mp3Frames:
    """Cuts a stream of MP3 into whole frames.

    The frame in which LAME keeps the length of a file is left out: a stream has none.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, data: bytes) -> list[bytes]:
        """Take more of the stream; returns the frames that are whole by now."""
        self._bytes += data
        frames: list[bytes] = []
        while (length := self._length()) and length <= len(self._bytes):
            frame = bytes(self._bytes[:length])
            del self._bytes[:length]
            if frame[_INFO_AT : _INFO_AT + 4] not in (b"Info", b"Xing"):
                frames.append(frame)
        return frames

    def _length(self) -> int:
        """Bytes of the frame at the start, after what is none; 0 if unknown yet."""
        while len(self._bytes) >= 4:
            if length := frame_length(int.from_bytes(self._bytes[:4], "big")):
                return length
            del self._bytes[0]
        return 0


class OggPages:
    """Cuts an Ogg stream into whole pages (RFC 3533, section 6)."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, data: bytes) -> list[bytes]:
        """Take more of the stream; returns the pages that are whole by now."""
        self._bytes += data
        pages: list[bytes] = []
        while (length := self._length()) and length <= len(self._bytes):
            pages.append(bytes(self._bytes[:length]))
            del self._bytes[:length]
        return pages

    def _length(self) -> int:
        if len(self._bytes) < _OGG_HEADER:
            return 0
        n_segments = self._bytes[_OGG_HEADER - 1]
        end = _OGG_HEADER + n_segments
        if len(self._bytes) < end:
            return 0
        return end + sum(self._bytes[_OGG_HEADER:end])


def is_ogg_header(page: bytes) -> bool:
    """Whether a page holds the identification or the tags of an Opus stream."""
    body = page[_OGG_HEADER + page[_OGG_HEADER - 1] :]
    return body[:8] in (b"OpusHead", b"OpusTags")
