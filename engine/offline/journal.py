"""The journal of a session: all that is needed to render it again, as JSON lines.

The first row is the header (what the session began with); each further row is an
event at a sample: `set` (controls by name), `command` with `args`, `song`,
`underrun`, `recording`, `device`. A row is written whole; a killed process can tear
the last one only, and reading leaves that one out.

Threads: any thread but the callback hands events over, without waiting; the writer's
own thread puts them to disk. Events that the queue has no room for are counted and
told in a row of their own (`lost`), since a journal with a hole renders differently.
"""

import json
import math
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from effects.base.errors import InputError, RunError
from effects.base.paths import state_dir
from engine.recording.naming import numbered

FORMAT = 1
KEEP = 50  # journals of the latest sessions
QUEUE = 10_000  # events on their way to disk
MAX_ROW = 1 << 20  # bytes
MAX_BYTES = 1 << 30  # of a journal that is read
MAX_SAMPLE = 1 << 53  # a double holds every integer below
SYNC_S = 5.0  # between fsyncs
KINDS = ("set", "command", "song", "underrun", "recording", "device", "lost")

Event: TypeAlias = Mapping[str, object]


@dataclass(frozen=True)
class Header:
    """What a session began with."""

    seed: int
    sample_rate: int
    controls: Mapping[str, float | bool | str]
    latent: str = ""  # version of this program
    model: str = ""  # hash of the model folder
    preset: str = ""
    grammar: str = ""
    effects: Mapping[str, str] = field(default_factory=dict)  # name -> hash
    started: str = ""  # UTC, ISO 8601; filled in when empty
    extra: Mapping[str, object] = field(default_factory=dict)  # of later versions


@dataclass(frozen=True)
class Journal:
    """A journal as read: the header, and the events in their order."""

    header: Header
    events: tuple[Event, ...]
    torn: bool  # the last row was not whole, and is left out


class JournalWriter:
    """Writes a journal; no call waits for the disk.

    Args:
        path: a new file.
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
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise RunError(f"{path}: cannot write ({error.strerror})") from None
        try:
            self._write(row)
        except (OSError, TypeError, ValueError) as error:
            self._file.close()
            path.unlink(missing_ok=True)
            why = getattr(error, "strerror", None) or error
            raise RunError(f"{path}: cannot write ({why})") from None
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

    def set(self, at: int, values: Mapping[str, object]) -> None:
        """Controls changed at a sample."""
        self.event({"at": at, "set": dict(values)})

    def command(self, at: int, name: str, args: Sequence[object] = ()) -> None:
        """A command (next, go...) took effect at a sample."""
        self.event({"at": at, "command": name, "args": list(args)})

    def song(self, at: int, song: Mapping[str, object]) -> None:
        """A song begins at a sample."""
        self.event({"at": at, "song": dict(song)})

    def underruns(self, at: int, n_blocks: int) -> None:
        """So many blocks lacked music since the last such row."""
        self.event({"at": at, "underrun": n_blocks})

    def close(self, timeout: float = 5.0) -> bool:
        """Write what is left; True when all of it reached the disk."""
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
        text = json.dumps(row, allow_nan=False, separators=(",", ":"), default=_plain)
        line = text.encode() + b"\n"
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


def read_journal(path: Path) -> Journal:
    """Read a journal; a last row that was torn is left out, all else is strict.

    Raises:
        InputError: no journal, one of a later format, or a row that cannot be.
    """
    try:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: {size} bytes are too many for a journal")
        with path.open("rb") as file:
            header, events, torn = None, [], False
            number = 0
            while line := file.readline(MAX_ROW + 1):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) > MAX_ROW:
                        raise InputError(f"{path}, line {number}: too long")
                    torn = True
                    break
                row = _row(line, f"{path}, line {number}")
                if header is None:
                    header = _header(row, f"{path}, line {number}")
                else:
                    events.append(_event(row, f"{path}, line {number}"))
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror})") from None
    if header is None:
        raise InputError(f"{path}: holds no journal; its first row is not whole")
    return Journal(header, tuple(events), torn)


def new_journal_path(
    folder: Path | None = None, keep: int = KEEP, now: datetime | None = None
) -> Path:
    """Path for a new journal; of the old ones, the latest `keep - 1` stay.

    Args:
        folder: None takes that of the user's state.
        keep: how many there are to be with the new one.
        now: for its name; the present when None.
    """
    folder = state_dir() / "journals" if folder is None else folder
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    old = sorted(folder.glob("session-*.jsonl"), key=_age) if folder.is_dir() else []
    for path in old[: max(0, len(old) - keep + 1)]:
        try:
            path.unlink()
        except OSError:  # another session tidied up first, or it may not be
            continue
    wanted = folder / f"session-{moment}.jsonl"
    return next(path for path in numbered(wanted) if not path.exists())


def begin_journal(
    header: Header, say: Callable[[str], None], folder: Path | None = None
) -> JournalWriter:
    """A new journal, in a file of its own even if two sessions begin at once.

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


