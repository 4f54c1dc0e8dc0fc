"""A desktop's view of a session: a private D-Bus daemon, and `playerctl` on it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from engine.control.controls import Controls, defaults
from engine.control.status import SessionStatus
from engine.surfaces.mpris import NAME, MediaKeys, session_bus
from engine.surfaces.mpris_state import controls_at, state_of, volume_of
from tests.support.command import ROOT, environment
from tests.support.dbus import private_bus
from tests.support.osc import FakeSession
from tests.support.titles import first_titles
from tests.support.waiting import wait_until

START_S = 30.0


@pytest.fixture(scope="module")
def bus() -> Iterator[str]:
    """Address of a session bus of our own."""
    with private_bus() as address:
        yield address


class Rig:
    """A player on the bus, around a session that notes what it is told."""

    def __init__(self, bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
        self.controls, self.session = Controls(), FakeSession()
        self.said: list[str] = []
        self.keys = MediaKeys(self.controls, self.session, self.said.append)

    def start(self) -> None:
        self.keys.start()
        wait_until(lambda: self.keys.name)


@pytest.fixture
def rig(bus: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    made = Rig(bus, monkeypatch)
    made.start()
    yield made
    made.keys.stop()
    assert made.said == []


def playerctl(*args: str, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        ["playerctl", "--player=latent", *args],
        env=env,
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_playerctl_sees_the_song(rig: Rig) -> None:
    rig.session.show(preset="dark")
    assert rig.keys.name == NAME
    assert playerctl("status") == "Playing"
    shown = "{{title}}|{{artist}}|{{album}}|{{mpris:length}}"
    assert playerctl("metadata", "--format", shown) == ("Ebb|Latent|dark|300000000")
    assert "/org/latent/song/4" in playerctl("metadata", "mpris:trackid")
    assert float(playerctl("position")) == pytest.approx(12.0)


def test_playerctl_gives_every_command(rig: Rig) -> None:
    for command in ("next", "pause", "play", "play-pause", "stop"):
        playerctl(command)
    rig.session.show(is_paused=True)
    playerctl("play-pause")
    done = ["next", "pause", "play", "pause", "stop", "play"]
    assert rig.session.done == [(name,) for name in done]


def test_the_volume_is_the_master_gain(rig: Rig) -> None:
    playerctl("volume", "0.5")
    gain = rig.controls.snapshot["master/gain"]
    assert gain == pytest.approx(-18.06, abs=0.01)
    rig.controls.set("master/gain", -6.0)  # as OSC or a key would
    assert float(playerctl("volume")) == pytest.approx(10 ** (-6 / 60), abs=1e-5)
    playerctl("volume", "0")
    assert rig.controls.snapshot["master/mute"] is True
    assert float(playerctl("volume")) == 0.0
    playerctl("volume", "1")
    assert rig.controls.snapshot["master/mute"] is False
    assert rig.controls.snapshot["master/gain"] == pytest.approx(0.0)


@pytest.mark.parametrize("volume", [-1.0, 0.0, 1e-3, 0.3, 1.0, 1.2, 99.0])
def test_a_slider_stays_where_it_was_put(volume: float) -> None:
    controls = Controls()
    controls.update(controls_at(volume))
    expected = min(max(volume, 0.0), 10 ** (6 / 60))
    assert volume_of(controls.snapshot) == pytest.approx(
        0.1 if volume == 1e-3 else expected, abs=1e-5
    )
    assert controls_at(float("nan")) == {}


def test_a_session_before_its_first_song_is_shown() -> None:
    state = state_of(SessionStatus(), defaults())
    assert (state.status, state.length, state.position) == ("Playing", 0, 0)
    assert state.track == "/org/latent/song/1"


def test_who_watches_is_told_what_changes(rig: Rig, bus: str) -> None:
    watcher = subprocess.Popen(
        [
            "dbus-monitor",
            "--address",
            bus,
            "type='signal',path=/org/mpris/MediaPlayer2",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watcher.stdout is not None
    try:
        # Its own name is the first thing it tells, when it listens.
        assert "NameAcquired" in watcher.stdout.readline()
        seen = ""

        def until(part: str) -> None:
            nonlocal seen
            assert watcher.stdout is not None
            while part not in seen:
                line = watcher.stdout.readline()
                assert line
                seen += line

        rig.session.show(is_paused=True)
        until("PlaybackStatus")
        until("Paused")
        rig.session.show(title="Flow", number=4)
        until("Flow")
        until("/org/latent/song/5")
        rig.controls.set("master/gain", -6.0)
        until("Volume")
        seen = ""
        rig.session.show(seconds=100.0)
        until("Seeked")
        until("int64 100000000")
    finally:
        watcher.terminate()
        watcher.wait()
        watcher.stdout.close()


def test_what_it_cannot_do_is_refused_or_nothing(rig: Rig, bus: str) -> None:
    send = ["dbus-send", f"--bus={bus}", "--print-reply", f"--dest={NAME}"]
    player = "org.mpris.MediaPlayer2.Player"
    path = "/org/mpris/MediaPlayer2"
    refused = [f"{player}.OpenUri", "string:http://a"]
    ignored = [f"{player}.Previous"], [f"{player}.Seek", "int64:5000000"]
    done = subprocess.run([*send, path, *refused], capture_output=True, check=False)
    assert b"plays what it composes" in done.stderr
    for arguments in ignored:
        subprocess.run([*send, path, *arguments], capture_output=True, check=True)
    assert rig.session.done == []


def test_a_second_session_has_a_name_of_its_own(
    rig: Rig, bus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = Rig(bus, monkeypatch)
    second.start()
    try:
        assert rig.keys.name == NAME
        assert second.keys.name == f"{NAME}.instance{os.getpid()}"
        assert playerctl("--list-all").count("latent") == 2
    finally:
        second.keys.stop()


def test_a_bus_that_goes_away_ends_the_player_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert daemon.stdout is not None
    rig = Rig(daemon.stdout.readline().strip(), monkeypatch)
    rig.start()
    daemon.terminate()
    daemon.wait()
    daemon.stdout.close()
    wait_until(lambda: not rig.keys.name)
    rig.keys.stop()
    assert len(rig.said) <= 1


def test_where_a_bus_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert session_bus() is None
    (tmp_path / "bus").write_text("no socket")
    assert session_bus() is None
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert session_bus() is None


def test_play_is_there_by_itself_unless_it_is_not_wanted(
    bus: str, tmp_path: Path
) -> None:
    env = {**environment(tmp_path), "DBUS_SESSION_BUS_ADDRESS": bus}
    command = [sys.executable, "-m", "engine.cli.main", "play", "--no-audio"]
    command += ["--no-osc", "--no-effects", "--seed", "7"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE)
    hidden = subprocess.Popen(
        [*command, "--no-media-keys"], cwd=ROOT, env=env, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    assert hidden.stderr is not None
    try:
        for each in (process, hidden):
            assert each.stderr is not None
            assert b"playing" in each.stderr.readline()
        players = playerctl("--list-all", env=env).splitlines()
        assert players == ["latent"]
        first, second = first_titles(7)
        assert playerctl("metadata", "title", env=env) == first
        assert 1e-6 * float(playerctl("metadata", "mpris:length", env=env)) > 60.0
        playerctl("pause", env=env)
        wait_until(lambda: playerctl("status", env=env) == "Paused")
        playerctl("next", env=env)
        wait_until(lambda: playerctl("metadata", "title", env=env) == second)
        playerctl("stop", env=env)
        assert process.wait(30.0) == 0
    finally:
        for each in (process, hidden):
            if each.poll() is None:
                each.send_signal(signal.SIGTERM)
            each.communicate(timeout=30.0)


def test_without_a_bus_it_is_missed_only_when_asked_for(tmp_path: Path) -> None:
    assert shutil.which("playerctl")
    env = {k: v for k, v in environment(tmp_path).items() if "DBUS" not in k}
    env["XDG_RUNTIME_DIR"] = str(tmp_path)
    command = [sys.executable, "-m", "engine.cli.main", "play", "--no-audio"]
    done = subprocess.run(
        [*command, "--no-osc", "--media-keys", "--minutes", "0.05"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["latent: media keys need a D-Bus session bus"]
