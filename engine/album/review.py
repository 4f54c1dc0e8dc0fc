"""Review: which songs of an album are kept, and how they are called.

Every decision is a line of `decisions.jsonl`, on the disk before the next one can be
made. A line is never changed: another line takes it back. Terminal and page use the
same functions.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypedDict

from msgspec import Meta

from effects.base.errors import InputError, RunError
from effects.base.open_file import read_bytes
from effects.base.schema import decode_json
from engine.album.plan import SONGS
from engine.album.state import SongRow, read_state

DECISIONS = "decisions.jsonl"
MAX_NAME = 120  # characters
MAX_BYTES = 8 << 20  # of all decisions


@dataclass(frozen=True)
class Verdict:
    """What was decided about a song: kept, cut, or nothing yet; and its name.

    To name a song is to keep it.
    """

    kept: bool | None = None
    name: str = ""


class Review:
    """The songs of an album and what was decided about them.

    Args:
        folder: of the album.

    Raises:
        InputError: it holds no album, or its decisions are damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan, rows = read_state(folder)
        #: Rows of the songs: first those that passed the gate, then those set aside.
        self.songs: list[SongRow] = sorted(
            rows.values(), key=lambda row: (row.is_aside, row.number)
        )
        self._numbers = set(rows)
        self._verdicts, self._made = _replayed(_read(folder / DECISIONS))

    def verdict(self, number: int) -> Verdict:
        """What was decided about a song."""
        return self._verdicts.get(number, Verdict())

    def keep(self, number: int) -> None:
        """Keep a song."""
        self._decide({"song": self._known(number), "kept": True})

    def cut(self, number: int) -> None:
        """Leave a song out."""
        self._decide({"song": self._known(number), "kept": False})

    def name(self, number: int, name: str) -> None:
        """Name a song, which keeps it.

        Raises:
            InputError: the name is empty or too long.
        """
        shown = _clean(name)
        if not shown or len(shown) > MAX_NAME:
            raise InputError(f"a name has 1 to {MAX_NAME} characters")
        self._decide({"song": self._known(number), "name": shown})

    def undo(self) -> int | None:
        """Take back the last decision that stands; returns its song, if any."""
        if not self._made:
            return None
        number = self._made[-1]["song"]
        self._decide({"undo": True})
        return number

    def counts(self) -> tuple[int, int, int]:
        """How many songs are kept, cut, and not decided."""
        kept = [self.verdict(row.number).kept for row in self.songs]
        return kept.count(True), kept.count(False), kept.count(None)

    def chosen(self) -> list[SongRow]:
        """Songs of the finished album: those kept.

        When none was kept, they are those that passed the gate and were not cut.
        """
        kept = [song for song in self.songs if self.verdict(song.number).kept]
        return kept or [
            song
            for song in self.songs
            if not song.is_aside and self.verdict(song.number).kept is None
        ]

    def _known(self, number: int) -> int:
        if number not in self._numbers:
            raise InputError(f"{self.folder}: there is no song {number}")
        return number

    def _decide(self, decision: Mapping[str, Any]) -> None:
        path = self.folder / DECISIONS
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            _append(path, {**decision, "at": moment})
        except OSError as error:
            raise RunError(
                f"{path}: the decision could not be kept ({error.strerror})"
            ) from error
        # Read again: decisions may be made in another window, too.
        self._verdicts, self._made = _replayed(_read(path))


def _append(path: Path, decision: Mapping[str, Any]) -> None:
    line = json.dumps(decision, ensure_ascii=False).encode() + b"\n"
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line  # behind a line that a power cut left unfinished
        os.write(handle, line)
        os.fsync(handle)
    finally:
        os.close(handle)


class _Decision(TypedDict, total=False):
    """One line of the file; a line that takes another back holds `undo` alone."""

    song: Annotated[int, Meta(ge=SONGS[0], le=SONGS[1])]
    kept: bool
    name: Annotated[str, Meta(max_length=MAX_NAME)]
    undo: bool
    at: str


def _read(path: Path) -> list[_Decision]:
    """Decisions in order; lines that were never finished are passed over."""
    if not os.path.lexists(path):
        return []
    decisions = []
    for line in read_bytes(path, MAX_BYTES, "list of decisions").splitlines():
        with suppress(InputError):
            decisions.append(decode_json(line, _Decision, DECISIONS))
    return decisions


def _replayed(
    decisions: list[_Decision],
) -> tuple[dict[int, Verdict], list[_Decision]]:
    """Verdicts, and the decisions that stand, in their order."""
    standing: list[_Decision] = []
    for decision in decisions:
        if decision.get("undo"):
            del standing[-1:]
        elif "song" in decision:
            standing.append(decision)
    verdicts: dict[int, Verdict] = {}
    for decision in standing:
        number = decision["song"]
        verdict = verdicts.get(number, Verdict())
        if "kept" in decision:
            verdict = replace(verdict, kept=decision["kept"])
        if "name" in decision:  # whoever names a song wants it
            verdict = replace(verdict, kept=True, name=_clean(decision["name"]))
        verdicts[number] = verdict
    return verdicts, standing


def _clean(name: str) -> str:
    """A name without control characters, its spaces single."""
    return " ".join("".join(c for c in name if c.isprintable()).split())
