"""Adding recordings: each is prepared or refused with a reason, and none twice."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from effects.audio.levels import Samples
from effects.base.errors import InputError
from effects.generators import GENERATORS
from effects.shelf import intake
from effects.shelf.intake import Outcome, add, credits_of
from effects.shelf.library import Library
from tests.support import audio
from tests.support.command import ROOT, environment

RATE = 44_100


@pytest.fixture
def shelf(tmp_path: Path) -> Library:
    return Library(tmp_path / "data", tmp_path / "cache")


def _nature(path: Path, name: str = "rain", seconds: float = 12.0) -> None:
    samples = 0.05 * GENERATORS[name].render(RATE, seed=4, seconds=seconds)
    soundfile.write(path, samples, RATE)


def _speech(seconds: float, rng: np.random.Generator) -> Samples:
    """A voice: four syllables a second, each of two formants over a falling pitch."""
    n = RATE // 4
    time_s = np.arange(n) / RATE
    syllables = []
    for number in range(round(4 * seconds)):
        pitch = 120.0 * (1.2 - 0.4 * (number % 8) / 8) * rng.uniform(0.95, 1.05)
        first, second = rng.uniform(300.0, 800.0), rng.uniform(900.0, 2_300.0)
        voice = np.zeros(n)
        for harmonic in pitch * np.arange(1, 25):
            level = sum(
                1.0 / (1.0 + ((harmonic - hz) / 90.0) ** 2) for hz in (first, second)
            )
            voice += level * np.sin(2 * np.pi * harmonic * time_s)
        pause = number % 8 == 7
        syllables.append(0.0 * voice if pause else voice * np.hanning(n))
    joined = np.concatenate(syllables)
    return np.asarray(0.3 * joined / np.max(np.abs(joined)), np.float32)


def _mixed_folder(folder: Path) -> Path:
    """What a user's folder holds: nature, speech, music, and rubbish."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    _nature(folder / "Brook 1.flac", "stream")
    _nature(folder / "wind.ogg", "wind", 20.0)
    (folder / "wind.txt").write_text("Author: Someone\nLicense: CC0\n")
    time_s = np.arange(12 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (220.0, 277.2, 329.6))
    soundfile.write(folder / "music.wav", 0.1 * chord, RATE)
    soundfile.write(folder / "speech.wav", _speech(12.0, rng), RATE)
    soundfile.write(folder / "short.wav", 0.1 * rng.standard_normal(RATE), RATE)
    soundfile.write(folder / "silent.flac", np.zeros(9 * RATE), RATE)
    clipped = np.clip(rng.standard_normal(9 * RATE) * 2, -1, 1)
    soundfile.write(folder / "loud.wav", clipped, RATE)
    (folder / "zero.wav").touch()
    (folder / "text.mp3").write_text("no sound at all")
    (folder / "foreign.m4a").write_bytes(b"\0" * 100)
    (folder / "copy.flac").write_bytes((folder / "Brook 1.flac").read_bytes())
    os.mkfifo(folder / "pipe.wav")
    return folder


@pytest.mark.slow
def test_a_mixed_folder_is_prepared_or_refused_with_reasons(
    tmp_path: Path, shelf: Library
) -> None:
    folder = _mixed_folder(tmp_path / "in")
    seen: list[tuple[int, int, Outcome]] = []
    report = add([folder], shelf, workers=2, progress=lambda *step: seen.append(step))
    kinds = {o.path.name: o for o in report.outcomes}
    reasons = {o.path.name: o.reason for o in report.of_kind("refused")}
    assert set(reasons) >= {
        *("short.wav", "silent.flac", "loud.wav", "zero.wav"),
        *("text.mp3", "foreign.m4a"),
    }
    assert "short" in reasons["short.wav"]
    assert "silent" in reasons["silent.flac"]
    assert "clipped" in reasons["loud.wav"]
    assert "empty" in reasons["zero.wav"]
    assert "pipe.wav" not in kinds
    assert kinds["speech.wav"].mode == "loop"  # scattered, it would be babble
    same = kinds["Brook 1.flac"], kinds["copy.flac"]
    assert {o.kind for o in same} == {"added", "refused"}
    assert all(o.reason or o.name for o in report.outcomes)
    for outcome in report.of_kind("added"):
        loop = shelf.load(outcome.name, 48_000)
        assert audio.lufs(loop.samples, 48_000) == pytest.approx(-30.0, abs=0.5)
    credit = shelf.entry(kinds["wind.ogg"].name).credit
    assert credit == {"author": "Someone", "license": "CC0"}
    assert [(done, total) for done, total, _ in seen] == [
        (i + 1, len(report.outcomes)) for i in range(len(report.outcomes))
    ]
    again = add([folder], shelf, workers=2)
    assert {o.name for o in again.of_kind("unchanged")} == {
        o.name for o in report.of_kind("added")
    }
    assert not again.of_kind("added")


