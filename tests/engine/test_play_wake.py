"""Waking: a radio that begins at a time, in silence, and rises."""

import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from datetime import time as clock_time
from pathlib import Path

import click
import numpy as np
import pytest

from engine.cli.durations import TimeOfDay, next_time
from tests.support import audio
from tests.support.command import ROOT, environment, latent
from tests.support.playing import playing

PLAY = ["play", "--no-audio", "--no-osc", "--no-effects", "--seed", "3"]


def test_it_rises_from_silence_and_then_falls_to_silence(tmp_path: Path) -> None:
    file, again = tmp_path / "wake.flac", tmp_path / "again.wav"
    home = tmp_path / "home"
    # Without movement of the music, of which the fades would be seen less clearly.
    still = ["--motion-depth", 0, "--foreground-density", 0, "--wiggle-amount", 0]
    timers = ["--wake", "4s", "--sleep", "2s", "--record", file]
    done = latent(*PLAY, *still, *timers, home=home)
    assert done.returncode == 0, done.stderr
    samples, rate = audio.load(file)
    assert len(samples) / rate == pytest.approx(6.5, abs=0.8)
    power = np.mean(samples[: 6 * rate].reshape(12, -1) ** 2, axis=1)
    level = 10.0 * np.log10(power + 1e-20)
    # Of full level the rise has -43 dB in its first half second, -8 in the fifth.
    assert level[0] < level[7] - 35.0
    assert np.all(np.diff(level[:6]) > 0.0), "rises all the time"
    assert np.argmax(level) in range(5, 10)
    assert np.all(np.diff(level[9:]) < 0.0), "falls all the time"
    assert np.abs(samples[: rate // 50]).max() < 1e-4
    assert np.abs(samples[-rate // 10 :]).max() < 1e-3
    # What was heard is in the journal, the rise with it.
    (journal,) = (home / "state" / "journals").glob("*.jsonl")
    assert latent("replay", journal, again, home=home).returncode == 0
    rendered, _ = audio.load(again)
    n = min(len(samples), len(rendered))
    assert audio.residual_db(rendered[:n], samples[:n]) < -80.0


def test_it_waits_for_its_time_before_it_plays(tmp_path: Path) -> None:
    then = (datetime.now() + timedelta(seconds=6)).replace(microsecond=0)
    asked = ["--no-effects", "--at", f"{then:%H:%M:%S}"]
    with playing(*asked, home=tmp_path) as player:
        assert then <= datetime.now() < then + timedelta(seconds=10)
        assert f"waiting until {then:%H:%M:%S}" in player.lines[0]
        assert player.stop() == 0


def test_waiting_is_ended_as_playing_is(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.cli.main", *PLAY, "--at", "03:00"],
        cwd=ROOT,
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "waiting until 03:00:00" in process.stderr.readline()
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30.0)
    assert (process.returncode, rest) == (0, "")


def test_what_is_wrong_is_told_before_the_waiting(tmp_path: Path) -> None:
    done = latent(*PLAY, "--at", "03:00", "--preset", "nosuch", home=tmp_path)
    assert done.returncode == 2
    assert "nosuch" in done.stderr
    assert "waiting" not in done.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6:30", clock_time(6, 30)),
        ("06:30", clock_time(6, 30)),
        ("23:59:59", clock_time(23, 59, 59)),
        ("0:00", clock_time()),
    ],
)
def test_times_of_day(text: str, expected: clock_time) -> None:
    assert TimeOfDay().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["24:00", "6", "6:5", "6:60", "-1:00", "٦:٣٠", "now"])
def test_what_is_no_time_of_day(text: str) -> None:
    with pytest.raises(click.UsageError, match="time of day"):
        TimeOfDay().convert(text, None, None)


def test_the_next_time_is_never_now_nor_past() -> None:
    now = datetime(2026, 12, 31, 6, 30)
    assert next_time(clock_time(6, 31), now) == datetime(2026, 12, 31, 6, 31)
    assert next_time(clock_time(6, 30), now) == datetime(2027, 1, 1, 6, 30)
    assert next_time(clock_time(0, 0), now) == datetime(2027, 1, 1)
