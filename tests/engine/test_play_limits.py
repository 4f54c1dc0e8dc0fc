"""Sessions on machines that give little, or that sleep in between."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import audio
from tests.support.command import ROOT, environment, latent
from tests.support.playing import free_port, playing
from tests.support.playing_for_hours import n_different

# A reason of its own on exit 1, or music.
LITTLE = [
    (resource.RLIMIT_NOFILE, 10, "Too many open files"),
    (resource.RLIMIT_NOFILE, 24, ""),
    (resource.RLIMIT_AS, 300 << 20, "out of memory"),
]


@pytest.mark.parametrize(("kind", "limit", "reason"), LITTLE)
def test_little_of_the_machine_is_music_or_one_line(
    tmp_path: Path, kind: int, limit: int, reason: str
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "engine.cli", "play", "--no-audio"),
            *("--no-effects", "--minutes", "0.05", "--osc", str(free_port())),
        ],
        cwd=ROOT,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120.0,
        preexec_fn=lambda: resource.setrlimit(kind, (limit, limit)),
    )
    lines = done.stderr.splitlines()
    assert all(line.startswith("latent: ") for line in lines), done.stderr
    if reason:
        assert done.returncode == 1
        assert reason in lines[-1]
    else:
        assert done.returncode == 0, done.stderr
        assert "playing, seed" in done.stderr


@pytest.mark.parametrize("where", ["a full disk", "a pipe whose reader has gone"])
def test_lines_that_nobody_can_read_do_not_end_the_music(
    tmp_path: Path, where: str
) -> None:
    reader, pipe = os.pipe()
    os.close(reader)
    with open("/dev/full", "wb") as full, os.fdopen(pipe, "wb") as broken:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "engine.cli", "play", "--no-audio"),
                *("--no-effects", "--minutes", "0.05", "--no-osc"),
                *("--record", str(tmp_path / "r.flac")),
            ],
            cwd=ROOT,
            env=environment(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=full if "disk" in where else broken,
            timeout=120.0,
        )
    assert done.returncode == 0
    samples, rate = audio.load(tmp_path / "r.flac")
    assert len(samples) / rate > 2.9


def test_a_session_that_was_asleep_goes_on_where_it_was(tmp_path: Path) -> None:
    """What would have been heard meanwhile is not hurried through."""
    file = tmp_path / "r.flac"
    with playing("--no-effects", "--record", file, home=tmp_path) as player:
        time.sleep(3.0)
        began = time.monotonic()
        player.process.send_signal(signal.SIGSTOP)
        time.sleep(8.0)
        player.process.send_signal(signal.SIGCONT)
        woken = time.monotonic()
        time.sleep(3.0)
        assert player.stop() == 0
        ended = time.monotonic()
    samples, rate = audio.load(file)
    awake_s = 3.0 + (ended - woken)
    assert len(samples) / rate < awake_s + 4.0, "the sleep is not made up for"
    assert len(samples) / rate > 5.0, "it goes on"
    assert woken - began < 20.0
    assert "failed" not in player.said


def test_on_a_machine_that_has_hardly_any_time_it_goes_on_and_is_replayed(
    tmp_path: Path,
) -> None:
    """A third of one core at most, beside two programs that never rest."""
    core = min(os.sched_getaffinity(0))
    file, again = tmp_path / "take.flac", tmp_path / "again.flac"
    code = f"import os; os.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    hogs = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    try:
        with playing("--record", file, "--minutes", 0.2, home=tmp_path) as player:
            for task in Path(f"/proc/{player.process.pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {core})
            assert player.wait(180.0) == 0
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    assert "played 12" in player.lines[-1]
    (journal,) = (tmp_path / "state" / "journals").glob("*.jsonl")
    assert latent("replay", journal, again, home=tmp_path).returncode == 0
    assert n_different([file], again) == 0
