"""Decisions about an album: by single keys, and never lost."""

import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest

from effects.audio.levels import Samples
from effects.base.errors import InputError, RunError
from engine.album.listen import Auditioner
from engine.album.review import Review, Verdict
from tests.support import audio
from tests.support.albums import planted_album
from tests.support.command import ROOT, environment, latent
from tests.support.virtual_audio import VirtualAudio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    planted_album(tmp_path / "album", songs=4, seconds=0.2, aside=1)
    return tmp_path / "album"


def keys(folder: Path, typed: str) -> "subprocess.CompletedProcess[str]":
    return latent("album", "review", folder, home=folder.parent, stdin=typed)


def verdicts(folder: Path) -> list[Verdict]:
    review = Review(folder)
    return [review.verdict(number) for number in (1, 2, 3, 4)]


def test_keys_keep_cut_name_and_undo(folder: Path) -> None:
    done = keys(folder, "nSea of Glass\nkck,n Grüße \nuq")
    assert done.returncode == 0, done.stderr
    assert verdicts(folder) == [
        Verdict(True, "Sea of Glass"),
        Verdict(False),
        Verdict(True),
        Verdict(),
    ]
    assert "2 kept, 1 cut, 1 not decided" in done.stdout
    assert "set aside: too loud" in done.stdout


def test_the_end_of_the_input_ends_the_review_and_it_goes_on_later(
    folder: Path,
) -> None:
    assert keys(folder, "k").returncode == 0
    done = keys(folder, "c")
    assert "[2/4] 002" in done.stdout.splitlines()[1]
    assert verdicts(folder)[:2] == [Verdict(True), Verdict(False)]


def test_arrows_move_without_deciding(folder: Path) -> None:
    done = keys(folder, "\x1b[C\x1b[C\x1b[D\x1b[Ak\x1b[Bq")
    assert done.returncode == 0, done.stderr
    assert verdicts(folder) == [Verdict(True), Verdict(), Verdict(), Verdict()]


