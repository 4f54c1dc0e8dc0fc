"""Reading of sound files.

Files come from anywhere, so nothing in them is trusted: regular files only, formats
by an allow list, length by what was read and never by the header.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from effects.audio.conversion import in_wav_order, resample
from effects.audio.foreign_sounds import decoded, foreign_kind
from effects.audio.levels import Samples
from effects.audio.mp3_frames import mended_mp3
from effects.audio.sound_formats import (
    READ_CONTAINERS,
    READ_SUBTYPES,
    READABLE,
    TAGS,
    SoundError,
    UnsupportedError,
)
from effects.audio.wav_sizes import mended_sizes
from effects.base.one_line import one_line, shown

MAX_SECONDS = 600.0
MPEG_ENDINGS = frozenset({".mp3", ".mp2", ".mpga"})
MAX_CHANNELS = 8
LOWEST_RATE, HIGHEST_RATE = 8_000, 192_000
MOST_AMPLITUDE = 100.0  # +40 dBFS: a float file that exceeds it holds no sound
BLOCK = 1 << 12  # samples; at most one block is lost of a file that breaks off


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
    with opened(path, max_seconds) as file:
        limit = int(max_seconds * file.samplerate)
        samples = in_wav_order(_read_blocks(path, file, limit), file.format)
        file_rate = int(file.samplerate)
    if not np.all(np.isfinite(samples)):
        raise SoundError(f"{shown(path)}: holds NaN or infinite samples")
    if float(np.max(np.abs(samples))) > MOST_AMPLITUDE:
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
        return tags_of(file)


def tags_of(file: Any) -> dict[str, str]:
    """Text tags of a file that `opened` gave."""
    tags = {name: str(getattr(file, name, "") or "") for name in TAGS}
    return {name: one_line(text) for name, text in tags.items() if text.strip()}


@contextmanager
def opened(path: Path, max_seconds: float | None = None) -> Iterator[Any]:
    """A `soundfile.SoundFile` of a file that passed all checks, to read pieces from.

    What the file is, its content says. Headers that do not state the length, or a
    wrong one, are mended on the way; what libsndfile does not read is decoded by
    ffmpeg, where that is installed.

    Args:
        path: a regular file, not a link.
        max_seconds: what lies beyond need not be there; None for no such limit.

    Raises:
        SoundError: no such file, not a format of the allow list, or broken.
    """
    import soundfile

    descriptor = _open_regular(path)
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        head = os.pread(descriptor, 64, 0)
        kind = foreign_kind(head)
        source: Any = descriptor
        if kind is not None:
            source = stack.enter_context(decoded(path, kind, max_seconds))
        elif head[:4] in (b"RIFF", b"RF64", b"FORM"):
            source = mended_sizes(descriptor) or descriptor
        elif path.suffix.lower() in MPEG_ENDINGS or head[:3] == b"ID3":
            source = mended_mp3(descriptor) or descriptor
        try:
            file = stack.enter_context(soundfile.SoundFile(source, closefd=False))
        except (soundfile.LibsndfileError, ValueError, TypeError) as error:
            raise SoundError(
                f"{shown(path)}: not a sound that can be read here ({READABLE})"
            ) from error
        _check(path, file)
        yield file


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
    if file.format not in READ_CONTAINERS or file.subtype not in READ_SUBTYPES:
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
    return one_line(str(getattr(error, "error_string", "") or error)).strip(". ")