def _row(line: bytes, where: str) -> dict[str, Any]:
    def refuse(name: str) -> float:
        raise InputError(f"{where}: {name} is not a finite number")

    try:
        row = json.loads(line.decode("utf-8"), parse_constant=refuse)
    except InputError:
        raise
    except (ValueError, RecursionError):
        raise InputError(f"{where}: not JSON") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: not a row of a journal")
    return row


def _header(row: dict[str, Any], where: str) -> Header:
    version = row.pop("latent_journal", None)
    if version is None:
        raise InputError(f"{where}: not a journal of Latent")
    if version != FORMAT:
        raise InputError(
            f"{where}: format {version!r:.20}; this program reads format {FORMAT}"
        )
    fields = Header.__dataclass_fields__
    extra = {**_of(row, "extra", dict, where, {})}
    extra |= {name: row[name] for name in row if name not in fields}
    controls = _of(row, "controls", dict, where)
    for name, value in controls.items():
        if not isinstance(value, bool | int | float | str):
            raise InputError(f"{where}: control {name} has no plain value")
    seed = _of(row, "seed", int, where)
    sample_rate = _of(row, "sample_rate", int, where)
    if not 1000 <= sample_rate <= 1_000_000 or seed < 0:
        raise InputError(f"{where}: sample rate {sample_rate}, seed {seed}")
    texts = {
        name: _of(row, name, str, where, "")
        for name in ("latent", "model", "preset", "grammar", "started")
    }
    effects = _of(row, "effects", dict, where, {})
    return Header(seed, sample_rate, controls, effects=effects, extra=extra, **texts)


def _event(row: dict[str, Any], where: str) -> Event:
    at = row.get("at")
    if isinstance(at, bool) or not isinstance(at, int) or not 0 <= at < MAX_SAMPLE:
        raise InputError(f"{where}: 'at' is {at!r:.40}, not a sample number")
    kinds = [kind for kind in KINDS if kind in row]
    if len(kinds) != 1:
        raise InputError(f"{where}: an event is one of {', '.join(KINDS)}")
    if kinds[0] == "command":
        _of(row, "command", str, where)
        _of(row, "args", list, where, [])
    elif kinds[0] in ("set", "song", "recording", "device"):
        values = _of(row, kinds[0], dict, where)
        if any(isinstance(v, float) and not math.isfinite(v) for v in values.values()):
            raise InputError(f"{where}: {kinds[0]} holds a number that is not finite")
    else:
        _of(row, kinds[0], int, where)
    return row


_REQUIRED: Any = object()


def _of(
    row: dict[str, Any], name: str, kind: type, where: str, default: Any = _REQUIRED
) -> Any:
    value = row.get(name, default)
    if value is _REQUIRED:
        raise InputError(f"{where}: {name} is missing")
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(f"{where}: {name} is {value!r:.40}, not {kind.__name__}")
    return value