def test_playing_without_a_device_says_so_and_the_review_goes_on(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engine.cli.main", "album", "review", str(folder)],
        cwd=ROOT,
        env={**environment(folder.parent), "PULSE_SERVER": "unix:/nowhere"},
        input="pk",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert "latent: " in done.stderr
    assert verdicts(folder)[0] == Verdict(True)


def test_p_plays_the_song_that_is_shown(folder: Path) -> None:
    song, _ = audio.load(folder / "002.flac")
    with VirtualAudio(44_100) as device, device.capture() as capture:
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli.main", "album", "review", str(folder)],
            cwd=ROOT,
            env={**environment(folder.parent), **device.env},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        assert process.stdin is not None
        process.stdin.write(b".p")
        process.stdin.flush()
        deadline = time.monotonic() + 30.0
        while len(capture.heard()) < len(song) - 10 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.communicate(b"q", timeout=30)
        assert process.returncode == 0
        heard = capture.heard()
    padded = np.pad(heard, ((100, len(song)), (0, 0)))
    delay = audio.align(padded, song, len(song))
    assert audio.residual_db(padded[delay : delay + len(song)], song) < -60.0


def test_a_named_song_is_a_kept_one(folder: Path) -> None:
    review = Review(folder)
    review.keep(1)
    review.name(3, "Third")
    assert [row.number for row in review.chosen()] == [1, 3]
    review.cut(3)
    assert [row.number for row in review.chosen()] == [1]
    review.name(3, "Third after all")
    assert [row.number for row in Review(folder).chosen()] == [1, 3]
    review.undo()
    assert review.verdict(3) == Verdict(False, "Third")


def test_undo_takes_back_one_decision_after_another(folder: Path) -> None:
    review = Review(folder)
    review.keep(1)
    review.name(1, "First")
    review.cut(1)
    assert review.verdict(1) == Verdict(False, "First")
    assert review.undo() == 1
    assert review.verdict(1) == Verdict(True, "First")
    assert review.undo() == 1
    assert review.undo() == 1
    assert review.undo() is None
    assert review.verdict(1) == Verdict() == Review(folder).verdict(1)


def test_a_kill_after_a_key_loses_nothing(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli.main", "album", "review", str(folder)],
        cwd=ROOT,
        env={**environment(folder.parent), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for key, said in (("k", b"001 kept"), ("c", b"002 cut")):
        process.stdin.write(key.encode())
        while not process.stdout.readline().startswith(said):
            assert process.poll() is None
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert verdicts(folder) == [Verdict(True), Verdict(False), Verdict(), Verdict()]


def test_a_torn_line_costs_only_itself(folder: Path) -> None:
    Review(folder).keep(1)
    with (folder / "decisions.jsonl").open("ab") as file:
        file.write(b'{"song": 2, "ke')
    review = Review(folder)
    assert review.verdict(1) == Verdict(True)
    review.cut(3)
    assert verdicts(folder) == [Verdict(True), Verdict(), Verdict(False), Verdict()]


def test_two_windows_see_each_others_decisions(folder: Path) -> None:
    one, other = Review(folder), Review(folder)
    one.keep(1)
    other.cut(2)
    assert other.verdict(1) == Verdict(True)
    assert one.undo() == 1 or Review(folder).verdict(2) == Verdict()


def test_a_terminal_is_left_as_it_was(folder: Path) -> None:
    main, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli.main", "album", "review", str(folder)],
        cwd=ROOT,
        env=environment(folder.parent),
        stdin=terminal,
        stdout=subprocess.DEVNULL,
    )
    try:
        os.write(main, b"k\x1bnNight\x7f\x7fne\nq")
        process.communicate(timeout=20)
        assert process.returncode == 0
        assert termios.tcgetattr(terminal) == before
    finally:
        process.kill()
        process.wait()
        os.close(main)
        os.close(terminal)
    assert verdicts(folder)[:2] == [Verdict(True), Verdict(True, "Nigne")]


def test_what_is_chosen(folder: Path) -> None:
    review = Review(folder)
    assert [song.number for song in review.chosen()] == [1, 2, 3]
    review.cut(2)
    assert [song.number for song in review.chosen()] == [1, 3]
    review.keep(4)
    assert [song.number for song in review.chosen()] == [4]


def test_no_such_song_and_no_such_name(folder: Path) -> None:
    review = Review(folder)
    with pytest.raises(InputError):
        review.keep(9)
    with pytest.raises(InputError):
        review.name(1, " \n\x00 ")
    assert not (folder / "decisions.jsonl").exists()


def test_no_album_is_one_line(tmp_path: Path) -> None:
    done = latent("album", "review", tmp_path, home=tmp_path)
    assert done.returncode == 2
    assert "holds no album" in done.stderr
    (tmp_path / "album.json").write_text('{"format": "latent-album", "version": 1}')
    assert latent("album", "review", tmp_path, home=tmp_path).returncode == 2


def test_decisions_that_cannot_be_kept_are_not_made(folder: Path) -> None:
    review = Review(folder)
    (folder / "decisions.jsonl").mkdir()
    with pytest.raises(RunError):
        review.keep(1)
    assert review.verdict(1) == Verdict()


def test_the_listener_plays_and_fades_between_files() -> None:
    def tone(level: float) -> Samples:
        return np.full((1000, 2), level, np.float32)

    listener = Auditioner()
    out = np.zeros((256, 2), np.float32)
    listener._asked = first = tone(0.5)
    heard = []
    for block in range(8):
        if block == 2:
            listener._asked = tone(0.25)
        listener.render(out)
        heard.append(out.copy())
    assert first is not listener._asked
    joined = np.concatenate(heard)[:, 0]
    assert joined[:256].max() == 0.0  # asked for in the first block
    assert np.all(joined[256:512] == 0.5)
    assert joined[512] == 0.5
    assert joined[767] == 0.0
    assert np.all(joined[768:1700] == 0.25)
    assert not listener.is_playing
