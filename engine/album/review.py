"""Review: which songs of an album are kept, and how they are called.

Every decision is a line of `decisions.jsonl`, on the disk before the next one can be
made; nothing is ever taken back but by another line. Terminal and page use the same
functions.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from effects.base.errors import InputError, RunError
from engine.album.plan import read_state

DECISIONS = "decisions.jsonl"
MAX_NAME = 120  # characters


@dataclass(frozen=True)
class Verdict:
    """What was decided about a song: kept, cut, or nothing yet; and its name."""

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
        self.songs: list[dict[str, Any]] = sorted(
            rows.values(), key=lambda row: (row["status"] == "aside", row["number"])
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
        """Call a song so.

        Raises:
            InputError: the name is empty or too long.
        """
        shown = " ".join("".join(c for c in name if c.isprintable()).split())
        if not shown or len(shown) > MAX_NAME:
            raise InputError(f"a name has 1 to {MAX_NAME} characters")
        self._decide({"song": self._known(number), "name": shown})

    def undo(self) -> int | None:
        """Take back the last decision that stands; the song that it was about."""
        if not self._made:
            return None
        number = int(self._made[-1]["song"])
        self._decide({"undo": True})
        return number

    def counts(self) -> tuple[int, int, int]:
        """How many songs are kept, cut, and not decided."""
        kept = [self.verdict(row["number"]).kept for row in self.songs]
        return kept.count(True), kept.count(False), kept.count(None)

    def chosen(self) -> list[dict[str, Any]]:
        """Songs of the finished album: those kept.

        When none was kept: those that passed the gate and were not cut.
        """
        kept = [s for s in self.songs if self.verdict(s["number"]).kept]
        return kept or [
            song
            for song in self.songs
            if song["status"] == "done" and self.verdict(song["number"]).kept is None
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
        # Read again: somebody else may be deciding in another window.
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


def _read(path: Path) -> list[dict[str, Any]]:
    """Decisions in order; lines that were never finished are passed over."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    decisions = []
    for line in lines:
        try:
            decision = json.loads(line)
        except ValueError:
            continue
        if isinstance(decision, dict):
            decisions.append(decision)
    return decisions


def _replayed(
    decisions: list[dict[str, Any]],
) -> tuple[dict[int, Verdict], list[dict[str, Any]]]:
    """Verdicts, and the decisions that stand, in their order."""
    standing: list[dict[str, Any]] = []
    for decision in decisions:
        if decision.get("undo"):
            del standing[-1:]
        elif isinstance(decision.get("song"), int):
            standing.append(decision)
    verdicts: dict[int, Verdict] = {}
    for decision in standing:
        number = decision["song"]
        before = verdicts.get(number, Verdict())
        if "kept" in decision:
            before = replace(before, kept=bool(decision["kept"]))
        if "name" in decision:
            before = replace(before, name=str(decision["name"]))
        verdicts[number] = before
    return verdicts, standing
