import json
import os
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from effects.base.errors import InputError, RunError
from engine.control.controls import defaults
from engine.offline.journal import (
    Header,
    Journal,
    JournalWriter,
    begin_journal,
    new_journal_path,
    read_journal,
)

HEADER = Header(
    seed=7,
    sample_rate=48_000,
    controls=defaults(),
    latent="0.1.0",
    model="ab12",
    preset="shoreline",
    effects=MappingProxyType({"rain": "cd34"}),
)


def write(path: Path, n_events: int = 3) -> Path:
    writer = JournalWriter(path, HEADER)
    for number in range(n_events):
        writer.set(1000 * number, {"hop": 0.1 + number, "hold": True})
    assert writer.close()
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.jsonl"
    writer = JournalWriter(path, HEADER)
    writer.set(480, {"hop": np.float32(0.5), "tuning/key": "D", "hold": np.True_})
    writer.command(np.int64(960), "go", ["B", 2])  # type: ignore[arg-type]
    writer.song(1000, {"number": 1, "pattern": "ABAB"})
    writer.underruns(2000, 3)
    writer.event({"at": 3000, "recording": {"file": "a.flac", "state": "begin"}})
    assert writer.close()
    journal = read_journal(path)
    assert not journal.torn
    assert journal.header.controls == dict(defaults())
    assert journal.header.effects == {"rain": "cd34"}
    began = datetime.fromisoformat(journal.header.started)
    assert abs((datetime.now(UTC) - began).total_seconds()) < 60
    assert journal.events == (
        {"at": 480, "set": {"hop": 0.5, "tuning/key": "D", "hold": True}},
        {"at": 960, "command": "go", "args": ["B", 2]},
        {"at": 1000, "song": {"number": 1, "pattern": "ABAB"}},
        {"at": 2000, "underrun": 3},
        {"at": 3000, "recording": {"file": "a.flac", "state": "begin"}},
    )


def test_numbers_come_back_to_the_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(1).standard_normal(1000) * 1e-3
    writer = JournalWriter(tmp_path / "a.jsonl", HEADER)
    for at, value in enumerate(values.tolist()):
        writer.set(at, {"hop": value})
    assert writer.close()
    events = read_journal(tmp_path / "a.jsonl").events
    assert [event["set"]["hop"] for event in events] == values.tolist()  # type: ignore[index]


def test_torn_at_any_byte_only_the_last_row_is_missing(tmp_path: Path) -> None:
    data = write(tmp_path / "a.jsonl").read_bytes()
    whole = read_journal(tmp_path / "a.jsonl")
    first = data.index(b"\n") + 1
    path = tmp_path / "torn.jsonl"
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        if length < first:
            with pytest.raises(InputError, match="first row is not whole"):
                read_journal(path)
            continue
        n_whole = data[:length].count(b"\n") - 1
        torn = not data[:length].endswith(b"\n")
        expected = Journal(whole.header, whole.events[:n_whole], torn)
        assert read_journal(path) == expected


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[1]", "not a row"),
        ("[" * 100_000, "not JSON"),
        ('{"at": 1}', "an event is one of"),
        ('{"at": 1, "set": {}, "underrun": 2}', "an event is one of"),
        ('{"set": {}}', "'at' is None"),
        ('{"at": -1, "set": {}}', "'at' is -1"),
        ('{"at": 1.5, "set": {}}', "'at' is 1.5"),
        ('{"at": true, "set": {}}', "'at' is True"),
        ('{"at": 1, "set": {"hop": NaN}}', "NaN is not a finite number"),
        ('{"at": 1, "set": {"hop": 1e999}}', "not finite"),
        ('{"at": 1, "set": [1]}', "set is"),
        ('{"at": 1, "command": 5}', "command is 5"),
        ('{"at": 1, "underrun": "x"}', "underrun is 'x'"),
        ("\xff\xfe", "an event is one of|not JSON"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, line: str, why: str) -> None:
    path = write(tmp_path / "a.jsonl", 1)
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b"\n")
    with pytest.raises(InputError, match=rf"a\.jsonl, line 3: .*({why})"):
        read_journal(path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"latent_journal": 2}, "format 2; this program reads format 1"),
        ({"latent_journal": None}, "not a journal of Latent"),
        ({"seed": "7"}, "seed is '7', not int"),
        ({"sample_rate": 0}, "sample rate 0"),
        ({"controls": {"hop": [1]}}, "control hop"),
        ({"effects": "rain"}, "effects is 'rain'"),
    ],
)
def test_a_bad_header_is_refused(
    tmp_path: Path, change: dict[str, object], why: str
) -> None:
    path = write(tmp_path / "a.jsonl", 0)
    row = json.loads(path.read_text()) | change
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match=f"line 1: .*{why}"):
        read_journal(path)


