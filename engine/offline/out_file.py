"""Files of rendered audio, which appear under their names only when they are whole."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from effects.audio.levels import Samples
from effects.base.errors import InputError, RunError

# Ending -> (libsndfile format, subtype); Opus knows 48 kHz and its divisors only.
FORMATS = {
    ".flac": ("FLAC", "PCM_24"),
    ".wav": ("WAV", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
OPUS_RATE = 48_000

Write = Callable[[Samples], None]


def file_format(path: Path) -> tuple[str, str]:
    """Format and subtype of libsndfile for a file's ending.

    Raises:
        InputError: an ending that is not written.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise InputError(f"{path}: cannot write {path.suffix!r}; use {known}") from None


def check_output(path: Path, *, overwrite: bool = True) -> None:
    """Find out early that a file could not be written.

    Raises:
        InputError: the folder is missing or not writable, or the name is a folder.
    """
    file_format(path)
    folder = path.parent
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists already; choose another name")
    if not folder.is_dir():
        raise InputError(f"{path}: there is no folder {folder}; create it first")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass  # a folder may say that it is writable, and refuse
    except OSError:
        raise InputError(f"{path}: the folder {folder} is not writable") from None


@contextmanager
def whole_file(
    path: Path, sample_rate: int, tags: dict[str, str] | None = None
) -> Iterator[Write]:
    """A function that writes blocks, shape (n, 2), into what becomes `path`.

    Args:
        path: of the file, replaced if it is there.
        sample_rate: Hz.
        tags: title, artist, comment and so on.

    Raises:
        InputError: the path cannot be written.
        RunError: writing failed on the way, as on a full disk.
    """
    import soundfile as sf

    check_output(path)
    container, subtype = file_format(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".latent-")
    os.close(handle)
    part = Path(name)
    written = 0
    try:
        with sf.SoundFile(
            part, "w", sample_rate, 2, format=container, subtype=subtype
        ) as file:
            for key, value in (tags or {}).items():
                setattr(file, key, value)

            def write(block: Samples) -> None:
                nonlocal written
                file.write(block)
                written += len(block)

            yield write
        if sf.info(part).frames < written:
            raise RunError(f"{path}: could not be written whole; is the disk full?")
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, path)
    except (sf.LibsndfileError, OSError) as error:
        raise RunError(f"{path}: could not be written ({_reason(error)})") from error
    finally:
        part.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error).strip()
    # libsndfile says nothing at all, or only its prefix, when the disk is full.
    return "is the disk full?" if not text or text.endswith(":") else text


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
