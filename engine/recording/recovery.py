"""Repair of FLAC recordings whose writer was killed.

Such a file has whole frames, a torn one at most, and a header that gives no length,
which no reader takes. The repair keeps every whole frame, cuts what follows, and
writes the length. It works on a copy that then takes the file's place (in place only
where there is no room for one, and then in an order that a second kill cannot harm),
and finds nothing more to do the second time.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from effects.base.errors import InputError, LatentError, RunError
from effects.base.whole_file import whole_file
from engine.recording import flac
from engine.recording.file_lock import try_lock
from engine.recording.frame_scan import has_frame, read_at, scan_frames
from engine.recording.naming import PARTIAL, publish, unused

Status: TypeAlias = Literal["whole", "repaired", "empty"]

COPY = 1 << 20  # bytes copied together
VARIABLE_SYNC = b"\xff\xf9"


@dataclass(frozen=True)
class Repair:
    """What became of one file."""

    path: Path  # where it is now
    status: Status
    n_samples: int = 0
    sample_rate: int = 0
    cut_bytes: int = 0
    note: str = ""

    @property
    def line(self) -> str:
        """One line for the user."""
        if self.status == "empty":
            return f"{self.path}: holds no whole frame of sound; left as it is"
        seconds = self.n_samples / max(1, self.sample_rate)
        length = f"{int(seconds // 60)}:{seconds % 60:06.3f}"
        text = f"{self.path}: {self.status}, {length}"
        if self.cut_bytes:
            text += f", {self.cut_bytes} torn bytes cut"
        return f"{text}; {self.note}" if self.note else text


def repair_flac(path: Path, *, in_place: bool = False) -> Repair:
    """Make a FLAC file whole that was left unfinished, or cut short.

    A name that ends in `.partial` loses that ending. Sound behind a hole in the
    file is not joined on: then the original stays, too, as `NAME.damaged`.

    Args:
        path: of the file.
        in_place: change the file itself, for a disk without room for a copy.

    Raises:
        InputError: not a FLAC file, or not one whose frames can be told apart.
        RunError: another process is writing it, or the disk fails.
    """
    try:
        with _locked(path) as file:
            repair = _repair(path, file, in_place)
        if repair.status != "empty" and path.name.endswith(PARTIAL):
            final = path.with_name(path.name.removesuffix(PARTIAL))
            repair = replace(repair, path=publish(path, final))
        return repair
    except OSError as error:
        raise RunError(f"{path}: cannot repair ({error.strerror})") from error


def find_unfinished(folder: Path, *, foreign: bool = False) -> list[Path]:
    """Recordings in a folder that no living process is writing, sorted.

    Args:
        folder: not searched below.
        foreign: also FLAC files of any origin that do not say their length.
    """
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        ours = path.name.endswith(".flac" + PARTIAL)
        if path.is_symlink() or not path.is_file():
            continue
        if (ours or (foreign and _lacks_length(path))) and not _is_held(path):
            found.append(path)
    return found


def repair_all(
    folder: Path,
    on_message: Callable[[str], None] = lambda line: None,
    *,
    foreign: bool = False,
) -> list[Repair]:
    """Repair what `find_unfinished` finds; one file's failure stops no other.

    A recording of ours that was killed before its first frame is removed.
    """
    repairs = []
    for path in find_unfinished(folder, foreign=foreign):
        try:
            repair = repair_flac(path)
            if repair.status == "empty" and _is_blank(path):
                path.unlink()
                continue
            repairs.append(repair)
            on_message(repair.line)
        except OSError as error:
            on_message(f"{path}: cannot remove ({error.strerror})")
        except LatentError as error:
            on_message(str(error))
    return repairs


def _repair(path: Path, file: BinaryIO, in_place: bool) -> Repair:
    size = file.seek(0, os.SEEK_END)
    head = read_at(file, 0, COPY)
    if flac.metadata_end(head) is None:
        head = read_at(file, 0, flac.LARGEST_METADATA)
    if head[:4] != flac.MARKER[: len(head)]:
        raise InputError(f"{path}: not a FLAC file")
    start = flac.metadata_end(head)
    info = flac.StreamInfo.parse(head[flac.INFO_START :])
    if start is None or info is None:
        return Repair(path, "empty")
    if head[start : start + 2] == VARIABLE_SYNC:
        raise InputError(f"{path}: its block size varies, no recording; left as it is")
    scan = scan_frames(file, size, start, info)
    if scan.n_samples == 0:
        return Repair(path, "empty", 0, info.sample_rate)
    if scan.n_samples == info.n_samples:
        return Repair(path, "whole", scan.n_samples, info.sample_rate)
    new_info = info.with_length(scan.n_samples, scan.smallest, scan.largest)
    note = ""
    if has_frame(file, size, scan.end, info):
        damaged = _keep_copy(path, file)
        note = f"sound behind a hole was left in {damaged.name}"
        _replace(path, file, scan.end, new_info)
    elif in_place:
        _change(path, scan.end, new_info)
    else:
        try:
            _replace(path, file, scan.end, new_info)
        except RunError:  # no room for a copy, nor for its name
            _change(path, scan.end, new_info)
    cut = size - scan.end
    return Repair(path, "repaired", scan.n_samples, info.sample_rate, cut, note)


def _keep_copy(path: Path, file: BinaryIO) -> Path:
    """Copy a file to `NAME.damaged` beside it, or to a name with a number."""
    copy = unused(path.with_name(path.name + ".damaged"))
    with whole_file(copy, durable=True) as temporary, temporary.open("wb") as out:
        _copy(file, out, os.path.getsize(path))
    return copy


def _replace(path: Path, file: BinaryIO, end: int, info: bytes) -> None:
    """Replace the file by a repaired copy."""
    with whole_file(path, durable=True) as temporary, temporary.open("wb") as out:
        _copy(file, out, end)
        out.seek(flac.INFO_START)
        out.write(info)


def _copy(source: BinaryIO, out: BinaryIO, end: int) -> None:
    for at in range(0, end, COPY):
        out.write(read_at(source, at, min(COPY, end - at)))


def _change(path: Path, end: int, info: bytes) -> None:
    """Repair the file itself."""
    # The torn bytes are cut first: whatever then happens, the next repair finds the
    # same frames.
    with path.open("r+b") as file:
        file.truncate(end)
        file.seek(flac.INFO_START)
        file.write(info)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file, opened for reading, with every other repair and writer kept out."""
    if path.is_symlink() or not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as file:
        if not try_lock(file.fileno()):
            raise RunError(f"{path}: is being written by another process")
        yield file


def _is_held(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return not try_lock(file.fileno())
    except OSError:
        return True


def _is_blank(path: Path) -> bool:
    """Whether a file without a whole frame is the mere start of a recording."""
    if not path.name.endswith(PARTIAL):
        return False
    size = os.path.getsize(path)
    with path.open("rb") as file:
        head = file.read(COPY)
    start, info = flac.metadata_end(head), flac.StreamInfo.parse(head[8:])
    if start is None or info is None:
        # Killed while the header and the room for tags were written.
        return size < 2 * flac.ROOM
    ours = (flac.FIRST_SAMPLE, flac.FILLER * 1000)
    if not any(text.encode() in head[:start] for text in ours):
        return False
    return size - start < flac.longest_frame(info)


def _lacks_length(path: Path) -> bool:
    if path.suffix.lower() != ".flac":
        return False
    try:
        with path.open("rb") as file:
            head = file.read(flac.INFO_START + flac.INFO_LENGTH)
    except OSError:
        return False
    info = flac.StreamInfo.parse(head[flac.INFO_START :])
    return head[:4] == flac.MARKER and info is not None and info.n_samples == 0
