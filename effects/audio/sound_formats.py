"""Table of the formats of sound files: what is written, and what is read.

A format that is to be written as well needs one line in `WRITTEN`.
"""

from dataclasses import dataclass
from pathlib import Path

from effects.base.errors import InputError
from effects.base.one_line import shown
from effects.base.whole_file import is_fifo


@dataclass(frozen=True)
class SoundFormat:
    """How files of one ending are written.

    Attributes:
        name: as users know it.
        container: major format of libsndfile.
        subtype: encoding of libsndfile that is used unless another is asked for.
        keeps_samples: whether decoding gives the samples that were written, to the
            resolution of the subtype, and no others before or after them.
        rates: sample rates in Hz that it can hold, the best first; empty for all.
    """

    name: str
    container: str
    subtype: str
    keeps_samples: bool
    rates: tuple[int, ...] = ()

    def rate_for(self, sample_rate: int) -> int:
        """A rate in Hz if the format can hold it, or else the best that it can hold."""
        if not self.rates or sample_rate in self.rates:
            return sample_rate
        return self.rates[0]


_OPUS_RATES = (48_000, 24_000, 16_000, 12_000, 8_000)
_MP3_RATES = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)

# By ending, in lower case.
WRITTEN = {
    ".flac": SoundFormat("FLAC", "FLAC", "PCM_24", True),
    ".wav": SoundFormat("WAV", "WAV", "PCM_24", True),
    ".aiff": SoundFormat("AIFF", "AIFF", "PCM_24", True),
    ".aif": SoundFormat("AIFF", "AIFF", "PCM_24", True),
    ".ogg": SoundFormat("Ogg Vorbis", "OGG", "VORBIS", False),
    ".oga": SoundFormat("Ogg Vorbis", "OGG", "VORBIS", False),
    ".opus": SoundFormat("Opus", "OGG", "OPUS", False, _OPUS_RATES),
    ".mp3": SoundFormat("MP3", "MP3", "MPEG_LAYER_III", False, _MP3_RATES),
}
# What a FIFO without such an ending gets: what most programs take from a pipe.
PCM = SoundFormat("PCM (s16le)", "RAW", "PCM_16", True)
LOSSLESS = tuple(ending for ending, kind in WRITTEN.items() if kind.keeps_samples)

TAGS = ("title", "artist", "album", "genre", "date", "comment", "license", "copyright")

# libsndfile has had no memory-safety faults in these for years; ADPCM and the rare
# containers are where its CVEs are.
READ_CONTAINERS = frozenset({"WAV", "WAVEX", "RF64", "AIFF", "FLAC", "OGG", "MP3"})
READ_SUBTYPES = frozenset(
    {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"}
    | {"VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"}
)
READABLE = "WAV, AIFF, FLAC, Ogg Vorbis, Opus, MP3"  # for messages
# Endings besides those that are written; what a file is, its content says.
READ_ENDINGS = frozenset({".wave", ".bwf", ".rf64", ".aifc", ".mp2"})
# Sounds that are read where ffmpeg is installed.
FOREIGN_ENDINGS = frozenset(
    {".m4a", ".m4b", ".mp4", ".mka", ".mkv", ".webm", ".aac", ".wma", ".ape", ".wv"}
    | {".caf", ".au", ".w64", ".dsf", ".dff"}
)


class SoundError(InputError):
    """A sound file that cannot be read or written; the text names it and says why."""


class UnsupportedError(SoundError):
    """A sound file in good order, but of a kind that is not read."""


def is_sound(path: Path) -> bool:
    """Whether the ending is that of a sound file that is read and written here.

    >>> is_sound(Path("song.AIFF")), is_sound(Path("song.card"))
    (True, False)
    """
    return path.suffix.lower() in WRITTEN


def format_of(path: Path) -> SoundFormat:
    """The format in which a file of this ending is written.

    A FIFO with another ending, or with none, gets plain PCM.

    Raises:
        SoundError: an ending that is not in the table.
    """
    found = WRITTEN.get(path.suffix.lower())
    if found is None:
        if is_fifo(path):
            return PCM
        endings = ", ".join(WRITTEN)
        trouble = f"cannot write {path.suffix!r}" if path.suffix else "has no ending"
        raise SoundError(f"{shown(path)}: {trouble}; use one of {endings}")
    return found
