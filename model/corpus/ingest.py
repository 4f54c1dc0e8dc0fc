"""Ingest: clips of songs into a corpus, and a reason for each refusal.

Songs are examined wherever an executor does it, and put into the corpus here, in their
order: the corpus does not depend on who examined them, nor how many at once.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from effects.base.errors import RunError
from effects.base.one_line import shown
from model.corpus.corpus import Corpus
from model.corpus.faults import DUPLICATE, UNSUPPORTED, RefusedError
from model.corpus.ledger import RULES, SongRecord
from model.corpus.song import ExaminedSong, SongTask, examine, file_hash, path_text

AHEAD = 32  # songs that are under way at once
EVERY_S = 300.0  # of a long song, one clip is taken for each so many seconds

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Refusal:
    """A file of which no clip was taken, and why.

    Attributes:
        name: of the file, printable.
        reason: a constant of `faults`, such as `SILENCE`.
        detail: a phrase that says more.
    """

    name: str
    reason: str
    detail: str


@dataclass
class IngestReport:
    """The result of adding songs to a corpus.

    Attributes:
        songs: number of files from which clips were taken.
        clips: number of clips taken.
        fewer: number of songs of which fewer clips were taken than wanted.
        known: number of files whose music the corpus had already.
        remembered: number of files that were refused before, and not tried again.
        refused: files from which no clip was taken.
        draws_refused: for the other files, the number of refused draws by reason.
    """

    songs: int = 0
    clips: int = 0
    fewer: int = 0
    known: int = 0
    remembered: int = 0
    refused: list[Refusal] = field(default_factory=list)
    draws_refused: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Pending:
    """A file whose fate is decided when all before it are.

    Attributes:
        path: of the file.
        record: what is known of the file itself, its fate aside.
        earlier: its record of an earlier run, if it has not changed.
        examined: what was found in it, now or later.
    """

    path: Path
    record: SongRecord
    earlier: SongRecord | None = None
    examined: "Future[ExaminedSong] | ExaminedSong | None" = None


def add_songs(
    paths: Iterable[Path],
    corpus: Corpus,
    *,
    clips_per_song: int,
    seed: int,
    every_s: float = EVERY_S,
    again: bool = False,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> IngestReport:
    """Add clips of songs to a corpus.

    The clips of a song are on the disk when the next song begins. Songs that are in the
    corpus already, as the same file or the same music, and songs that were refused
    before are passed over.

    Args:
        paths: of sound files.
        corpus: opened for writing.
        clips_per_song: number of clips of a song that is not long.
        seed: of the places.
        every_s: of a long song, one clip is taken for each so many seconds.
        again: whether songs that were refused or removed before are tried again.
        executor: where songs are examined; None does it here.
        progress: called with (files done, files in all).

    Raises:
        RunError: the corpus cannot be written, or the workers were ended.
    """
    files = list(paths)
    added = _Adding(corpus, again)
    settings = (clips_per_song, every_s, seed)
    waiting: deque[_Pending] = deque()
    done = 0
    for pending in _begun(files, added, settings, executor):
        waiting.append(pending)
        while len(waiting) > (AHEAD if executor else 0):
            added.decide(waiting.popleft())
            done += 1
            if progress is not None:
                progress(done, len(files))
    while waiting:
        added.decide(waiting.popleft())
        done += 1
        if progress is not None:
            progress(done, len(files))
    added.report.draws_refused = dict(added.again)
    return added.report


def _begun(
    files: list[Path],
    adding: "_Adding",
    settings: tuple[int, float, int],
    executor: Executor | None,
) -> Iterator[_Pending]:
    for path in files:
        pending = adding.looked_at(path)
        if pending.earlier is None and pending.examined is None:
            task = SongTask(str(path.absolute()), *settings)
            found = executor.submit(examine, task) if executor else examine(task)
            pending = _Pending(path, pending.record, None, found)
        yield pending


class _Adding:
    """One run: the corpus, its ledger, and what has been decided so far."""

    def __init__(self, corpus: Corpus, again: bool) -> None:
        self.corpus = corpus
        self.ledger = corpus.ledger()
        self.report = IngestReport()
        self.again: Counter[str] = Counter()
        self._retry = again
        self._hashes: set[str] = set()  # of files of this run
        self._taken: set[str] = set()  # paths of songs of this run

    def looked_at(self, path: Path) -> _Pending:
        """What can be said of a file without opening it as a sound."""
        text = path_text(path.absolute())
        try:
            status = path.stat()
        except OSError as error:
            gone = ExaminedSong(reason="broken file", detail=error.strerror or "gone")
            return _Pending(path, SongRecord(text, 0, 0, "refused"), None, gone)
        record = SongRecord(text, status.st_size, status.st_mtime_ns, "refused")
        earlier = self.ledger.of_file(text, status.st_size, status.st_mtime_ns)
        if earlier is None and self.ledger.may_be_known(status.st_size):
            try:
                earlier = self.ledger.of_hash(file_hash(path))
            except RefusedError:
                return _Pending(path, record)  # the examination will say why
        if earlier is not None and self._is_settled(earlier):
            return _Pending(path, record, earlier)
        return _Pending(path, record)

    def _is_settled(self, record: SongRecord) -> bool:
        if record.sha256 in self._hashes or record.fate in ("taken", "same"):
            return True
        return not self._retry and (record.fate == "removed" or record.rules == RULES)

    def decide(self, pending: _Pending) -> None:
        """Settle the fate of a file, when that of all files before it is settled."""
        found = pending.examined
        if isinstance(found, Future):
            found = _result(found)
        sha256 = found.sha256 if found else pending.earlier.sha256  # type: ignore[union-attr]
        known = self.ledger.of_hash(sha256) if sha256 else pending.earlier
        if known is not None and self._is_settled(known):
            self._pass_over(pending, known)
        elif found is not None:
            self._settle(pending, found)
        if sha256:
            self._hashes.add(sha256)

    def _pass_over(self, pending: _Pending, known: SongRecord) -> None:
        if known.sha256 in self._hashes and known.fate == "refused":
            self._refuse(pending, known.reason, known.detail)
        elif known.sha256 in self._hashes:
            self._refuse(pending, DUPLICATE, f"the same file as {known.path}")
        elif known.fate in ("taken", "same"):
            self.report.known += 1
        else:
            self.report.remembered += 1
        fields = ("fate", "sha256", "seconds", "fingerprint", "reason", "detail")
        self._write(pending, **{n: getattr(known, n) for n in (*fields, "rules")})

    def _settle(self, pending: _Pending, found: ExaminedSong) -> None:
        heard = {
            "sha256": found.sha256,
            "seconds": round(found.seconds, 3),
            "fingerprint": found.fingerprint,
        }
        same = self.ledger.same_music(found.seconds, found.fingerprint)
        if self.ledger.has_clips_of(found.sha256):
            self.report.known += 1
            self._write(pending, fate="taken", **heard)
        elif found.reason:
            self._refuse(pending, found.reason, found.detail)
            # What is not read today may be once ffmpeg is installed.
            if found.sha256 and found.reason != UNSUPPORTED:
                told = {"reason": found.reason, "detail": found.detail}
                self._write(pending, fate="refused", rules=RULES, **told, **heard)
        elif same is not None:
            if same in self._taken:
                self._refuse(pending, DUPLICATE, f"the same music as {same}")
            else:
                self.report.known += 1
            self._write(pending, fate="same", **heard)
        else:
            self._take(pending, found)
            self._write(pending, fate="taken", **heard)

    def _take(self, pending: _Pending, found: ExaminedSong) -> None:
        assert found.timbres is not None
        self.corpus.append(found.timbres, found.rows, found.audio)
        self._taken.add(pending.record.path)
        self.again.update(found.draws_refused)
        self.report.songs += 1
        self.report.clips += len(found.rows)
        self.report.fewer += len(found.rows) < found.wanted

    def _refuse(self, pending: _Pending, reason: str, detail: str) -> None:
        self.report.refused.append(Refusal(shown(pending.path), reason, detail))

    def _write(self, pending: _Pending, **changes: object) -> None:
        record = pending.record
        for name, value in changes.items():
            setattr(record, name, value)
        before = self.ledger.of_file(record.path, record.size, record.mtime_ns)
        if before != record:
            self.ledger.add(record)


def _result(future: "Future[ExaminedSong]") -> ExaminedSong:
    try:
        return future.result()
    except BrokenProcessPool:
        raise RunError(
            "a worker was ended from outside (out of memory?); what was added is "
            "safe, the same command goes on, --jobs 1 takes less memory"
        ) from None
