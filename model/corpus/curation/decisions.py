"""Decisions of curation as they stand in the corpus' file, shared by all windows."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from effects.base.errors import InputError, RunError
from effects.base.open_file import open_regular
from effects.base.schema import decode_json
from model.corpus.corpus import LOCK, VERDICTS_FILE
from model.corpus.verdicts import OPEN, ClipVerdict, append_verdicts

MOST_UNDONE = 1_000  # decisions that can be taken back, one after another


@dataclass
class Decisions:
    """The verdicts on clips of a corpus, read on as the file grows.

    Attributes:
        folder: of the corpus.
        latest: verdict on each clip that has one, by the clip's id.
        last: the last line of the file that a user's decision made, if any.
    """

    folder: Path
    latest: dict[int, ClipVerdict] = field(default_factory=dict)
    last: ClipVerdict | None = None
    _made: list[tuple[int, ClipVerdict | None]] = field(default_factory=list)
    _read: int = 0  # bytes of the file that are known

    def read_on(self) -> list[int]:
        """Read what was added since, and return the clips on which it was.

        Raises:
            InputError: a line is no verdict.
        """
        path = self.folder / VERDICTS_FILE
        size = path.stat().st_size if path.exists() else 0
        if size < self._read:  # written anew, without clips that are gone
            self.latest.clear()
            self._made.clear()
            self._read = 0
        if size == self._read:
            return []
        with open_regular(path) as file:
            file.seek(self._read)
            *lines, _torn = file.read().split(b"\n")
        return [self._take(line) for line in lines]

    def append(self, verdicts: Iterable[ClipVerdict]) -> list[int]:
        """Add verdicts, on the disk when this returns, after those of other windows.

        Returns:
            The clips on which something was added, here or elsewhere.

        Raises:
            RunError: the disk is full or not writable.
        """
        path = self.folder / VERDICTS_FILE
        try:
            with FileLock(self.folder / LOCK):
                append_verdicts(path, verdicts)
        except OSError as error:
            raise RunError(
                f"{path}: cannot be written ({error.strerror}); earlier verdicts stand"
            ) from error
        return self.read_on()

    def undo(self) -> int | None:
        """Take back the last decision that stands, and return its clip, if any.

        Raises:
            RunError: the disk is full or not writable.
        """
        if not self._made:
            return None
        clip, before = self._made[-1]
        made = self._made[:-1]
        self.append([before or ClipVerdict(clip, "open")])
        self._made = made
        return clip

    def _take(self, line: bytes) -> int:
        where = f"{os.fspath(self.folder / VERDICTS_FILE)}, byte {self._read}"
        try:
            verdict = decode_json(line, ClipVerdict, where)
        except InputError as error:
            raise InputError(f"{where}: no verdict; remove the line") from error
        self._read += len(line) + 1
        clip = verdict.clip
        before = self.latest.get(clip)
        if verdict.verdict == OPEN:
            self.latest.pop(clip, None)
            if self._made and self._made[-1][0] == clip:
                self._made.pop()
            return clip
        self.latest[clip] = verdict
        if not verdict.by:
            self.last = verdict
            self._made.append((clip, before))
            del self._made[:-MOST_UNDONE]
        return clip
