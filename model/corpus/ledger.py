"""The ledger of a corpus: which files were looked at, and what became of them.

A file is known by its path, size and time of change, so that a second run over a folder
reads nothing; else by its hash, under whatever name; else by its fingerprint.
"""

from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from effects.base.errors import RunError
from effects.base.one_line import shown
from effects.base.open_file import open_regular
from effects.base.schema import decode_json
from model.corpus.fingerprint import KnownMusic, from_text
from model.corpus.json_lines import append_line
from model.corpus.manifest import Manifest

SONGS = "songs.jsonl"
RULES = 4  # by which songs are refused; others give what was refused another chance
_MAX_LINE = 1 << 16

Fate: TypeAlias = Literal["taken", "same", "refused", "removed"]


class SongRecord(msgspec.Struct, omit_defaults=True):
    """A line of the ledger.

    Attributes:
        path: of the file.
        size: of the file in bytes.
        mtime_ns: its time of change.
        fate: whether clips were taken of it, it is the same music as a song that had
            been taken, it was refused, or its clips were taken out by the user.
        sha256: of the file.
        seconds: its length.
        fingerprint: of its music.
        reason: of a refusal.
        detail: of the reason.
        rules: by which it was refused.
    """

    path: str
    size: int
    mtime_ns: int
    fate: Fate
    sha256: str = ""
    seconds: float = 0.0
    fingerprint: str = ""
    reason: str = ""
    detail: str = ""
    rules: int = 0


class _Sha(msgspec.Struct):
    song_sha256: str = ""


class Ledger:
    """The ledger in a corpus's folder, and what it says."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / SONGS
        self._by_path: dict[str, SongRecord] = {}
        self._by_hash: dict[str, SongRecord] = {}
        self._sizes: set[int] = set()
        self._music = KnownMusic()
        self._unlisted: set[str] = set()  # hashes of songs that have clips alone

    @classmethod
    def read(cls, folder: Path, manifest: Manifest) -> "Ledger":
        """Read the ledger of a corpus; songs that have clips are known in any case.

        Raises:
            InputError: a line is damaged.
        """
        ledger = cls(folder)
        if ledger._path.exists():
            with open_regular(ledger._path) as file:
                lines = iter(lambda: file.readline(_MAX_LINE), b"")
                for number, line in enumerate(lines, 1):
                    if line.endswith(b"\n"):  # or torn by a kill
                        where = f"{shown(ledger._path)}, line {number}"
                        ledger._note(decode_json(line, SongRecord, where))
        for row in manifest.each(_Sha):
            if row.song_sha256 and row.song_sha256 not in ledger._by_hash:
                ledger._unlisted.add(row.song_sha256)
        return ledger

    def of_file(self, path: str, size: int, mtime_ns: int) -> SongRecord | None:
        """What became of a file that has not changed since."""
        found = self._by_path.get(path)
        same = found is not None and (found.size, found.mtime_ns) == (size, mtime_ns)
        return found if same else None

    def may_be_known(self, size: int) -> bool:
        """Whether a file of this size may have the hash of a known one."""
        return size in self._sizes or bool(self._unlisted)

    def of_hash(self, sha256: str) -> SongRecord | None:
        """What became of a file with this content, under whatever name."""
        return self._by_hash.get(sha256)

    def has_clips_of(self, sha256: str) -> bool:
        """Whether the corpus has clips of a file of which the ledger says nothing."""
        return sha256 in self._unlisted

    def same_music(self, seconds: float, text: str) -> str | None:
        """Path of a song that is the same music and of which clips were taken."""
        made = from_text(text)
        return None if made is None else self._music.find(seconds, made)

    def add(self, record: SongRecord) -> None:
        """Write a line.

        Raises:
            RunError: the disk is full or not writable.
        """
        try:
            append_line(self._path, msgspec.json.encode(record) + b"\n")
        except OSError as error:
            raise RunError(
                f"{shown(self._path)}: cannot be written ({error.strerror})"
            ) from error
        self._note(record)

    def removed(self, hashes: set[str]) -> None:
        """Take note that the user took all clips of songs out of the corpus."""
        for record in [r for r in self._by_path.values() if r.sha256 in hashes]:
            self.add(msgspec.structs.replace(record, fate="removed"))

    def _note(self, record: SongRecord) -> None:
        self._by_path[record.path] = record
        self._sizes.add(record.size)
        self._unlisted.discard(record.sha256)
        if record.sha256:
            self._by_hash[record.sha256] = record
        made = from_text(record.fingerprint)
        if record.fate in ("taken", "removed") and made is not None:
            self._music.add(record.seconds, made, record.path)
