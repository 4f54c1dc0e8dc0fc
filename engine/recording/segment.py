"""One file of a recording, from its first sample to its name.

libFLAC hands each frame of 4,096 samples to the system as soon as it is full, so a
killed process loses what the encoder holds (under 0.2 s) and its header's length,
which `recovery` writes. Tags stand in room left free at the start, and may be
rewritten at any time without moving the sound.
"""

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.base.errors import InputError, RunError
from engine.recording import flac
from engine.recording.file_lock import try_lock
from engine.recording.naming import PARTIAL, publish, sync_folder, unused
from engine.recording.recovery import Repair, repair_flac

FULL_SCALE = 1 << 23  # of 24 bits
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
COPY = 1 << 20
PROBE = 1 << 16  # bytes that must fit, or the disk counts as full

Tags = Sequence[tuple[str, str]]


def to_24_bits(samples: Samples) -> tuple[NDArray[np.int32], int]:
    """Samples as 24-bit integers in the upper bits of 32, for libsndfile.

    Rounded to steps of 2^-23, so that 24 bits read back are what was played. (As
    floats libsndfile would scale them by 2^23 - 1.) What is not finite is silence.

    Returns:
        The integers, and how many samples were not finite.
    """
    n_bad = samples.size - int(np.count_nonzero(np.isfinite(samples)))
    if n_bad:
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    steps = np.rint(np.clip(samples, -1.0, 1.0) * np.float32(FULL_SCALE))
    np.minimum(steps, FULL_SCALE - 1, out=steps)
    return steps.astype(np.int32) << 8, n_bad


