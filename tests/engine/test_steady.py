"""What a step of a session raises is told, and the session goes on."""

import errno
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effects.base.errors import RunError
from effects.base.paths import config_dir
from effects.shelf.library import Library
from engine.app.keep_jobs import KeepJobs
from engine.compose.preset_file import save
from engine.control.controls import snapshot_of
from engine.control.steady import Steady
from engine.graph import Settings, build
from engine.streams.shared_ring import SharedRing
from tests.support.playing import playing
from tests.support.simulated_session import Kept, Pace, SimulatedSession, replayed
from tests.support.storms import EFFECTS, RATE
from tests.support.web import served_page

NO_ROOM = OSError(errno.ENFILE, "Too many open files in system")


def failing(error: Exception) -> Any:
    def step(*args: object, **named: object) -> None:
        raise error

    return step


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RunError("/x: no room"), "/x: no room"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (MemoryError(), "out of memory"),
        (ValueError("odd"), "failed inside: ValueError('odd')"),
    ],
)
def test_a_failure_is_told_in_one_line_and_not_again_at_once(
    error: Exception, reason: str
) -> None:
    said: list[str] = []
    steady = Steady("page", said.append)
    assert [steady.do(failing(error)) for _ in range(3)] == [False] * 3
    assert steady.do(lambda: None)
    assert said == [f"page: {reason}"]


@pytest.mark.parametrize("error", [NO_ROOM, MemoryError(), ValueError("odd")])
def test_loops_that_cannot_be_loaded_for_a_while_only_make_the_order_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setenv("LATENT_HOME", str(tmp_path))
    for name in EFFECTS:
        Library().load(name, RATE)
    controls = snapshot_of({"effects/dwell": 10.0, "effects/crossfade": 2.0})
    settings = Settings(seed=2, sample_rate=RATE, effects=EFFECTS, controls=controls)

    def act(session: SimulatedSession) -> None:
        bed = session.graph.bed
        assert bed is not None
        session.sleep(1.5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bed, "layers_of", failing(error))
            session.sleep(25.0)
        session.sleep(20.0)
        session.session.stop()

    session = SimulatedSession(build(settings), Pace(), tmp_path, act)
    kept = Kept()
    session.session.add_tap(kept)
    session.play()
    commands = [e["command"] for e in session.events if "command" in e]
    assert commands[:2] == ["effects/wait", "effects/resume"]
    assert len([line for line in session.said if line.startswith("effects: ")]) == 1
    heard = np.concatenate(kept.blocks)
    np.testing.assert_array_equal(replayed(session, len(heard)), heard)


def test_a_preset_that_is_gone_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENT_HOME", str(tmp_path))
    save("mine", snapshot_of({}))
    rotation = ("--every", "2s", "--presets", "dark,mine,glass")
    with playing("--no-effects", *rotation, home=tmp_path) as player:
        (config_dir() / "presets" / "mine.toml").unlink()
        player.wait_for("session: mine: ", 20.0)
        time.sleep(3.0)  # the next one comes in its turn
        assert player.stop() == 0
    assert "failed" not in player.said


def test_what_cannot_be_kept_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    jobs = KeepJobs(tmp_path / "j.jsonl", tmp_path / "kept", 100, said.append)
    monkeypatch.setattr(subprocess, "Popen", failing(NO_ROOM))
    jobs.start(1.0, 1000)
    jobs.report()
    assert "not kept: no process can be started" in said[-1]
    in_the_way = KeepJobs(tmp_path / "j", Path("/dev/null/kept"), 100, said.append)
    with pytest.raises(RunError, match="/dev/null/kept: Not a directory"):
        in_the_way.start(1.0, 1000)


def test_a_link_for_which_there_is_no_memory_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENT_HOME", str(tmp_path))
    with served_page() as page, page.client() as client:
        with monkeypatch.context() as patch:
            patch.setattr(SharedRing, "create", failing(NO_ROOM))
            far = page.link.connect()
            far.settimeout(10.0)
            assert far.recv(1) == b"", "it is shown out"
            far.close()
        client.send("/latent/tilt")
        client.wait("/latent/tilt")
        far = page.link.connect()
        far.settimeout(10.0)
        assert far.recv(1)
        far.close()
