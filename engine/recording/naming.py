"""Names of recordings: safe on any disk, and never one that is taken."""

import itertools
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from effects.base.errors import InputError

PARTIAL = ".partial"  # behind the whole name while a recording is being written
LONGEST = 200  # bytes of a stem: file systems take 255 for all of the name
_RESERVED = {"con", "prn", "aux", "nul"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(10)
}


def safe_stem(text: str) -> str:
    """A file name without ending, from any text.

    >>> safe_stem(" a/b: ..c?")
    'a_b_ ..c_'
    >>> safe_stem("..")
    'recording'
    """
    kept = "".join("_" if c in '<>:"/\\|?*' or not c.isprintable() else c for c in text)
    stem = kept.encode("utf-8", "replace")[:LONGEST].decode("utf-8", "ignore")
    stem = stem.strip().strip(".").strip()
    if stem.lower().partition(".")[0] in _RESERVED:
        stem = f"_{stem}"
    return stem or "recording"


def recording_path(target: Path, now: datetime | None = None) -> Path:
    """The file that a recording is to have: `target`, or a dated one in that folder.

    Args:
        target: a name that ends in .flac, or a folder.
        now: for the date, UTC; the present when None.

    Raises:
        InputError: the ending is that of another format.
    """
    suffix = target.suffix.lower()
    if suffix == ".flac" and not target.is_dir():
        return target.with_name(safe_stem(target.stem) + ".flac")
    if suffix and not target.is_dir():
        raise InputError(f"{target}: recordings are FLAC; name a .flac file or folder")
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    return target / f"latent-{moment}.flac"


def unused(path: Path) -> Path:
    """`path`, or `path` with -2, -3... if it, or an unfinished one, is there."""
    return next(
        candidate
        for candidate in numbered(path)
        if not any(os.path.lexists(beside) for beside in _family(candidate))
    )


def publish(finished: Path, path: Path, *, durable: bool = True) -> Path:
    """Give a finished file its name, or the next free one; nothing is overwritten.

    Args:
        finished: the file, in the same folder.
        path: the name wanted.
        durable: wait until the name would survive a power cut.

    Returns:
        The name it has.
    """
    for candidate in numbered(path):
        try:
            os.close(os.open(candidate, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            continue
        except OSError:  # a full disk has no room to reserve the name first
            if os.path.lexists(candidate):
                raise
        try:
            os.replace(finished, candidate)
        except OSError:
            candidate.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(candidate.parent)
        return candidate
    raise AssertionError("numbers do not end")


def sync_folder(folder: Path) -> None:
    """Let a new name survive a power cut, where the system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some file systems cannot; the file itself is safe
    finally:
        os.close(descriptor)


def numbered(path: Path) -> Iterator[Path]:
    """`path`, then the same with -2, -3, ... before its ending."""
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def _family(path: Path) -> Iterator[Path]:
    yield path
    yield path.with_name(path.name + PARTIAL)
    yield path.with_suffix(".cue")
