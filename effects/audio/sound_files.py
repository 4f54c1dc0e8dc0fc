"""Sound files in and out.

Files come from anywhere, so nothing in them is trusted: regular files only, formats
by an allow list, length by what was read and never by the header.
"""

import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from effects.audio.levels import Samples
from effects.base.errors import InputError, RunError

# What libsndfile has had no memory-safety faults in for years; ADPCM and the rare
# containers are where the CVEs are.
FORMATS = frozenset({"WAV", "WAVEX", "RF64", "AIFF", "FLAC", "OGG", "MP3"})
SUBTYPES = frozenset(
    {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"}
    | {"VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III"}
)
SUFFIXES = frozenset(
    {".wav", ".aif", ".aiff", ".flac", ".ogg", ".oga", ".opus", ".mp3"}
)
# Listed too, so that the reader can say why they are refused.
FOREIGN_SUFFIXES = frozenset({".m4a", ".aac", ".wma", ".ape", ".wv", ".caf", ".au"})
READABLE = "WAV, AIFF, FLAC, Ogg Vorbis, Opus, MP3"
TAGS = ("title", "artist", "album", "genre", "date", "comment", "license", "copyright")

MAX_SECONDS = 600.0
MAX_CHANNELS = 8
LOWEST_RATE, HIGHEST_RATE = 8_000, 192_000
LOUDEST = 100.0  # +40 dBFS: beyond that a float file holds no sound
BLOCK = 1 << 12  # so much at most is lost of a file that breaks off
COMPRESSED_RATES = (48_000, 44_100, 32_000)  # what MP3 encodes; Opus needs the first


class SoundError(InputError):
    """A sound file that cannot be read or written; the text names it and says why."""


class UnsupportedError(SoundError):
    """A sound file in good order, but of a kind that is not on the allow list."""


def read_sound(
    path: Path | str,
    *,
    sample_rate: int | None = None,
    max_seconds: float = MAX_SECONDS,
) -> tuple[Samples, int]:
    """Read a sound file, as far as it goes and at most `max_seconds`.

    Args:
        path: a regular file, not a link.
        sample_rate: Hz to resample to; None keeps the file's.
        max_seconds: what lies beyond is left unread.

    Returns:
        Samples of shape (n_samples, channels), and their sample rate in Hz.

    Raises:
        SoundError: no such file, not a format of the allow list, broken, empty, or
            with samples that are not finite or absurdly loud.
    """
    path = Path(path)
    with opened(path) as file:
        limit = int(max_seconds * file.samplerate)
        samples = _read_blocks(path, file, limit)
        file_rate = int(file.samplerate)
    if not np.all(np.isfinite(samples)):
        raise SoundError(f"{shown(path)}: holds NaN or infinite samples")
    if float(np.max(np.abs(samples))) > LOUDEST:
        raise SoundError(f"{shown(path)}: samples far above full scale")
    if sample_rate is None or sample_rate == file_rate:
        return samples, file_rate
    return resample(samples, file_rate, sample_rate), sample_rate


def read_tags(path: Path | str) -> dict[str, str]:
    """Text tags of a sound file (title, artist, license, ...), those it has.

    Raises:
        SoundError: the file cannot be read.
    """
    with opened(Path(path)) as file:
        tags = {name: str(getattr(file, name, "") or "") for name in TAGS}
    return {name: _one_line(text) for name, text in tags.items() if text.strip()}


def write_sound(
    path: Path | str,
    samples: Samples,
    sample_rate: int,
    subtype: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a sound file, whole or not at all; the format follows the ending.

    NaN and infinite samples become silence. MP3 and Opus are resampled to a rate
    that they can hold.

    Args:
        path: ends in .flac, .wav, .aiff, .ogg, .opus or .mp3.
        samples: shape (n_samples, channels).
        sample_rate: Hz.
        subtype: as in libsndfile, e.g. "PCM_24"; None takes the usual one.
        tags: of `TAGS`; others are left out.

    Raises:
        SoundError: unknown ending, or a folder that cannot be written.
        RunError: the disk is full, or fails.
    """
    import soundfile

    path = Path(path)
    container, usual = _format_of(path)
    rate = _rate_for(path, sample_rate)
    if rate != sample_rate:
        samples = resample(samples, sample_rate, rate)
    with replacing(path) as temporary:
        try:
            with soundfile.SoundFile(
                temporary,
                "w",
                samplerate=rate,
                channels=samples.shape[1],
                format=container,
                subtype=subtype or usual,
            ) as file:
                for name, text in (tags or {}).items():
                    if name in TAGS and text:
                        setattr(file, name, text)
                for start in range(0, len(samples), BLOCK):
                    block = samples[start : start + BLOCK]
                    if not np.all(np.isfinite(block)):
                        block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
                    file.write(block)
        except (soundfile.LibsndfileError, AssertionError, OSError) as error:
            raise RunError(
                f"{shown(path)}: writing failed ({_reason(error) or 'disk full?'})"
            ) from error


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A `soundfile.SoundFile` of a file that passed all checks, to read pieces from.

    Raises:
        SoundError: no such file, not a format of the allow list, or broken.
    """
    import soundfile

    descriptor = _open_regular(path)
    try:
        try:
            file = soundfile.SoundFile(descriptor, closefd=False)
        except (soundfile.LibsndfileError, ValueError, TypeError) as error:
            raise SoundError(
                f"{shown(path)}: not a sound that can be read here ({READABLE})"
            ) from error
        with file:
            _check(path, file)
            yield file
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place if all goes well.

    Raises:
        SoundError: the folder cannot be written.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise SoundError(f"{shown(path)}: cannot write ({error.strerror})") from error
    try:
        yield temporary
        os.replace(temporary, path)
    except IsADirectoryError as error:
        raise SoundError(f"{shown(path)}: is a folder") from error
    finally:
        temporary.unlink(missing_ok=True)


def list_sounds(folder: Path | str) -> list[Path]:
    """Sound files in a folder and below, sorted; links and hidden files left out.

    A path that names a file gives that file alone.

    Raises:
        SoundError: there is nothing at `folder`.
    """
    root = Path(folder)
    if not root.exists():
        raise SoundError(f"{shown(root)}: no such file or folder")
    if not root.is_dir():
        return [root]
    found = []
    for directory, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(directory, name)
            if name.startswith(".") or path.suffix.lower() not in (
                SUFFIXES | FOREIGN_SUFFIXES
            ):
                continue
            if path.is_symlink() or not path.is_file():
                continue
            found.append(path)
    return sorted(found)


def to_stereo(samples: Samples) -> Samples:
    """Two channels of any number: mono doubled, more folded left and right."""
    channels = samples.shape[1]
    if channels == 2:
        return samples
    if channels == 1:
        return np.repeat(samples, 2, axis=1)
    left, right = samples[:, 0::2].mean(axis=1), samples[:, 1::2].mean(axis=1)
    return np.stack([left, right], axis=1).astype(np.float32)


def resample(samples: Samples, from_rate: float, to_rate: float) -> Samples:
    """Change the sample rate with soxr at its high quality."""
    import soxr

    if from_rate == to_rate:
        return samples
    converted: Samples = soxr.resample(samples, from_rate, to_rate, quality="HQ")
    return converted.astype(np.float32, copy=False)


def shown(path: Path) -> str:
    """A path fit for one line on a terminal: control characters escaped."""
    return _one_line(os.fspath(path).encode("utf-8", "backslashreplace").decode())


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)[:400]


def _open_regular(path: Path) -> int:
    """A descriptor of a regular file; opening a FIFO by name would hang."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            raise SoundError(f"{shown(path)}: is a link; name the file itself")
        if not stat.S_ISREG(mode):
            raise SoundError(f"{shown(path)}: is not a regular file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except (OSError, ValueError) as error:
        if isinstance(error, SoundError):
            raise
        reason = getattr(error, "strerror", None) or "not a valid name"
        raise SoundError(f"{shown(path)}: {reason}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
        os.close(descriptor)
        raise SoundError(f"{shown(path)}: is empty")
    return descriptor


def _check(path: Path, file: Any) -> None:
    if file.format not in FORMATS or file.subtype not in SUBTYPES:
        raise UnsupportedError(
            f"{shown(path)}: {file.format} {file.subtype} is not read ({READABLE})"
        )
    if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
        allowed = f"{LOWEST_RATE} to {HIGHEST_RATE} Hz are read"
        raise UnsupportedError(
            f"{shown(path)}: sample rate of {file.samplerate} Hz; {allowed}"
        )
    if not 1 <= file.channels <= MAX_CHANNELS:
        raise UnsupportedError(f"{shown(path)}: {file.channels} channels, 8 at most")


def _read_blocks(path: Path, file: Any, limit: int) -> Samples:
    import soundfile

    blocks: list[Samples] = []
    n_read = 0
    try:
        while n_read < limit:
            wanted = min(BLOCK, limit - n_read)
            block = file.read(wanted, dtype="float32", always_2d=True)
            if not len(block):
                break
            blocks.append(block)
            n_read += len(block)
    except (soundfile.LibsndfileError, AssertionError, ValueError) as error:
        # A recording cut short by a crash ends in an error; what came before is good.
        if not blocks:
            raise SoundError(f"{shown(path)}: broken ({_reason(error)})") from error
    if not blocks:
        raise SoundError(f"{shown(path)}: holds no audio")
    return np.concatenate(blocks)


def _reason(error: Exception) -> str:
    return _one_line(str(getattr(error, "error_string", "") or error)).strip(". ")


def _format_of(path: Path) -> tuple[str, str]:
    known = {
        ".flac": ("FLAC", "PCM_24"),
        ".wav": ("WAV", "PCM_24"),
        ".aif": ("AIFF", "PCM_24"),
        ".aiff": ("AIFF", "PCM_24"),
        ".ogg": ("OGG", "VORBIS"),
        ".opus": ("OGG", "OPUS"),
        ".mp3": ("MP3", "MPEG_LAYER_III"),
    }
    if path.suffix.lower() not in known:
        endings = ", ".join(known)
        raise SoundError(f"{shown(path)}: unknown ending, use one of {endings}")
    return known[path.suffix.lower()]


def _rate_for(path: Path, sample_rate: int) -> int:
    suffix = path.suffix.lower()
    if suffix == ".opus":
        return COMPRESSED_RATES[0]
    if suffix == ".mp3" and sample_rate not in COMPRESSED_RATES:
        return COMPRESSED_RATES[0]
    return sample_rate
