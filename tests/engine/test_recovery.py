import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from numpy.typing import NDArray

from effects.base.errors import InputError, RunError
from engine.cli.recover import recover
from engine.recording import flac
from engine.recording.file_lock import try_lock
from engine.recording.recovery import find_unfinished, repair_all, repair_flac
from engine.recording.segment import FlacSegment

RATE = 44_100
LENGTH_AT, MD5_AT = 18, 26  # of the sample count and the checksum in the file


def noise(n_samples: int, seed: int = 1) -> NDArray[np.int32]:
    """24-bit noise in the upper bits of 32, shape (n_samples, 2)."""
    rng = np.random.default_rng(seed)
    return (rng.integers(-(2**20), 2**20, (n_samples, 2)) << 8).astype(np.int32)


def write(path: Path, audio: NDArray[np.int32], *, killed: bool = False) -> Path:
    soundfile.write(path, audio, RATE, "PCM_24", format="FLAC")
    if killed:
        forget_length(path)
    return path


def forget_length(path: Path) -> None:
    """Leave the header as libFLAC writes it first, before it knows anything."""
    data = bytearray(path.read_bytes())
    data[12:18] = bytes(6)
    data[LENGTH_AT + 3] &= 0xF0
    data[LENGTH_AT + 4 : MD5_AT + 16] = bytes(20)
    path.write_bytes(data)


def read(path: Path) -> NDArray[np.int32]:
    samples: NDArray[np.int32] = soundfile.read(path, dtype="int32", always_2d=True)[0]
    return samples


def passes(path: Path) -> bool:
    command = ["flac", "-t", "-s", str(path)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def frame_ends(data: bytes) -> list[int]:
    """Where each frame of an undamaged file ends."""
    info = flac.StreamInfo.parse(data[8:])
    start = flac.metadata_end(data)
    assert info is not None
    assert start is not None
    starts = [at for at in range(start, len(data)) if flac.frame_header(data, at, info)]
    return [*starts[1:], len(data)]


def test_the_unfinished_header_is_one_that_no_reader_takes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(10_000), killed=True)
    with pytest.raises((ValueError, soundfile.LibsndfileError)):
        soundfile.read(path)


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: thousands of files take no disk time."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_cut_at_every_byte_all_whole_frames_stay(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path = memory_path
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    audio = noise(3 * 4096 + 1000)[:, :1] >> 26 << 8  # few bits, few bytes to cut at
    data = write(tmp_path / "a.flac", audio, killed=True).read_bytes()
    ends = frame_ends(data)
    assert len(ends) == 4
    path = tmp_path / "cut.flac"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        if 0 < length < 4:
            assert repair_flac(path).status == "empty"
            continue
        whole = sum(end <= length for end in ends)
        repair = repair_flac(path)
        assert repair.n_samples == min(4096 * whole, len(audio)), length
        if not whole:
            assert repair.status == "empty"
            assert path.read_bytes() == data[:length], "left as it was"
            continue
        after = path.read_bytes()
        assert len(after) == ends[whole - 1]
        if length in ends or length % 97 == 0:
            np.testing.assert_array_equal(read(path), audio[: repair.n_samples])
            assert repair_flac(path).status == "whole"
            assert path.read_bytes() == after, "a second repair changes nothing"
        if length in ends or length - 1 in ends:
            assert passes(path)


@pytest.mark.parametrize("in_place", [False, True])
def test_a_finished_file_cut_short_is_whole_again(
    tmp_path: Path, in_place: bool
) -> None:
    audio = noise(50_000)
    path = write(tmp_path / "a.flac", audio)
    path.write_bytes(path.read_bytes()[:-3000])
    repair = repair_flac(path, in_place=in_place)
    assert (repair.status, repair.n_samples) == ("repaired", 49_152)
    assert passes(path)
    np.testing.assert_array_equal(read(path), audio[:49_152])
    assert [p.name for p in tmp_path.iterdir()] == ["a.flac"]


def test_a_whole_file_is_not_touched(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(20_000))
    path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))  # what taggers append
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    repair = repair_flac(path)
    assert (repair.status, repair.n_samples, repair.cut_bytes) == ("whole", 20_000, 0)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("tail", [bytes(5000), b"\xff\xf8" * 500, b"\xff"])
def test_what_is_no_frame_is_cut(tmp_path: Path, tail: bytes) -> None:
    audio = noise(9000)
    path = write(tmp_path / "a.flac", audio, killed=True)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + tail)
    repair = repair_flac(path)
    assert (repair.n_samples, repair.cut_bytes) == (9000, len(tail))
    assert path.stat().st_size == size
    assert passes(path)


def test_silence_whose_frames_are_a_few_bytes(tmp_path: Path) -> None:
    audio = np.zeros((1_000_000, 2), np.int32)
    path = write(tmp_path / "a.flac", audio, killed=True)
    path.write_bytes(path.read_bytes()[:-2])
    repair = repair_flac(path)
    assert repair.n_samples == 1_000_000 // 4096 * 4096
    assert passes(path)


