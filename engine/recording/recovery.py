"""Repair of FLAC recordings whose writer was killed.

Such a file has whole frames, a torn one at most, and a header that gives no length,
which no reader takes. The repair keeps every whole frame, cuts what follows, and
writes the length. It works on a copy that then takes the file's place (in place only
where there is no room for one, and then in an order that a second kill cannot harm),
and finds nothing more to do the second time.
"""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from effects.base.errors import InputError, LatentError, RunError
from engine.recording import flac
from engine.recording.naming import PARTIAL, publish

Status: TypeAlias = Literal["whole", "repaired", "empty"]

WINDOW = 1 << 23  # bytes looked at together
COPY = 1 << 20
SYNC = b"\xff\xf8"  # how a frame of a stream with a fixed block size begins
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


@dataclass(frozen=True)
class _Scan:
    """The unbroken run of whole frames that a file starts with."""

    n_samples: int
    end: int  # byte after the last of them
    smallest: int
    largest: int


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
            repair = _moved(repair, publish(path, final))
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
    head = _read(file, 0, COPY)
    if flac.metadata_end(head) is None:
        head = _read(file, 0, flac.LARGEST_METADATA)
    if head[:4] != flac.MARKER[: len(head)]:
        raise InputError(f"{path}: not a FLAC file")
    start = flac.metadata_end(head)
    info = flac.StreamInfo.parse(head[flac.INFO_START :])
    if start is None or info is None:
        return Repair(path, "empty")
    if head[start : start + 2] == VARIABLE_SYNC:
        raise InputError(f"{path}: its block size varies, no recording; left as it is")
    scan = _scan(file, size, start, info)
    if scan.n_samples == 0:
        return Repair(path, "empty", 0, info.sample_rate)
    if scan.n_samples == info.n_samples:
        return Repair(path, "whole", scan.n_samples, info.sample_rate)
    new_info = info.with_length(scan.n_samples, scan.smallest, scan.largest)
    note = ""
    if _has_frame(file, size, scan.end, info):
        damaged = publish_copy(path)
        note = f"sound behind a hole was left in {damaged.name}"
        _replace(path, file, scan.end, new_info)
    elif in_place:
        _change(path, scan.end, new_info)
    else:
        try:
            _replace(path, file, scan.end, new_info)
        except OSError:  # no room for a copy, nor for its name
            _change(path, scan.end, new_info)
    cut = size - scan.end
    return Repair(path, "repaired", scan.n_samples, info.sample_rate, cut, note)


def publish_copy(path: Path) -> Path:
    """A copy of a file beside it, called `NAME.damaged`, or with a number."""
    temporary = path.with_name(f".{path.name}.copy")
    with path.open("rb") as source:
        _copy(source, temporary, os.path.getsize(path), None)
    return publish(temporary, path.with_name(path.name + ".damaged"))


def _replace(path: Path, file: BinaryIO, end: int, info: bytes) -> None:
    temporary = path.with_name(f".{path.name}.repair")
    _copy(file, temporary, end, info)
    os.replace(temporary, path)


def _copy(source: BinaryIO, to: Path, end: int, info: bytes | None) -> None:
    try:
        with to.open("wb") as out:
            for at in range(0, end, COPY):
                out.write(_read(source, at, min(COPY, end - at)))
            if info is not None:
                out.seek(flac.INFO_START)
                out.write(info)
            out.flush()
            os.fsync(out.fileno())
    except OSError:
        to.unlink(missing_ok=True)
        raise


def _change(path: Path, end: int, info: bytes) -> None:
    # The torn bytes are of no use to anyone: cut first, and whatever then happens,
    # the next repair finds the same frames.
    with path.open("r+b") as file:
        file.truncate(end)
        file.seek(flac.INFO_START)
        file.write(info)
        file.flush()
        os.fsync(file.fileno())


def _scan(file: BinaryIO, size: int, start: int, info: flac.StreamInfo) -> _Scan:
    """Follow the frames: each header checked, numbered one up, each checksum right."""
    longest = flac.longest_frame(info)
    n_samples, at, smallest, largest = 0, start, 0, 0
    base, data = start, _read(file, start, WINDOW)
    while True:
        if at - base > len(data) - 2 * longest and base + len(data) < size:
            base, data = at, _read(file, at, WINDOW + 2 * longest)
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
    return _Scan(n_samples, at, smallest, largest)


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

    No header follows that would end it. A checksum of 16 bits comes out right by
    chance once in 65,536 lengths, so the decoder has the last word.
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


def _has_frame(file: BinaryIO, size: int, at: int, info: flac.StreamInfo) -> bool:
    """Whether a frame begins anywhere behind the torn one at `at`."""
    at += 1
    while at < size:
        data = _read(file, at, WINDOW)
        found = data.find(SYNC)
        while found >= 0:
            if flac.frame_header(data, found, info) is not None:
                return True
            found = data.find(SYNC, found + 1)
        at += max(1, len(data) - flac.LONGEST_HEADER)
    return False


def _read(file: BinaryIO, at: int, n: int) -> bytes:
    file.seek(at)
    return file.read(n)


def _moved(repair: Repair, path: Path) -> Repair:
    return Repair(
        path,
        repair.status,
        repair.n_samples,
        repair.sample_rate,
        repair.cut_bytes,
        repair.note,
    )


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """The file, opened for reading, with every other repair and writer kept out."""
    if path.is_symlink() or not path.is_file():
        raise InputError(f"{path}: no such file")
    with path.open("rb") as file:
        if not try_lock(file.fileno()):
            raise RunError(f"{path}: is being written by another process")
        yield file


def try_lock(descriptor: int) -> bool:
    """Hold a file until it is closed; False when another process holds it."""
    try:
        import fcntl
    except ImportError:  # no such locks on Windows, where open files are locked anyway
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: better repaired than lost
    return True


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
    if os.path.getsize(path) == 0:
        return True
    with path.open("rb") as file:
        head = file.read(COPY)
    start, info = flac.metadata_end(head), flac.StreamInfo.parse(head[8:])
    if start is None or info is None:
        return False
    ours = (flac.FIRST_SAMPLE, flac.FILLER * 1000)
    if not any(text.encode() in head[:start] for text in ours):
        return False
    return os.path.getsize(path) - start < flac.longest_frame(info)


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
