"""Writing the journal of a session while it plays.

Threads: any thread but the callback hands events over, without waiting; the writer's
own thread writes them to the disk. Events that the queue has no room for are counted
and noted in a row of their own (`lost`), since a journal with a hole renders
differently.
"""

import contextlib
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from effects.base.errors import RunError
from effects.base.paths import state_dir
from engine.offline.journal import FORMAT, MAX_ROW, Header
from engine.recording.naming import numbered

KEEP = 50  # journals of the latest sessions
KEEP_BYTES = 200 * 2**20  # of them, but for the latest: weeks of automation are long
RESTING_S = 86_400.0  # since the last row of a journal whose session has surely ended
QUEUE = 10_000  # events on their way to disk
SYNC_S = 5.0  # between fsyncs
LOOK_S = 0.002  # between looks whether all is written

Event: TypeAlias = Mapping[str, object]


class JournalWriter:
    """Writes a journal; no call waits for the disk.

    Args:
        path: a new file, which only its owner may read.
        header: its first row, on disk before this returns.
        on_message: takes one line for the user, once, when the disk fails.

    Raises:
        RunError: the file is there already, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        on_message: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.path = path
        self.failure: str | None = None
        self._say = on_message
        self._queue: queue.Queue[Event | None] = queue.Queue(QUEUE)
        self._lost = 0
        self._closed = False
        row: dict[str, object] = {"latent_journal": FORMAT}
        row |= {name: getattr(header, name) for name in Header.__dataclass_fields__}
        row["started"] = header.started or datetime.now(UTC).isoformat("T", "seconds")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)
        except OSError as error:
            raise RunError(f"{path}: cannot be written ({error.strerror})") from None
        try:
            self._write(row)
        except (OSError, TypeError, ValueError) as error:
            self._file.close()
            path.unlink(missing_ok=True)
            reason = getattr(error, "strerror", None) or error
            raise RunError(f"{path}: cannot be written ({reason})") from None
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def event(self, event: Event) -> None:
        """Any thread but the callback: note an event, `{"at": sample, ...}`."""
        if self._closed:
            return
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self._lost += 1  # one too few under a race is as good a warning

    def flush(self, timeout: float = 1.0) -> bool:
        """Wait until the events so far are in the file, for `timeout` seconds at most.

        Returns:
            Whether they are, or the disk has failed.
        """
        deadline = time.monotonic() + timeout
        while self._queue.unfinished_tasks:
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_S)
        return True

    def close(self, timeout: float = 5.0) -> bool:
        """Write what is left, for `timeout` seconds at most.

        Returns:
            True when all of it reached the disk.
        """
        self._closed = True
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            return False
        self._thread.join(timeout)
        return not self._thread.is_alive() and self.failure is None

    # The writer's thread.

    def _run(self) -> None:
        last_at, going, dirty = 0, True, False
        while going:
            try:
                event = self._queue.get(timeout=SYNC_S if dirty else None)
            except queue.Empty:
                dirty = not self._sync()
                continue
            going = event is not None
            rows = [event] if event is not None else []
            if self._lost:
                rows.append({"at": last_at, "lost": self._lost})
                self._lost = 0
            for row in rows:
                at = row.get("at")
                last_at = at if isinstance(at, int) else last_at
                self._put(row)
                dirty = True
            self._queue.task_done()
        self._sync()
        self._file.close()

    def _put(self, row: Event) -> None:
        if self.failure is not None:
            return
        try:
            self._write(row)
        except (TypeError, ValueError) as error:
            self._say(f"journal: an event cannot be written ({error})")
        except OSError as error:
            self.failure = f"{self.path}: the journal ends here ({error.strerror})"
            self._say(self.failure)

    def _write(self, row: Event) -> None:
        text = json.dumps(
            row,
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
            default=_plain,
        )
        # The name of a file may hold bytes that are no UTF-8.
        line = text.encode("utf-8", "replace") + b"\n"
        if len(line) > MAX_ROW:
            raise ValueError(f"a row of {len(line)} bytes")
        while line:  # unbuffered: a full disk may take a part only
            line = line[self._file.write(line) or 0 :]

    def _sync(self) -> bool:
        try:
            os.fsync(self._file.fileno())
        except OSError:
            return False
        return True


def begin_journal(
    header: Header, say: Callable[[str], None], folder: Path | None = None
) -> JournalWriter:
    """Begin a journal, in a file of its own even if two sessions begin at once.

    Args:
        header: its first row.
        say: takes one line for the user when the disk fails later.
        folder: None takes that of the user's state.

    Raises:
        RunError: it cannot be written.
    """
    for _ in range(100):
        path = new_journal_path(folder)
        try:
            return JournalWriter(path, header, say)
        except RunError:
            if not path.exists():  # else another session was quicker
                raise
    raise RunError(f"{path}: too many sessions begin at this moment")


def new_journal_path(
    folder: Path | None = None,
    keep: int = KEEP,
    now: datetime | None = None,
    keep_bytes: int = KEEP_BYTES,
) -> Path:
    """Path for a new journal; of the old ones, the latest `keep - 1` stay at most.

    Args:
        folder: None takes that of the user's state.
        keep: how many there are to be with the new one.
        now: for its name; the present when None.
        keep_bytes: that the old ones may have together; the latest stays in any case,
            as do those of sessions that may still play.
    """
    folder = journals_dir() if folder is None else folder
    moment = now or datetime.now(UTC)
    old = sorted(folder.glob("session-*.jsonl"), key=_age) if folder.is_dir() else []
    n_bytes = 0
    for place, path in enumerate(reversed(old), 1):
        with contextlib.suppress(OSError):  # another session tidied up, or may not
            facts = path.stat()
            n_bytes += facts.st_size
            is_resting = moment.timestamp() - facts.st_mtime > RESTING_S
            if place >= keep or (n_bytes > keep_bytes and place > 1 and is_resting):
                path.unlink()
    wanted = folder / f"session-{moment:%Y%m%dT%H%M%SZ}.jsonl"
    return next(path for path in numbered(wanted) if not os.path.lexists(path))


def journals_dir() -> Path:
    """Folder of the journals of this user's sessions."""
    return state_dir() / "journals"


def _age(path: Path) -> tuple[int, str]:
    try:
        return path.stat().st_mtime_ns, path.name
    except OSError:
        return 0, path.name


def _plain(value: object) -> object:
    """Numbers of numpy, paths and read-only mappings as JSON has them."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    item = getattr(value, "item", None)
    if callable(item):
        plain: object = item()
        return plain
    raise TypeError(f"{type(value).__name__} is no JSON")