def test_sound_behind_a_hole_is_kept_beside(tmp_path: Path) -> None:
    audio = noise(100_000)
    path = write(tmp_path / "a.flac", audio, killed=True)
    data = bytearray(path.read_bytes())
    ends = frame_ends(bytes(data))
    data[ends[9] + 2000 : ends[9] + 2500] = bytes(500)
    path.write_bytes(data)
    repair = repair_flac(path)
    assert repair.n_samples == 10 * 4096
    np.testing.assert_array_equal(read(path), audio[: 10 * 4096])
    assert (tmp_path / "a.flac.damaged").read_bytes() == data
    assert "a.flac.damaged" in repair.line


def test_many_frames_and_more_than_one_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.recording.frame_scan.WINDOW", 100_000)
    audio = noise(300 * 4096 + 1)
    path = write(tmp_path / "a.flac", audio, killed=True)
    assert repair_flac(path).n_samples == len(audio)  # numbers of one and two bytes
    np.testing.assert_array_equal(read(path), audio)


def test_a_full_disk_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = noise(50_000)
    path = write(tmp_path / "a.flac", audio, killed=True)
    path.write_bytes(path.read_bytes()[:-100])

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        calls = iter([full])
        patch.setattr(
            "os.fsync", lambda descriptor: next(calls, lambda d: None)(descriptor)
        )
        repair = repair_flac(path)
    assert repair.n_samples == 49_152
    assert passes(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.flac"]


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", "empty"), (b"fL", "empty"), (b"fLaC", "empty"), (b"fLaC" + bytes(90), "")],
)
def test_too_little_to_repair(tmp_path: Path, content: bytes, status: str) -> None:
    path = tmp_path / "a.flac"
    path.write_bytes(content)
    assert repair_flac(path).status == "empty"
    assert path.read_bytes() == content


def test_other_files_are_refused(tmp_path: Path) -> None:
    wav = tmp_path / "a.flac"
    wav.write_bytes(b"RIFF....WAVE")
    with pytest.raises(InputError, match=r"a\.flac: not a FLAC file"):
        repair_flac(wav)
    with pytest.raises(InputError, match="no such file"):
        repair_flac(tmp_path / "none.flac")
    link = tmp_path / "link.flac"
    link.symlink_to(write(tmp_path / "b.flac", noise(100)))
    with pytest.raises(InputError, match="no such file"):
        repair_flac(link)


def test_partial_files_get_their_name_and_overwrite_nothing(tmp_path: Path) -> None:
    kept = write(tmp_path / "set.flac", noise(100, seed=2)).read_bytes()
    write(tmp_path / "set.flac.partial", noise(5000), killed=True)
    (tmp_path / "set.mp3.partial").write_bytes(b"not ours")
    lines: list[str] = []
    (repair,) = repair_all(tmp_path, lines.append)
    assert repair.path == tmp_path / "set-2.flac"
    assert lines == [f"{tmp_path}/set-2.flac: repaired, 0:00.113"]
    assert (tmp_path / "set.flac").read_bytes() == kept
    assert passes(repair.path)
    assert not find_unfinished(tmp_path)


def test_a_recording_without_a_frame_goes_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "a.flac.partial").touch()
    blank = FlacSegment(tmp_path / "b.flac", RATE, 2)
    blank.set_tags([(flac.FIRST_SAMPLE, "0")])
    blank.write(noise(100))
    started = blank.partial.read_bytes()
    blank.discard()
    (tmp_path / "b.flac.partial").write_bytes(started + b"torn")
    for length in (1, 4, 30, 60, 20_000):
        torn = tmp_path / f"b-{length}.flac.partial"
        torn.write_bytes(started[:length])
    foreign = write(tmp_path / "c.flac.partial", noise(10))
    foreign.write_bytes(foreign.read_bytes()[:-1])
    (tmp_path / "d.flac.partial").write_bytes(b"something else")
    lines: list[str] = []
    repair_all(tmp_path, lines.append)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["c.flac.partial", "d.flac.partial"]
    assert [line.split(": ")[1] for line in lines] == [
        "holds no whole frame of sound; left as it is",
        "not a FLAC file",
    ]


def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "set.flac.partial", noise(5000), killed=True)
    with path.open("r+b") as writer:
        assert try_lock(writer.fileno())
        assert find_unfinished(tmp_path) == []
        with pytest.raises(RunError, match="being written"):
            repair_flac(path)
    assert find_unfinished(tmp_path) == [path]


def test_the_command_tells_of_each_file(tmp_path: Path) -> None:
    write(tmp_path / "good.flac", noise(5000))
    write(tmp_path / "cut.flac", noise(5000), killed=True)
    write(tmp_path / "set.flac.partial", noise(5000), killed=True)
    run = CliRunner().invoke
    result = run(recover, [str(tmp_path), "--json"], standalone_mode=False)
    rows = json.loads(result.output)
    assert [(row["file"], row["status"]) for row in rows] == [
        (str(tmp_path / "cut.flac"), "repaired"),
        (str(tmp_path / "set.flac"), "repaired"),
    ]
    result = run(recover, [str(tmp_path / "good.flac")], standalone_mode=False)
    assert (result.output, result.return_value) == (
        f"{tmp_path}/good.flac: whole, 0:00.113\n",
        0,
    )
    (tmp_path / "set.flac").write_bytes(b"fLaC")
    result = run(recover, [str(tmp_path / "set.flac")], standalone_mode=False)
    assert result.return_value == 1
    shutil.rmtree(tmp_path)
    result = run(recover, [str(tmp_path)], standalone_mode=False)
    assert isinstance(result.exception, InputError)