def test_a_killed_run_leaves_no_process_and_goes_on_later(
    tmp_path: Path,
) -> None:
    folder, home = tmp_path / "in", tmp_path / "home"
    folder.mkdir()
    rng = np.random.default_rng(3)
    names = [f"noise-{i}" for i in range(5)]
    for name in names:
        noise = 0.05 * rng.standard_normal((20 * RATE, 2))
        soundfile.write(folder / f"{name}.wav", noise, RATE)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "engine.cli.main", "effects", "add", str(folder)),
            *("--mode", "loop", "--workers", "1"),
        ],
        cwd=ROOT,
        env=environment(home),
        stderr=subprocess.DEVNULL,
    )
    shelf = home / "data" / "effects"
    deadline = time.monotonic() + 60.0
    while not list(shelf.glob("noise-*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert children
    assert not psutil.wait_procs(children, timeout=10.0)[1]
    done = {path.stem: path.stat().st_mtime_ns for path in shelf.glob("*.json")}
    assert 0 < len(done) < len(names)
    stale = shelf / ".latent-0123456789abcdef.flac"
    stale.touch()
    os.utime(stale, (0, 0))
    second = add([folder], Library(shelf, tmp_path / "cache"), mode="loop", workers=2)
    assert {o.name for o in second.of_kind("unchanged")} == set(done)
    assert {o.name for o in second.of_kind("added")} == set(names) - set(done)
    assert all((shelf / f"{n}.json").stat().st_mtime_ns == t for n, t in done.items())
    assert not stale.exists()


def _crash(job: intake._Job) -> Outcome:
    """In a child process: what a broken decoder does to it on one file."""
    if "bad" in job.path:
        os.abort()
    return Outcome(Path(job.path), "added", job.name)


def test_a_file_that_crashes_its_reader_takes_no_other_with_it(
    tmp_path: Path, shelf: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.wav", "bad.wav", "c.wav"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(intake, "_work", _crash)
    report = add([tmp_path], shelf, workers=1)
    assert [o.kind for o in report.outcomes] == ["added", "refused", "added"]
    assert "crashes" in report.outcomes[1].reason


def test_a_sidecar_that_cannot_be_looked_for_is_none(
    tmp_path: Path, shelf: Library
) -> None:
    """A name of 255 bytes is legal, but with another ending it would be longer."""
    (tmp_path / "in").mkdir()
    sounds = {"a": "wind", "n" * 251: "stream", "\u96e8": "rain"}
    for name, sound in sounds.items():
        _nature(tmp_path / "in" / f"{name}.wav", sound, 8.0)
    report = add([tmp_path / "in"], shelf, workers=1)
    assert {o.kind for o in report.outcomes} == {"added"}, report
    assert set(shelf.added()) == {"a", "n" * intake.LONGEST_NAME, "\u96e8"}
    assert shelf.load("\u96e8", 44_100).name == "\u96e8"


def test_names_are_plain_and_free(shelf: Library) -> None:
    taken = {"rain", "a-b"}
    assert intake._free_name("Rain", taken) == "rain-2"
    assert intake._free_name("../../A  b!", taken) == "a-b-2"
    assert intake._free_name("\u96e8", taken) == "\u96e8"
    assert intake._free_name("\u0414\u043e\u0436\u0434\u044c 2", taken) == (
        "\u0434\u043e\u0436\u0434\u044c-2"
    )
    assert intake._free_name("\u092c\u093e\u0930\u093f\u0936", taken) == (
        "\u092c\u093e\u0930\u093f\u0936"  # with its vowel signs
    )
    assert intake._free_name("e\u0301te\u0301", taken) == "\u00e9t\u00e9"
    assert intake._free_name("!?", taken) == "effect"
    assert len(intake._free_name("x" * 300, taken)) <= intake.LONGEST_NAME


def test_a_texture_is_made_where_it_is_asked_for(tmp_path: Path) -> None:
    _nature(tmp_path / "x.wav", "stream", 8.0)
    assert intake.prepare(tmp_path / "x.wav", "x", "loop").mode == "loop"
    loop = intake.prepare(tmp_path / "x.wav", "x", "texture")
    assert loop.mode == "texture"
    assert loop.seconds > 60.0


def test_a_core_prepares_far_faster_than_real_time(tmp_path: Path) -> None:
    samples = 0.05 * GENERATORS["wind"].render(RATE, seed=4, seconds=50.0)
    soundfile.write(tmp_path / "x.flac", np.tile(samples, (4, 1)), RATE)
    intake.prepare(tmp_path / "x.flac", "x")  # imports what it needs
    begin = time.process_time()
    intake.prepare(tmp_path / "x.flac", "x")
    assert 200.0 / (time.process_time() - begin) > 15.0  # each of two cores


def test_what_is_not_there_is_an_error_of_the_user(shelf: Library) -> None:
    with pytest.raises(InputError, match="no such"):
        add(["/nowhere"], shelf)
    with pytest.raises(InputError, match="mode"):
        add([], shelf, mode="magic")


def test_the_name_of_a_freesound_download_is_its_credit(tmp_path: Path) -> None:
    noise = 0.05 * np.random.default_rng(0).standard_normal((44_100, 2))
    path = tmp_path / "123456__user__light-rain.wav"
    soundfile.write(path, noise, 44_100)
    credit = credits_of(path)
    assert (credit["title"], credit["author"]) == ("light-rain", "user")
    assert credit["source"] == "https://freesound.org/people/user/sounds/123456/"
    path.with_suffix(".txt").write_text("author: Another\n")
    assert credits_of(path)["author"] == "Another"