def test_what_a_later_program_adds_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 0)
    row = json.loads(path.read_text()) | {"weather": "rain"}
    path.write_text(json.dumps(row) + "\n")
    assert read_journal(path).header.extra == {"weather": "rain"}


def test_files_that_are_no_journal(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_journal(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="no such file"):
        read_journal(tmp_path)
    long = tmp_path / "long.jsonl"
    long.write_bytes(b'"' + b"x" * (2 << 20))
    with pytest.raises(InputError, match="line 1: too long"):
        read_journal(long)
    with pytest.raises(RunError, match="cannot write"):
        JournalWriter(write(tmp_path / "a.jsonl"), HEADER)


def test_a_killed_process_leaves_all_but_the_last_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    pid = os.fork()
    if pid == 0:
        try:
            writer = JournalWriter(path, HEADER)
            for at in range(10_000_000):
                writer.set(at, {"hop": 0.5})
                time.sleep(0.0001)
        finally:
            os._exit(3)
    deadline = time.monotonic() + 20
    while not path.exists() or path.stat().st_size < 20_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    events = read_journal(path).events
    assert len(events) > 100
    assert [event["at"] for event in events] == list(range(len(events)))


def test_no_caller_waits_for_a_disk_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.offline.journal.QUEUE", 100)
    go_on = threading.Event()
    writer = JournalWriter(tmp_path / "a.jsonl", HEADER)
    write_row = writer._write

    def slow(row: dict[str, object]) -> None:
        assert go_on.wait(20)
        write_row(row)

    monkeypatch.setattr(writer, "_write", slow)
    before = time.monotonic()
    for at in range(1000):
        writer.set(at, {})
    assert time.monotonic() - before < 1.0
    go_on.set()
    assert writer.close()
    events = read_journal(tmp_path / "a.jsonl").events
    lost = [event["lost"] for event in events if "lost" in event]
    assert len(lost) == 1
    assert lost[0] == 1000 - (len(events) - 1)


def test_a_full_disk_ends_the_journal_with_one_line(tmp_path: Path) -> None:
    lines: list[str] = []
    writer = JournalWriter(tmp_path / "a.jsonl", HEADER, lines.append)
    writer._file.close()
    writer._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
    for at in range(10):
        writer.set(at, {})
    assert not writer.close()
    assert len(lines) == 1
    assert lines[0].endswith("the journal ends here (No space left on device)")


def test_an_event_that_is_no_json_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    lines: list[str] = []
    writer = JournalWriter(tmp_path / "a.jsonl", HEADER, lines.append)
    writer.set(1, {"hop": float("nan")})
    writer.set(2, {"hop": object()})
    writer.set(3, {"hop": 1.0})
    assert writer.close()
    writer.set(4, {"hop": 1.0})
    assert len(lines) == 2
    assert [event["at"] for event in read_journal(tmp_path / "a.jsonl").events] == [3]


def test_old_journals_make_room(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    paths = []
    for number in range(6):
        path = new_journal_path(tmp_path, keep=4, now=moment)
        paths.append(write(path, 0))
        os.utime(path, (number, number))
    assert paths[0].name == "session-20260102T030405Z.jsonl"
    left = {path.name for path in tmp_path.glob("*.jsonl")}
    assert len(left) == 4
    assert paths[-1].name in left
    assert (tmp_path / "mine.txt").exists()


def test_sessions_that_begin_at_once_have_a_journal_each(tmp_path: Path) -> None:
    start = threading.Barrier(8)
    writers: list[JournalWriter] = []

    def begin() -> None:
        start.wait()
        writers.append(begin_journal(HEADER, lambda line: None, tmp_path))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert len({writer.path for writer in writers}) == 8
    for writer in writers:
        writer.close()


def test_a_journal_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot write"):
        begin_journal(HEADER, lambda line: None, tmp_path / "file" / "folder")
