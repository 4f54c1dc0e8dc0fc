import base64
import json
import os
import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from effects.base.errors import InputError, RunError
from engine.control.controls import defaults
from engine.offline.edits import edits_of
from engine.offline.journal import (
    ConcealRow,
    Header,
    Journal,
    JournalEvent,
    read_header,
    read_journal,
)
from engine.offline.journal_writer import (
    JournalWriter,
    begin_journal,
    new_journal_path,
)
from engine.offline.played_session import differences, session_end
from engine.version import VERSION
from model.config import AXIS

HEADER = Header(
    seed=7,
    sample_rate=48_000,
    controls=defaults(),
    model="ab12",
    preset="shoreline",
    effects=("rain", "wind"),
    duration=90.0,
    like="AAAA",
)


def change(at: int, **values: object) -> dict[str, object]:
    return {"at": at, "set": values}


def write(path: Path, n_events: int = 3) -> Path:
    writer = JournalWriter(path, HEADER)
    for number in range(n_events):
        writer.event(change(1000 * number, hop=0.1 + number, hold=True))
    assert writer.close()
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.jsonl"
    writer = JournalWriter(path, HEADER)
    values = {"hop": np.float32(0.5), "tuning/key": "D", "hold": np.True_}
    writer.event({"at": 480, "set": values, "heard": 960})
    writer.event({"at": np.int64(960), "command": "go", "args": ["B", 2]})
    writer.event({"at": 1000, "song": {"number": 1, "pattern": "ABAB"}})
    writer.event({"at": 2000, "underrun": 3})
    writer.event({"at": 3000, "recording": {"file": "a.flac", "state": "begin"}})
    assert writer.close()
    journal = read_journal(path)
    assert not journal.torn
    assert journal.header.controls == dict(defaults())
    assert journal.header == replace(HEADER, started=journal.header.started)
    assert read_header(path) == journal.header
    assert path.stat().st_mode & 0o777 == 0o600, "what was played is nobody else's"
    began = datetime.fromisoformat(journal.header.started)
    assert abs((datetime.now(UTC) - began).total_seconds()) < 60
    assert journal.events == (
        {"at": 480, "set": values, "heard": 960},
        {"at": 960, "command": "go", "args": ["B", 2]},
        {"at": 1000, "song": {"number": 1, "pattern": "ABAB"}},
        {"at": 2000, "underrun": 3},
        {"at": 3000, "recording": {"file": "a.flac", "state": "begin"}},
    )


def test_numbers_come_back_to_the_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(1).standard_normal(1000) * 1e-3
    writer = JournalWriter(tmp_path / "a.jsonl", HEADER)
    for at, value in enumerate(values.tolist()):
        writer.event(change(at, hop=value))
    assert writer.close()
    events = read_journal(tmp_path / "a.jsonl").events
    assert [event["set"]["hop"] for event in events] == values.tolist()


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
        ("[1]", "expected object, got array"),
        ('{"x":' + "[" * 100_000, "nested too deeply"),
        ('{"at": 1}', "an event is one of"),
        ('{"at": 1, "set": {}, "underrun": 2}', "an event is one of"),
        ('{"set": {}}', "missing required field at"),
        ('{"at": -1, "set": {}}', "at: expected int >= 0"),
        ('{"at": 1.5, "set": {}}', "at: expected int, got float"),
        ('{"at": true, "set": {}}', "at: expected int, got bool"),
        ('{"at": ' + 400 * "9" + ', "set": {}}', "at: expected int"),
        ('{"at": 1, "set": {"hop": NaN}}', "not JSON"),
        ('{"at": 1, "set": {"hop": 1e999}}', "number out of range"),
        ('{"at": 1, "set": {"hop": "\\ud800"}}', "not JSON"),
        ('{"at": 1, "set": {"hop": [1]}}', "set.*got array"),
        ('{"at": 1, "set": [1]}', "set: expected object"),
        ('{"at": 1, "command": 5}', "command: expected str"),
        ('{"at": 1, "command": "go", "args": [[]]}', "args.*got array"),
        ('{"at": 1, "heard": "x", "set": {}}', "heard: expected int"),
        ('{"at": 1, "underrun": "x"}', "underrun: expected int"),
        ("\xff\xfe", "not JSON"),
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
        ({"latent_journal": 1}, "format 1, .* reads format 2; .* an older version"),
        ({"latent_journal": 3}, "format 3, .* reads format 2; .* a newer version"),
        ({"latent_journal": None}, "expected int, got null"),
        ({"seed": "7"}, "seed: expected int, got str"),
        ({"seed": -1}, "seed: expected int >= 0"),
        ({"sample_rate": 0}, "sample_rate: expected int >= 1000"),
        ({"controls": {"hop": [1]}}, "controls.*got array"),
        ({"effects": "rain"}, "effects: expected array"),
        ({"effects": ["rain"] * 10_001}, "effects: expected array of length"),
        ({"duration": "90"}, "duration: expected float"),
        ({"pid": 1 << 40}, "pid: expected int"),
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


def test_a_field_that_is_not_known_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 0)
    row = json.loads(path.read_text()) | {"weather": "rain"}
    path.write_text(json.dumps(row) + "\n")
    assert read_journal(path).header.seed == HEADER.seed


def test_the_name_of_a_file_may_be_no_utf_8(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "a.jsonl", HEADER)
    writer.event({"at": 1, "recording": {"file": "a\udcff.flac"}})
    assert writer.close()
    (event,) = read_journal(tmp_path / "a.jsonl").events
    assert event["recording"] == {"file": "a?.flac"}


