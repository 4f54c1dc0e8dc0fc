import contextlib
import os
import resource
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import mutagen.flac
import numpy as np
import pytest
import soundfile

from effects.audio.levels import Samples
from effects.audio.loudness import integrated_lufs
from effects.audio.replaygain import LoudnessMeter
from effects.base.errors import InputError, RunError
from engine.recording.naming import recording_path, safe_stem
from engine.recording.recorder import Recorder
from engine.recording.recovery import repair_flac
from tests.support.signals import noise
from tests.support.waiting import wait_until

RATE = 44_100
STEP = 2.0**-23  # of 24 bits


def music(seconds: float, seed: int = 1, amplitude: float = 0.1) -> Samples:
    """Noise on the grid of 24 bits, which a recording keeps to the bit."""
    samples = noise(seconds, RATE, np.random.default_rng(seed), amplitude=amplitude)
    rounded: Samples = (np.rint(samples / STEP) * STEP).astype(np.float32)
    return rounded


def record(
    target: Path,
    samples: Samples,
    *,
    block: int = 512,
    before_stop: Callable[[Recorder], None] = lambda recorder: None,
    **options: object,
) -> Recorder:
    """Record all of it as fast as the ring takes it."""
    options = {"reserve_bytes": 0, **options}
    recorder = Recorder(target, RATE, **options)  # type: ignore[arg-type]
    recorder.start()
    feed(recorder, samples, block)
    before_stop(recorder)
    assert recorder.stop()
    return recorder


def feed(recorder: Recorder, samples: Samples, block: int = 512) -> None:
    for start in range(0, len(samples), block):
        assert recorder.tap.write(samples[start : start + block])


def read(path: Path) -> Samples:
    samples: Samples = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return samples


