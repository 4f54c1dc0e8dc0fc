"""Live encoding: samples in, pieces out that a listener can begin with.

libsndfile writes into an object that keeps what is appended. When it goes back at the
end to write a length, that is let go: a stream has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import soundfile
import soxr

from effects.audio.levels import Samples
from engine.recording.segment import to_24_bits
from engine.streams.framing import Mp3Frames, OggPages, is_ogg_header

CHANNELS = 2
PIECE_S = 0.1  # length of the longest pieces: sound that an encoder may hold back
_SET_OGG_PAGE_LATENCY_MS = 0x1302
FLAC_SYNC = b"\xff\xf8"  # of a frame in a stream of equal block sizes


@dataclass(frozen=True)
class StreamFormat:
    """How the master is encoded for a stream.

    Attributes:
        name: ending of its URL.
        mime: its media type.
        kbps: nominal rate; of FLAC, of music as it is usual here.
        rates: sample rates that it takes, the preferred last; none: any.
        options: of libsndfile.
    """

    name: str
    mime: str
    kbps: int
    rates: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def rate_for(self, sample_rate: int) -> int:
        """The rate at which a session of `sample_rate` Hz is encoded."""
        if not self.rates or sample_rate in self.rates:
            return sample_rate
        return self.rates[-1]


FORMATS: Mapping[str, StreamFormat] = MappingProxyType(
    {
        each.name: each
        for each in (
            StreamFormat(
                "mp3",
                "audio/mpeg",
                192,
                (32_000, 44_100, 48_000),
                {
                    "format": "MP3",
                    "subtype": "MPEG_LAYER_III",
                    "bitrate_mode": "CONSTANT",
                    "compression_level": 0.4,  # of 320..0 kbit/s: 192
                },
            ),
            StreamFormat(
                "opus",
                "audio/ogg",
                128,
                (48_000,),
                {"format": "OGG", "subtype": "OPUS"},
            ),
            StreamFormat(
                "flac",
                "audio/flac",
                1600,
                options={"format": "FLAC", "subtype": "PCM_24"},
            ),
        )
    }
)


class Encoder:
    """Encodes a stream without end.

    Args:
        stream_format: one of `FORMATS`.
        sample_rate: Hz, of the samples given.
        title: tag of an Ogg stream.

    Attributes:
        header: bytes with which every listener begins, there with the first piece;
            empty for MP3.
    """

    def __init__(
        self, stream_format: StreamFormat, sample_rate: int, title: str = ""
    ) -> None:
        self.header = b""
        rate = stream_format.rate_for(sample_rate)
        self._is_flac = stream_format.name == "flac"
        self._resampler = _resampler(sample_rate, rate)
        self._cutter: _Cutter | None = None
        if stream_format.name == "mp3":
            self._cutter = Mp3Frames()
        elif stream_format.name == "opus":
            self._cutter = OggPages()
        self._kept = _Appended()
        self._file = soundfile.SoundFile(
            self._kept, "w", rate, CHANNELS, **stream_format.options
        )
        if stream_format.name == "opus":
            _shorten_pages(self._file)
            if title:
                self._file.title = title

    def encode(self, samples: Samples) -> list[bytes]:
        """Take samples, shape (n, 2); returns the pieces that are whole by now."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        if self._is_flac:
            self._file.write(to_24_bits(samples)[0])
        else:
            self._file.write(np.clip(np.nan_to_num(samples), -1.0, 1.0))
        return self._pieces()

    def close(self) -> list[bytes]:
        """End the stream; returns its last pieces."""
        self._file.close()
        return self._pieces()

    def _pieces(self) -> list[bytes]:
        pieces = self._kept.take()  # libFLAC writes one block or frame at a time
        if self._cutter is not None:
            pieces = [each for part in pieces for each in self._cutter.add(part)]
        while pieces and self._is_header(pieces[0]):
            self.header += pieces.pop(0)
        return pieces

    def _is_header(self, piece: bytes) -> bool:
        if self._is_flac:
            return not piece.startswith(FLAC_SYNC)
        return isinstance(self._cutter, OggPages) and is_ogg_header(piece)


class _Cutter(Protocol):
    def add(self, data: bytes) -> list[bytes]: ...


class _Appended:
    """The file that libsndfile writes: keeps what is appended, until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = self._position = 0

    def write(self, data: Any) -> int:
        part = bytes(data)
        if self._position == self._length:
            self._parts.append(part)
            self._length += len(part)
        self._position += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = 0) -> int:
        base = {0: 0, 1: self._position, 2: self._length}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        return b""

    def flush(self) -> None:
        pass

    def take(self) -> list[bytes]:
        parts, self._parts = self._parts, []
        return parts


def _shorten_pages(file: soundfile.SoundFile) -> None:
    """End a page of Ogg every `PIECE_S`, not every second.

    VLC keeps one second of a stream. Once it had waited for one, pages as long went on
    coming too late, and VLC dropped some of the sound again and again. soundfile has no
    name for libsndfile's SFC_SET_OGG_PAGE_LATENCY_MS.
    """
    longest_ms = soundfile._ffi.new("double *", 1e3 * PIECE_S)
    soundfile._snd.sf_command(
        file._file,
        _SET_OGG_PAGE_LATENCY_MS,
        longest_ms,
        soundfile._ffi.sizeof("double"),
    )


def _resampler(sample_rate: int, rate: int) -> "soxr.ResampleStream | None":
    if rate == sample_rate:
        return None
    return soxr.ResampleStream(sample_rate, rate, CHANNELS, dtype="float32")