class FlacSegment:
    """A FLAC file that is being written, as `NAME.flac.partial` until it is closed.

    Args:
        path: the name it is to have; another number is added if that is taken.
        sample_rate: Hz.
        channels: 1 or more.

    Raises:
        InputError: the folder cannot be made or written.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int) -> None:
        import soundfile

        self.n_samples = 0
        self._tags: Tags = ()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.path = unused(path)
            self.partial = self.path.with_name(self.path.name + PARTIAL)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            self._descriptor = os.open(self.partial, flags, 0o666)
        except OSError as error:
            raise InputError(
                f"{path}: cannot record there ({error.strerror})"
            ) from None
        try_lock(self._descriptor)
        try:
            self._file = soundfile.SoundFile(
                self._descriptor,
                "w",
                samplerate=sample_rate,
                channels=channels,
                format="FLAC",
                subtype="PCM_24",
                closefd=False,
            )
        except BaseException as error:  # a signal, too
            os.close(self._descriptor)
            self.partial.unlink(missing_ok=True)
            if not isinstance(error, soundfile.LibsndfileError | ValueError):
                raise
            raise InputError(
                f"{path}: FLAC takes no {channels} channels at {sample_rate} Hz"
            ) from error
        self._file.comment = flac.FILLER * flac.ROOM  # soon overwritten by tags

    @property
    def is_in_place(self) -> bool:
        """Whether the file still has its name: its folder was not removed."""
        try:
            here = os.stat(self.partial)
        except OSError:
            return False
        return os.path.samestat(here, os.fstat(self._descriptor))

    def write(self, steps: NDArray[np.int32]) -> None:
        """Append samples as `to_24_bits` gives them.

        Raises:
            RunError: the disk is full, or fails; call `abandon` then.
        """
        import soundfile

        try:
            self._file.write(steps)
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise RunError(self._why(str(getattr(error, "error_string", "")))) from None
        if self.n_samples == 0:
            self.retag(self._tags)
        self.n_samples += len(steps)

    def set_tags(self, tags: Tags) -> None:
        """Tags to begin with, before the first sample."""
        self._tags = tags

    def retag(self, tags: Tags) -> None:
        """Replace all tags; those at the end that do not fit are left out."""
        head = os.pread(self._descriptor, 4 * flac.ROOM, 0)
        self._tags = tags
        _retag(self._descriptor, head, list(tags))

    def sync(self) -> threading.Thread:
        """Begin to bring what was written to the disk; returns the thread that does.

        Waiting for the disk here would keep sound in memory, which a kill would cost.
        """
        try:
            descriptor: int | None = os.dup(self._descriptor)
        except OSError:  # too many open files: the next time may do
            descriptor = None
        thread = threading.Thread(
            target=_sync,
            args=(descriptor, self.path.parent),
            name="sync",
            daemon=True,
        )
        thread.start()
        return thread

    def close(self, tags: Tags) -> threading.Thread:
        """Finish the file and give it its name; returns the thread that syncs it.

        Raises:
            RunError: the disk is full, or fails; call `abandon` then.
        """
        self._file.close()
        try:
            head = os.pread(self._descriptor, flac.INFO_START + flac.INFO_LENGTH, 0)
            info = flac.StreamInfo.parse(head[flac.INFO_START :])
            if info is None or info.n_samples != self.n_samples:
                raise RunError(self._why(""))  # closing reports no failure of its own
            self.retag(tags)
            if not self.is_in_place:
                self._rescue()
            self.path = publish(self.partial, self.path, durable=False)
            syncing = self.sync()
        except OSError as error:
            raise RunError(f"{self.path}: {error.strerror}") from None
        os.close(self._descriptor)
        return syncing

    def discard(self) -> None:
        """Remove a file in which nothing was written."""
        self._file.close()
        os.close(self._descriptor)
        self.partial.unlink(missing_ok=True)

    def abandon(self) -> Repair | None:
        """After a failure: keep what reached the disk, as a whole file if possible."""
        self._file.close()
        try:
            if not self.is_in_place:
                self._rescue()
        except OSError:
            return None
        finally:
            os.close(self._descriptor)
        try:
            return repair_flac(self.partial, in_place=True)
        except (InputError, RunError):
            return None

    def _rescue(self) -> None:
        """Copy a file whose folder was removed to where it was."""
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        with self.partial.open("xb") as copy:
            size = os.fstat(self._descriptor).st_size
            for at in range(0, size, COPY):
                copy.write(os.pread(self._descriptor, COPY, at))
            copy.flush()
            os.fsync(copy.fileno())

    def _why(self, said: str) -> str:
        """The reason for a failed write, which libsndfile does not pass on."""
        end = at = os.fstat(self._descriptor).st_size
        try:
            while at < end + PROBE:  # a first write may be cut short without an error
                at += os.pwrite(self._descriptor, bytes(end + PROBE - at), at)
        except OSError as error:
            if error.errno not in FULL:
                return f"{self.path}: writing failed ({error.strerror})"
        else:
            if said:
                return f"{self.path}: writing failed ({said})"
        finally:
            os.ftruncate(self._descriptor, end)
        return f"disk full: {self.path}"


def _sync(descriptor: int | None, folder: Path) -> None:
    if descriptor is None:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # a disk that fails is told of by the next write
    finally:
        os.close(descriptor)
    sync_folder(folder)


def retag_file(path: Path, tags: Tags) -> bool:
    """Replace the tags of a finished recording in the room that it has for them."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return _retag(descriptor, os.pread(descriptor, 4 * flac.ROOM, 0), list(tags))
    finally:
        os.close(descriptor)


def _retag(descriptor: int, head: bytes, tags: list[tuple[str, str]]) -> bool:
    start = flac.INFO_START + flac.INFO_LENGTH
    end = flac.metadata_end(head)
    if end is None or head[start] & 127 != flac.VORBIS_COMMENT:
        return False
    length = int.from_bytes(head[start + 4 : start + 8], "little")
    vendor = head[start + 8 : start + 8 + length].decode("utf-8", "replace")
    block = flac.comment_block(vendor, tags, end - start)
    while block is None and tags:
        tags.pop()
        block = flac.comment_block(vendor, tags, end - start)
    if block is not None:
        os.pwrite(descriptor, block, start)
    return block is not None
