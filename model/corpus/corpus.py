"""A corpus: the timbres of clips, a manifest that describes them, and verdicts.

A corpus is a folder:

    manifest.jsonl    one JSON object a clip; its `id` is the number of its timbre
    timbres.f16       float16 of shape (n, n_bands), row after row
    clips/*/*.flac    the audio of the clips, where it is kept for listening
    songs.jsonl       the files that were looked at, and what became of them
    verdicts.jsonl    decisions of curation; the last one on a clip counts
    .lock             held while a program writes

Files are appended to: first the timbres, then their lines of the manifest. A program
that is killed leaves at most timbres without lines, or an incomplete last line; both
are cut off when the corpus is opened for writing. One program writes at a time: if
another one has added clips since the corpus was opened, writing is refused. Lines of
the manifest may be taken out or put in another order by hand.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from effects.base.errors import InputError, RunError
from model.config import AXIS
from model.corpus.clip_audio import audio_path, keep_audio, remove_audio_from
from model.corpus.json_lines import append_bytes
from model.corpus.ledger import Ledger
from model.corpus.manifest import Manifest, Row, line_of
from model.corpus.verdicts import (
    REJECT,
    VERDICTS,
    ClipVerdict,
    append_verdicts,
    forget_verdicts,
    read_verdicts,
)

MANIFEST = "manifest.jsonl"
TIMBRES = "timbres.f16"
VERDICTS_FILE = "verdicts.jsonl"
LOCK = ".lock"
BATCH = 8_192  # timbres that are checked at once
_ROW_BYTES = 2 * AXIS.n_bands


class _Facts(msgspec.Struct):
    """What summaries and divisions need of a row."""

    group: Any = None
    source: Any = "?"
    licence: Any = "?"


class Corpus:
    """The corpus in a folder.

    Attributes:
        folder: that it is in.
        converted: whether opening it for writing gave ids to rows of an older form.
    """

    def __init__(self, folder: Path, manifest: Manifest, n_timbres: int) -> None:
        self.folder = folder
        self.converted = False
        self._manifest = manifest
        self._next = n_timbres  # id of the next clip

    @classmethod
    def open(cls, folder: Path) -> "Corpus":
        """Open an existing corpus for reading.

        Raises:
            InputError: there is none, or its manifest is damaged.
        """
        if not (folder / MANIFEST).is_file():
            raise InputError(
                f"{folder}: no corpus here (no {MANIFEST}); make one with "
                "'latent corpus add FOLDER' or 'latent corpus demo'"
            )
        # The manifest is read first, since it is written last.
        manifest = Manifest.read(folder / MANIFEST)
        n = _n_timbres(folder)
        return cls(folder, manifest.below(n), n)

    @classmethod
    def create(cls, folder: Path) -> "Corpus":
        """Open a corpus for writing, repaired if need be, or make a new one.

        Raises:
            InputError: the folder cannot be made or written, or a file is damaged.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in (MANIFEST, TIMBRES):
                (folder / name).touch()
            with _locked(folder):
                corpus = cls._mended(folder)
                known = set(corpus._manifest.ids)
                forget_verdicts(folder / VERDICTS_FILE, known)
        except OSError as error:
            raise InputError(
                f"{folder}: cannot hold a corpus ({error.strerror})"
            ) from error
        return corpus

    def __len__(self) -> int:
        return len(self._manifest)

    def append(
        self,
        timbres: NDArray[np.float32],
        rows: Sequence[Row],
        audio: Sequence[bytes] | None = None,
    ) -> None:
        """Add clips: all of them, or after a kill none or the first ones.

        Args:
            timbres: shape (n, n_bands), 0..1.
            rows: a description of each clip, with at least `group`, its song or patch.
                Each gets its `id`, and `file_name` where there is audio.
            audio: of each clip as a FLAC file, to be kept for listening.

        Raises:
            ValueError: the shapes do not fit, or values are not finite.
            RunError: the disk is full or not writable, or another program has added
                clips since this corpus was opened.
        """
        if timbres.shape != (len(rows), AXIS.n_bands):
            raise ValueError(f"{len(rows)} rows, but timbres of shape {timbres.shape}")
        if not np.all(np.isfinite(timbres)):
            raise ValueError("timbres hold NaN or infinite values")
        ids = range(self._next, self._next + len(rows))
        described = [{**row, "id": i} for i, row in zip(ids, rows, strict=True)]
        try:
            with _locked(self.folder):
                self._check_alone()
                try:
                    if audio is not None:
                        keep_audio(self.folder, described, audio)
                    lines = [line_of(row) for row in described]
                    # On the disk before their lines, so that every line has a timbre.
                    stored = timbres.astype(np.float16).tobytes()
                    append_bytes(self.folder / TIMBRES, stored, sync=True)
                    append_bytes(self.folder / MANIFEST, b"".join(lines))
                except BaseException:
                    with suppress(OSError):
                        self._cut()  # or later timbres would not fit their lines
                    raise
        except OSError as error:
            raise RunError(
                f"{self.folder}: cannot be written ({error.strerror}); "
                "what was added before is safe"
            ) from error
        for clip, line in zip(ids, lines, strict=True):
            self._manifest.note(clip, self._manifest.end, len(line))
        self._next += len(rows)

    def judge(self, clip: int, verdict: str, reason: str = "") -> None:
        """Keep or reject a clip; the verdict is on the disk when this returns.

        Args:
            clip: its id.
            verdict: `KEEP`, `REJECT`, or `OPEN` to take an earlier one back.
            reason: for a rejection, in a word.

        Raises:
            InputError: there is no such clip or verdict.
            RunError: the disk is full or not writable.
        """
        self.judge_all([clip], verdict, reason)

    def judge_all(
        self, clips: Iterable[int], verdict: str, reason: str = "", by: str = ""
    ) -> None:
        """Give several clips the same verdict, as `judge` does; `by` says who did."""
        known = set(self._manifest.ids)
        lines = []
        for clip in clips:
            if clip not in known or verdict not in VERDICTS:
                raise InputError(f"clip {clip}: cannot be judged {verdict!r:.20}")
            given = {"clip": clip, "verdict": verdict, "reason": reason, "by": by}
            lines.append(msgspec.convert(given, ClipVerdict))
        path = self.folder / VERDICTS_FILE
        try:
            with _locked(self.folder):
                append_verdicts(path, lines)
        except OSError as error:
            raise RunError(
                f"{path}: cannot be written ({error.strerror}); earlier verdicts stand"
            ) from error

    def remove(self, clips: Iterable[int]) -> None:
        """Take clips out of the corpus: their rows and their audio.

        Raises:
            InputError: there is no such clip.
            RunError: the disk is full or not writable, or another program is adding.
        """
        gone = set(clips)
        for clip in gone - set(self._manifest.ids):
            raise InputError(f"clip {clip}: there is none; see 'corpus list'")
        names: list[str] = []

        def left() -> Iterator[Row]:
            for row in self._manifest:
                if row["id"] not in gone:
                    yield row
                elif "file_name" in row:
                    names.append(row["file_name"])

        try:
            with _locked(self.folder):
                self._check_alone()
                self._manifest.write(left())
                self._manifest = Manifest.read(self.folder / MANIFEST)
                known = set(self._manifest.ids)
                forget_verdicts(self.folder / VERDICTS_FILE, known)
                for name in names:
                    audio_path(self.folder, name).unlink(missing_ok=True)
        except OSError as error:
            raise RunError(
                f"{self.folder}: cannot be written ({error.strerror})"
            ) from error

    def verdicts(self) -> dict[int, ClipVerdict]:
        """The latest verdict on each clip that has one, by the clip's id.

        Raises:
            InputError: a line is no verdict.
        """
        return read_verdicts(self.folder / VERDICTS_FILE)

    def rows(self) -> Sequence[Row]:
        """The manifest: a description of each clip, read when it is asked for."""
        return self._manifest

    def rows_of(self, clips: Iterable[int]) -> list[Row]:
        """Descriptions of the clips with these ids, in their order.

        Raises:
            InputError: there is no such clip.
        """
        return [self._manifest[self._manifest.index_of(clip)] for clip in clips]

    def ids(self) -> NDArray[np.int64]:
        """Ids of all clips, rejected or not, in the order of the manifest."""
        return np.array(self._manifest.ids, np.int64)

    def kept(self) -> NDArray[np.int64]:
        """Ids of the clips that are not rejected, in the order of the manifest."""
        rejected = [c for c, v in self.verdicts().items() if v.verdict == REJECT]
        ids = self.ids()
        return ids[~np.isin(ids, rejected)]

    def stored(self, clip: int) -> NDArray[np.float16]:
        """The timbre of one clip, rejected or not, shape (n_bands,)."""
        return np.fromfile(
            self.folder / TIMBRES,
            np.float16,
            AXIS.n_bands,
            offset=clip * _ROW_BYTES,
        )

    def stored_timbres(self) -> NDArray[np.float16]:
        """All timbres as they lie on the disk, by id, shape (highest id + 1, n_bands).

        They are mapped into memory, not read; ids without a row are among them.
        """
        n = max(self._manifest.ids, default=-1) + 1
        if not n:
            return np.zeros((0, AXIS.n_bands), np.float16)
        shape = (n, AXIS.n_bands)
        return np.memmap(self.folder / TIMBRES, np.float16, "r", shape=shape)

    def timbres(self) -> NDArray[np.float16]:
        """Timbres of the clips that are not rejected, shape (n, n_bands).

        Raises:
            InputError: values are not within 0..1: the file is damaged.
        """
        kept, stored = self.kept(), self.stored_timbres()
        timbres = np.empty((len(kept), AXIS.n_bands), np.float16)
        for start in range(0, len(kept), BATCH):
            clips = kept[start : start + BATCH]
            batch = timbres[start : start + BATCH] = stored[clips]
            valid = ((batch >= 0.0) & (batch <= 1.0)).all(axis=1)  # False for NaN
            if not valid.all():
                raise InputError(
                    f"{self.folder / TIMBRES}: damaged at clip "
                    f"{clips[np.argmin(valid)]}; reject that clip, or make the corpus "
                    "again"
                )
        return timbres

    def groups(self, *, judged: bool = True) -> NDArray[np.str_]:
        """Song or patch of each clip that is not rejected, or of all, shape (n,)."""
        kept = set((self.kept() if judged else self.ids()).tolist())
        names = [
            str(clip if facts.group is None else facts.group)
            for clip, facts in self._facts()
            if clip in kept
        ]
        return np.array(names, np.str_)

    def summary(self) -> dict[str, Any]:
        """Numbers of clips, kept clips and groups, and clips by source and licence."""
        groups: set[str] = set()
        sources: Counter[str] = Counter()
        licences: Counter[str] = Counter()
        for clip, facts in self._facts():
            groups.add(str(clip if facts.group is None else facts.group))
            sources[str(facts.source)] += 1
            licences[str(facts.licence)] += 1
        return {
            "clips": len(self),
            "kept": len(self.kept()),
            "groups": len(groups),
            "sources": dict(sources),
            "licences": dict(licences),
        }

    def audio_path(self, name: str) -> Path:
        """Where the audio of a clip lies, by the `file_name` of its row.

        Raises:
            InputError: the name leads out of the corpus.
        """
        return audio_path(self.folder, name)

    def ledger(self) -> Ledger:
        """Which files were looked at, and what became of them.

        Raises:
            InputError: it is damaged.
        """
        return Ledger.read(self.folder, self._manifest)

    def _facts(self) -> Iterator[tuple[int, _Facts]]:
        return zip(self._manifest.ids, self._manifest.each(_Facts), strict=False)

    @classmethod
    def _mended(cls, folder: Path) -> "Corpus":
        """The corpus with ids in its rows, and without what a kill left over."""
        manifest = Manifest.read(folder / MANIFEST).below(_n_timbres(folder))
        converted = not manifest.numbered
        if converted or not manifest.is_whole:
            manifest.write(map(_renamed, manifest) if converted else iter(manifest))
            manifest = Manifest.read(folder / MANIFEST)
        corpus = cls(folder, manifest, max(manifest.ids, default=-1) + 1)
        corpus.converted = converted
        corpus._cut()
        return corpus

    def _check_alone(self) -> None:
        expected = (self._manifest.end, self._next * _ROW_BYTES)
        if (_size(self.folder / MANIFEST), _size(self.folder / TIMBRES)) != expected:
            raise RunError(
                f"{self.folder}: another program is adding to this corpus; "
                "wait until it is done, then try again"
            )

    def _cut(self) -> None:
        """Cut off from the files what the rows do not describe."""
        os.truncate(self.folder / MANIFEST, self._manifest.end)
        os.truncate(self.folder / TIMBRES, self._next * _ROW_BYTES)
        remove_audio_from(self.folder, self._next)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other programs from writing; the lock ends with a program that is killed."""
    with FileLock(folder / LOCK):
        yield


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _n_timbres(folder: Path) -> int:
    return _size(folder / TIMBRES) // _ROW_BYTES


def _renamed(row: Row) -> Row:
    """A row with the names of today; older ones said `song` and `author` of songs."""
    if row.get("source") != "song":
        return row
    names = {"song": "title", "author": "artist"}
    return {names.get(name, name): value for name, value in row.items()}