def test_a_session_ends_where_it_said_so_whatever_was_noted_ahead() -> None:
    ahead: JournalEvent = {"at": 900, "command": "effects/only", "args": []}
    tick: JournalEvent = {"at": 500, "command": "tick"}
    lost: JournalEvent = {"at": 520, "underrun": 2}
    end: JournalEvent = {"at": 600, "command": "end"}
    assert session_end([tick, lost, ahead, end]) == 600
    assert session_end([tick, lost, ahead]) == 520, "killed"
    assert session_end([ahead]) == 900
    assert session_end([]) == 0


def test_where_a_replay_cannot_be_what_was_heard_is_told() -> None:
    events: list[JournalEvent] = [
        {"at": 48_000, "command": "next"},
        {"at": 96_000, "lost": 3},
        {"at": 144_000, "recording": {"gap": 480}},
        {"at": 150_000, "recording": {"state": "end", "file": "a.flac"}},
    ]
    assert differences(events[:1], 48_000) == []
    assert differences(events, 48_000) == [
        "from 2.0 s on, as 3 changes were not noted",
        "the recording lacks 480 samples at 3.0 s",
    ]
    assert differences([], 48_000, "0.1.9") == [
        f"perhaps anywhere, as 0.1.9 played it, not {VERSION}"
    ]


def test_what_concealed_the_music_is_read_and_checked(tmp_path: Path) -> None:
    bands = base64.b64encode(np.full(AXIS.n_bands, 0.25, "<f4").tobytes()).decode()
    begin: ConcealRow = {
        "music": False,
        "gain": 0.5,
        "position": 90,
        "clarity": 0.8,
    }
    rows: list[JournalEvent] = [
        {"at": 100, "conceal": {**begin, "bands": bands}},
        {"at": 200, "conceal": {"music": True}},
        {"at": 300, "conceal": begin},
    ]
    turns = [edit.turn for edit in edits_of(rows, 2.0)]
    assert [turn.rises for turn in turns if turn] == [False, True, False]
    assert [turn.begins for turn in turns if turn] == [True, False, True]
    for turn in (turns[0], turns[2]):
        assert turn is not None
        assert turn.recipe is not None
        assert turn.recipe.position == 90, "phases are drawn from it, at any rate"
        np.testing.assert_array_equal(turn.recipe.bands, np.float32(0.25))
    path = write(tmp_path / "a.jsonl", 0)
    path.write_bytes(path.read_bytes() + b'{"at": 1, "conceal": {"gain": 1}}\n')
    with pytest.raises(InputError, match="missing required field music"):
        read_journal(path)
    for bad in (bands[:-8], "!", base64.b64encode(b"\xff" * 4932).decode()):
        event: JournalEvent = {"at": 1, "conceal": {**begin, "bands": bad}}
        with pytest.raises(InputError, match="is no sound"):
            edits_of([event])


def test_files_that_are_no_journal(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_journal(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="is a folder"):
        read_journal(tmp_path)
    long = tmp_path / "long.jsonl"
    long.write_bytes(b'"' + b"x" * (2 << 20))
    with pytest.raises(InputError, match=r"line 1: over \d+ bytes"):
        read_journal(long)
    with pytest.raises(RunError, match="cannot be written"):
        JournalWriter(write(tmp_path / "a.jsonl"), HEADER)


def test_a_killed_process_leaves_all_but_the_last_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    pid = os.fork()
    if pid == 0:
        try:
            writer = JournalWriter(path, HEADER)
            for at in range(10_000_000):
                writer.event(change(at, hop=0.5))
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
    monkeypatch.setattr("engine.offline.journal_writer.QUEUE", 100)
    go_on = threading.Event()
    writer = JournalWriter(tmp_path / "a.jsonl", HEADER)
    write_row = writer._write

    def slow(row: dict[str, object]) -> None:
        assert go_on.wait(20)
        write_row(row)

    monkeypatch.setattr(writer, "_write", slow)
    before = time.monotonic()
    for at in range(1000):
        writer.event(change(at))
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
        writer.event(change(at))
    assert not writer.close()
    assert len(lines) == 1
    assert lines[0].endswith("the journal ends here (No space left on device)")


def test_an_event_that_is_no_json_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    lines: list[str] = []
    writer = JournalWriter(tmp_path / "a.jsonl", HEADER, lines.append)
    writer.event(change(1, hop=float("nan")))
    writer.event(change(2, hop=object()))
    writer.event(change(3, hop=1.0))
    assert writer.close()
    writer.event(change(4, hop=1.0))
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


def test_old_journals_take_little_room(tmp_path: Path) -> None:
    """Weeks under a controller that never rests make long ones."""
    for number in range(6):
        path = tmp_path / f"session-2026010{number + 1}T000000Z.jsonl"
        path.write_bytes(bytes(1000 if number < 5 else 5000))
        os.utime(path, (number, number))
    for room, left in ((8500, 4), (7500, 3), (10, 1), (0, 1)):
        new_journal_path(tmp_path, keep_bytes=room)
        names = sorted(path.name for path in tmp_path.glob("*.jsonl"))
        assert len(names) == left
        assert names[-1] == "session-20260106T000000Z.jsonl"
    (tmp_path / "session-20260107T000000Z.jsonl").write_bytes(bytes(20))  # now
    os.utime(tmp_path / names[-1])
    new_journal_path(tmp_path, keep_bytes=0)
    assert len(list(tmp_path.glob("*.jsonl"))) == 2, "both may be of sessions that play"


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
    with pytest.raises(RunError, match="cannot be written"):
        begin_journal(HEADER, lambda line: None, tmp_path / "file" / "folder")
