"""Searching folders for sound files, and telling what was passed over."""

import os
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from effects.audio.sound_formats import (
    FOREIGN_ENDINGS,
    READ_ENDINGS,
    WRITTEN,
    SoundError,
)
from effects.base.one_line import one_line, shown

ENDINGS = WRITTEN.keys() | READ_ENDINGS | FOREIGN_ENDINGS
LINK = "a link; name what it stands for"
UNREADABLE = "cannot be read"
SPECIAL = "no regular file"


@dataclass(frozen=True)
class PassedOver:
    """A file or folder that was not looked into.

    Attributes:
        name: its path, printable.
        reason: `LINK`, `SPECIAL`, or why it cannot be read.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class FoundSounds:
    """The sound files of a folder and below.

    Attributes:
        files: sorted.
        passed_over: linked or unreadable folders and sound files, in order.
        other_endings: number of files by endings that are not those of sounds.
    """

    files: tuple[Path, ...]
    passed_over: tuple[PassedOver, ...]
    other_endings: dict[str, int]


def find_sounds(folder: Path | str) -> FoundSounds:
    """Search a folder and what is below; links are not followed, hidden files not seen.

    A path that names a file gives that file alone.

    Raises:
        SoundError: there is nothing at `folder`.
    """
    root = Path(folder)
    if not root.exists():
        raise SoundError(f"{shown(root)}: no such file or folder")
    if not root.is_dir():
        return FoundSounds((root,), (), {})
    found: list[Path] = []
    passed: list[PassedOver] = []
    others: Counter[str] = Counter()

    def unreadable(error: OSError) -> None:
        passed.append(_passed(error.filename, f"{UNREADABLE} ({error.strerror})"))

    for directory, folders, files in os.walk(root, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if os.path.islink(os.path.join(directory, name)):
                passed.append(_passed(os.path.join(directory, name), LINK))
        for path in (Path(directory, n) for n in files if not n.startswith(".")):
            if path.suffix.lower() not in ENDINGS:
                others[one_line(path.suffix.lower())] += 1
            elif reason := _why_not(path):
                passed.append(_passed(path, reason))
            else:
                found.append(path)
    passed.sort(key=lambda one: one.name)
    return FoundSounds(tuple(sorted(found)), tuple(passed), dict(others))


def list_sounds(folder: Path | str) -> list[Path]:
    """Sound files of a folder and below, as `find_sounds` finds them.

    Raises:
        SoundError: there is nothing at `folder`.
    """
    return list(find_sounds(folder).files)


def _why_not(path: Path) -> str:
    """Why a file is not read; empty for a regular one."""
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        return f"{UNREADABLE} ({error.strerror})"
    if stat.S_ISLNK(mode):
        return LINK
    return "" if stat.S_ISREG(mode) else SPECIAL


def _passed(path: Path | str, reason: str) -> PassedOver:
    return PassedOver(shown(Path(path)), reason)