def passes(path: Path) -> bool:
    command = ["flac", "-t", "-s", str(path)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_nothing_is_recorded_before_the_journal_knows_of_it(tmp_path: Path) -> None:
    samples = music(5.0)
    fed = known = 0
    ahead = []

    def feed_some() -> None:
        nonlocal fed
        fed += 882 * recorder.tap.write(samples[fed : fed + 882])

    def report() -> None:
        nonlocal known
        ahead.append(recorder.state().n_samples - known)
        feed_some()
        known = fed  # what was fed until here is in the journal from here on
        feed_some()

    recorder = Recorder(tmp_path / "a.flac", RATE, reserve_bytes=0, report=report)
    recorder.start()
    wait_until(lambda: len(ahead) >= 20)
    assert recorder.stop()
    assert max(ahead) <= 0
    np.testing.assert_array_equal(read(tmp_path / "a.flac"), samples[:fed])


def test_a_recording_is_what_was_played(tmp_path: Path) -> None:
    samples = music(2.0)
    recorder = record(
        tmp_path / "set.flac", samples, metadata={"title": "Été", "artist": "Latent"}
    )
    path = tmp_path / "set.flac"
    assert recorder.state().files == (path,)
    assert not recorder.state().active
    np.testing.assert_array_equal(read(path), samples)
    assert passes(path)
    assert [p.name for p in tmp_path.iterdir()] == ["set.flac"]
    with soundfile.SoundFile(path) as file:
        assert (file.subtype, file.title, file.artist) == ("PCM_24", "Été", "Latent")
        assert "~" not in file.comment


def test_full_scale_and_beyond_and_what_is_no_number(tmp_path: Path) -> None:
    samples = np.zeros((6000, 2), np.float32)
    samples[:6, 0] = [1.0, -1.0, 3.0, np.nan, np.inf, -np.inf]
    lines: list[str] = []
    recorder = record(tmp_path / "a.flac", samples, on_message=lines.append)
    kept = read(tmp_path / "a.flac")
    np.testing.assert_array_equal(kept[:6, 0], [1 - STEP, -1.0, 1 - STEP, 0, 0, 0])
    assert np.all(np.isfinite(kept))
    assert recorder.state().bad_samples == 3
    assert len(lines) == 1


@pytest.mark.parametrize("seconds", [1.0, 0.25, 0.1003, 0.021])
def test_segments_join_to_the_bit(tmp_path: Path, seconds: float) -> None:
    samples = music(1.7)
    recorder = record(tmp_path / "set.flac", samples, segment_seconds=seconds)
    files = recorder.state().files
    assert len(files) == -(-len(samples) // round(seconds * RATE))
    assert [p.name for p in files[:2]] == ["set.flac", "set-0002.flac"]
    assert list(files[1:]) == sorted(files[1:])
    np.testing.assert_array_equal(np.concatenate([read(p) for p in files]), samples)
    assert all(passes(path) for path in files)
    gains = {mutagen.flac.FLAC(p)["replaygain_album_gain"][0] for p in files}
    assert len(gains) == 1, "one level for all of the set"


def test_it_begins_at_the_sample_that_was_asked_for(tmp_path: Path) -> None:
    samples = music(0.5)
    position = 1_000_000
    rows: list[dict[str, object]] = []
    recorder = Recorder(
        tmp_path / "a.flac",
        RATE,
        position=lambda: position,
        on_event=lambda row: rows.append(dict(row)),
        reserve_bytes=0,
    )
    recorder.start(at=1_000_700)
    for start in range(0, len(samples), 512):
        position += len(samples[start : start + 512])
        recorder.tap.write(samples[start : start + 512])
    assert recorder.stop()
    assert recorder.state().first_sample == 1_000_700
    np.testing.assert_array_equal(read(tmp_path / "a.flac"), samples[700:])
    assert [row["at"] for row in rows] == [1_000_700, 1_000_000 + len(samples)]
    first = mutagen.flac.FLAC(tmp_path / "a.flac")["latent_first_sample"]
    assert first == ["1000700"]


def test_songs_are_chapters_in_tags_and_in_a_cue_sheet(tmp_path: Path) -> None:
    def add_chapters(recorder: Recorder) -> None:
        recorder.add_chapter("Second", 3 * RATE // 2)
        recorder.add_chapter('First "one"\n', 0)
        recorder.add_chapter("Third", 5 * RATE // 2)
        recorder.add_chapter("Never", 9 * RATE)

    recorder = record(
        tmp_path / "set.flac", music(3.0), segment_seconds=2.0, before_stop=add_chapters
    )
    tags = [mutagen.flac.FLAC(path) for path in recorder.state().files]
    assert tags[0]["chapter002"] == ["00:00:01.500"]
    assert tags[0]["chapter002name"] == ["Second"]
    assert "chapter003" not in tags[0]
    assert tags[1]["chapter001name"] == ["Second"], "the song that goes on"
    assert tags[1]["chapter002"] == ["00:00:00.500"]
    cue = (tmp_path / "set.cue").read_text()
    assert 'FILE "set.flac" WAVE' in cue
    assert "TITLE \"First 'one' \"\n    INDEX 01 00:00:00" in cue
    assert 'TITLE "Second"\n    INDEX 01 00:01:37' in cue
    assert (tmp_path / "set-0002.cue").exists()


def test_more_chapters_than_there_is_room_for(tmp_path: Path) -> None:
    def add_chapters(recorder: Recorder) -> None:
        for number in range(500):
            recorder.add_chapter(f"{number} " + 300 * "ü", number * 80)

    record(tmp_path / "a.flac", music(1.0), before_stop=add_chapters)
    assert passes(tmp_path / "a.flac")
    assert "replaygain_track_gain" in mutagen.flac.FLAC(tmp_path / "a.flac")


def test_replaygain_is_the_loudness_of_the_file(tmp_path: Path) -> None:
    samples = np.concatenate([music(3.0), music(3.0, amplitude=0.003)])
    record(tmp_path / "a.flac", samples)
    tags = mutagen.flac.FLAC(tmp_path / "a.flac")
    gain = float(tags["replaygain_track_gain"][0].removesuffix(" dB"))
    assert gain == pytest.approx(-18.0 - integrated_lufs(samples, RATE), abs=0.1)
    peak = float(tags["replaygain_track_peak"][0])
    assert peak == pytest.approx(float(np.max(np.abs(samples))), abs=1e-5)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
def test_the_meter_agrees_with_the_standards_filters(rate: int) -> None:
    rng = np.random.default_rng(5)
    low = np.cumsum(rng.standard_normal((12 * rate, 2)), axis=0).astype(np.float32)
    low -= low.mean(axis=0)
    low *= 0.1 / np.max(np.abs(low))  # mostly below the high-pass: the hard case
    rising = low * np.minimum(1.0, np.arange(len(low)) / rate)[:, None]
    # It begins with a jump of up to 0.1: the filters hear it, the window does not.
    abrupt, within = low, [0.1, 0.1, 0.25]
    signals = (noise(4.0, rate, rng), rising.astype(np.float32), abrupt)
    for samples, most in zip(signals, within, strict=True):
        meter = LoudnessMeter(rate)
        for start in range(0, len(samples), 4096):
            meter.add(samples[start : start + 4096])
        assert meter.lufs() == pytest.approx(integrated_lufs(samples, rate), abs=most)
    assert LoudnessMeter(rate).lufs() is None


def test_a_slow_disk_leaves_a_marked_silence_of_the_same_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = music(4.0)
    stalled, go_on = threading.Event(), threading.Event()
    write = soundfile.SoundFile.write

    def slow(file: soundfile.SoundFile, data: object) -> None:
        stalled.set()
        assert go_on.wait(20)
        write(file, data)

    monkeypatch.setattr(soundfile.SoundFile, "write", slow)
    lines: list[str] = []
    rows: list[dict[str, object]] = []
    recorder = Recorder(
        tmp_path / "a.flac",
        RATE,
        on_message=lines.append,
        on_event=lambda row: rows.append(dict(row)),
        reserve_bytes=0,
        buffer_s=1.0,
    )
    recorder.start()
    recorder.tap.write(samples[:512])
    assert stalled.wait(10)
    kept = np.zeros(len(samples), bool)
    kept[:512] = True
    for start in range(512, len(samples) // 2, 512):
        kept[start : start + 512] = recorder.tap.write(samples[start : start + 512])
    assert not kept[: len(samples) // 2].all()
    middle = len(samples) // 2 // 512 * 512 + 512
    kept[:middle] &= kept[:middle]
    go_on.set()
    wait_until(lambda: recorder.tap.available == 0)
    for start in range(middle, len(samples), 512):
        wait_until(lambda: recorder.tap.available < RATE // 2)
        kept[start : start + 512] = recorder.tap.write(samples[start : start + 512])
    assert recorder.stop()
    expected = np.where(kept[:, None], samples, np.float32(0.0))
    np.testing.assert_array_equal(read(tmp_path / "a.flac"), expected)
    n_lost = int(np.count_nonzero(~kept))
    assert recorder.state().dropped == n_lost
    gap_at = int(np.flatnonzero(~kept)[0])
    tags = mutagen.flac.FLAC(tmp_path / "a.flac")
    assert tags["latent_gap"] == [f"{gap_at} {n_lost}"]
    assert (
        f"REM LATENT_GAP sample {gap_at} length {n_lost}"
        in (tmp_path / "a.cue").read_text()
    )
    assert {"at": gap_at, "recording": {"gap": n_lost}} in rows
    assert any(f"{n_lost} samples" in line for line in lines)


def test_a_disk_that_is_slow_to_sync_keeps_no_sound_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.recording.recorder.SYNC_S", 0.0)
    go_on = threading.Event()
    monkeypatch.setattr("os.fsync", lambda descriptor: go_on.wait(20))
    recorder = Recorder(tmp_path / "a.flac", RATE, reserve_bytes=0, segment_seconds=0.5)
    recorder.start()
    samples = music(1.2)
    feed(recorder, samples)
    wait_until(lambda: recorder.state().n_samples == len(samples))
    assert len(recorder.state().files) == 2
    go_on.set()
    assert recorder.stop()


def test_what_a_power_cut_leaves_is_what_was_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk may hold of a file what it held when it was synced last."""
    monkeypatch.setattr("engine.recording.recorder.SYNC_S", 0.3)
    on_disk: list[tuple[str, bytes]] = []  # each file as it was when it was synced

    def fsync(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        on_disk.append((path.name, path.read_bytes() if path.is_file() else b""))

    monkeypatch.setattr("os.fsync", fsync)
    recorder = Recorder(tmp_path / "a.flac", RATE, reserve_bytes=0)
    recorder.start()
    samples = music(3.0)
    for begin in range(0, len(samples), RATE // 10):
        feed(recorder, samples[begin : begin + RATE // 10])
        time.sleep(0.1)
    held = [content for name, content in on_disk if name.startswith("a.flac")]
    assert len(held) > 3, "it is synced while it is recorded"
    assert ("", b"") not in on_disk
    assert tmp_path.name in {name for name, _ in on_disk}, "and so is its folder"
    assert recorder.stop()
    whole = read(tmp_path / "a.flac")
    for number, content in enumerate(held[1:]):
        left = tmp_path / f"left-{number}.flac"
        left.write_bytes(content)
        repair_flac(left)
        found = read(left)
        assert np.array_equal(found, whole[: len(found)])
    assert len(found) > RATE, "all but the last moments"


def test_a_gap_at_the_very_end_counts(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.flac", RATE, reserve_bytes=0, buffer_s=0.1)
    recorder.start()
    recorder.tap.write(np.full((100, 2), 0.5, np.float32))
    assert not recorder.tap.write(np.full((RATE, 2), 0.5, np.float32))
    assert recorder.stop()
    assert len(read(tmp_path / "a.flac")) == 100 + RATE


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "set.flac").write_bytes(b"mine")
    (tmp_path / "set-2.flac.partial").write_bytes(b"mine")
    (tmp_path / "set-3.cue").write_bytes(b"mine")
    recorder = record(tmp_path / "set.flac", music(0.1))
    assert recorder.state().files == (tmp_path / "set-4.flac",)
    other = record(tmp_path, music(0.1))
    assert other.state().files[0].name.startswith("latent-2")
    twins = [Recorder(tmp_path / "t.flac", RATE, reserve_bytes=0) for _ in range(2)]
    for twin in twins:
        twin.start()
        feed(twin, music(0.1))
    assert all(twin.stop() for twin in twins)
    assert {p.name for twin in twins for p in twin.state().files} == {
        "t.flac",
        "t-2.flac",
    }


@pytest.mark.parametrize(
    ("given", "stem"),
    [
        ("a/b\\c:d", "a_b_c_d"),
        ("\x1b[31m\n", "_[31m_"),
        ("CON", "_CON"),
        ("  . ", "recording"),
        ("ü" * 200, "ü" * 100),
        ("\udcff", "?".replace("?", "_")),
    ],
)
def test_names_are_safe(given: str, stem: str) -> None:
    assert safe_stem(given) == stem


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"recordings are FLAC"):
        recording_path(tmp_path / "set.wav")


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot record there"):
        Recorder(tmp_path / "file" / "a.flac", RATE).start()
    with pytest.raises(RunError, match="disk full"):
        Recorder(tmp_path / "a.flac", RATE, reserve_bytes=10**18).start()
    with pytest.raises(InputError, match="takes no 9 channels"):
        Recorder(tmp_path / "a.flac", RATE, 9, reserve_bytes=0).start()
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_fills_ends_the_recording_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.recording.recorder.SYNC_S", 0.0)
    lines: list[str] = []
    recorder = Recorder(
        tmp_path / "a.flac", RATE, on_message=lines.append, reserve_bytes=1000
    )
    recorder.start()
    full = os.statvfs_result((4096, 4096, 1, 0, 0, 1, 1, 1, 0, 255))
    samples = music(1.0)
    feed(recorder, samples[:22_050])
    wait_until(lambda: recorder.tap.available == 0)
    with monkeypatch.context() as patch:
        patch.setattr("os.statvfs", lambda path: full)
        recorder.tap.write(samples[22_050:])
        wait_until(lambda: not recorder.state().active)
    assert not recorder.tap.write(samples), "a tap that is closed takes nothing"
    assert not recorder.stop()
    assert len(lines) == 1
    assert "disk full" in lines[0]
    kept = read(tmp_path / "a.flac")
    np.testing.assert_array_equal(kept, samples[: len(kept)])
    assert len(kept) >= 22_050
    assert passes(tmp_path / "a.flac")


def test_a_write_that_fails_leaves_a_whole_file(tmp_path: Path) -> None:
    # A limit on file size acts as a full disk does, and needs no mount.
    code = f"""
        import resource, sys
        import numpy as np
        from pathlib import Path
        from engine.recording.recorder import Recorder
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        rng = np.random.default_rng(3)
        samples = (rng.integers(-2**22, 2**22, (200_000, 2)) / 2**23)
        recorder = Recorder(Path({str(tmp_path)!r}) / "a.flac", 44100,
                            on_message=print, reserve_bytes=0)
        recorder.start()
        for start in range(0, len(samples), 512):
            recorder.tap.write(samples[start:start + 512].astype(np.float32))
        assert not recorder.stop()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert "writing failed (File too large); recording stopped; kept" in done.stdout
    assert passes(tmp_path / "a.flac")
    kept = read(tmp_path / "a.flac")
    rng = np.random.default_rng(3)
    samples = rng.integers(-(2**22), 2**22, (200_000, 2)) / 2**23
    np.testing.assert_array_equal(kept, samples[: len(kept)])
    assert len(kept) * 6 > 400_000


def test_a_full_file_system_is_told_as_such(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(mount)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        # Without the right to mount, the limit on file size above has to do.
        assert os.geteuid() != 0 or not os.path.ismount(mount)
        return
    try:
        lines: list[str] = []
        recorder = Recorder(
            mount / "a.flac", RATE, on_message=lines.append, reserve_bytes=0
        )
        recorder.start()
        samples = music(4.0)
        feed(recorder, samples)
        assert not recorder.stop()
        assert len(lines) == 1
        assert lines[0].startswith(f"disk full: {mount}/a.flac")
        kept = read(mount / "a.flac")
        np.testing.assert_array_equal(kept, samples[: len(kept)])
        assert len(kept) > RATE
        assert passes(mount / "a.flac")
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_folder_that_is_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.recording.recorder.SYNC_S", 0.0)
    lines: list[str] = []
    folder = tmp_path / "sets"
    recorder = Recorder(
        folder / "a.flac", RATE, on_message=lines.append, reserve_bytes=0
    )
    recorder.start()
    samples = music(2.0)
    feed(recorder, samples[:RATE])
    wait_until(lambda: recorder.state().n_samples == RATE)
    shutil.rmtree(folder)
    feed(recorder, samples[RATE:])
    assert recorder.stop()
    parts = [read(path) for path in recorder.state().files]
    np.testing.assert_array_equal(np.concatenate(parts), samples)
    assert len(lines) == 1
    assert "the folder was removed" in lines[0]


def open_files() -> set[tuple[str, str]]:
    """Number and target of every open file descriptor."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the listing itself
            found.add((name, os.readlink(f"/proc/self/fd/{name}")))
    return found


def test_started_and_stopped_a_thousand_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    fds, threads = open_files(), set(threading.enumerate())
    recorded = music(0.02)
    for number in range(1000):
        recorder = Recorder(tmp_path / "a.flac", RATE, reserve_bytes=0, buffer_s=1.0)
        recorder.start()
        if number % 100 == 0:
            recorder.tap.write(recorded)
        assert recorder.stop()
    # What others have opened or ended meanwhile is no matter.
    assert open_files() - fds == set()
    assert set(threading.enumerate()) - threads == set()
    assert len(list(tmp_path.iterdir())) == 10, "what recorded nothing leaves nothing"


def test_too_few_descriptors_are_told(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(used)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(opened) + 1, hard))
        with pytest.raises(InputError, match="Too many open files"):
            Recorder(tmp_path / "a.flac", RATE, reserve_bytes=0).start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in opened:
            os.close(descriptor)


@pytest.mark.parametrize("place", ["soundfile.SoundFile", "threading.Thread.start"])
def test_a_signal_while_it_starts_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupted)
    recorder = Recorder(tmp_path / "a.flac", RATE, reserve_bytes=0)
    with pytest.raises(KeyboardInterrupt):
        recorder.start()
    assert list(tmp_path.iterdir()) == []
