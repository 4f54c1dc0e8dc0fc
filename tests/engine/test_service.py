"""Playing as a service: the unit, and what the service manager is told."""

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from effects.base.errors import InputError
from engine.app import service_unit
from engine.app.service_manager import ServiceManager
from tests.support.command import ROOT, environment, latent

PLAY = [sys.executable, "-m", "engine.cli", "play", "--no-audio", "--no-osc"]
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


@dataclass
class FakeSession:
    """A session of which a test sets how far it is."""

    seconds: float = 0.0
    headroom_s: float = 5.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(60.0)
        yield end


def told(manager: socket.socket) -> list[str]:
    """All that it has been told."""
    manager.setblocking(False)
    lines: list[str] = []
    while True:
        try:
            lines += manager.recv(4096).decode().splitlines()
        except BlockingIOError:
            return lines


def service(
    monkeypatch: pytest.MonkeyPatch, manager: socket.socket, session: FakeSession
) -> ServiceManager:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    return ServiceManager(session)


def test_a_session_that_stands_still_is_not_said_to_play(
    monkeypatch: pytest.MonkeyPatch, manager: socket.socket
) -> None:
    session = FakeSession()
    notifier = service(monkeypatch, manager, session)
    notifier.poll()
    assert told(manager) == ["WATCHDOG=1"]
    time.sleep(0.02)
    notifier.poll()
    assert told(manager) == []
    session.seconds = 1.0
    notifier.poll()
    assert told(manager) == ["WATCHDOG=1"]


def test_a_session_without_music_left_is_not_said_to_play(
    monkeypatch: pytest.MonkeyPatch, manager: socket.socket
) -> None:
    session = FakeSession(headroom_s=0.0)
    notifier = service(monkeypatch, manager, session)
    notifier.poll()
    assert told(manager) == []
    session.headroom_s = 0.1
    notifier.poll()
    assert told(manager) == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NOTIFY_SOCKET", "/nowhere/at/all"),
        ("NOTIFY_SOCKET", "nonsense"),
        ("WATCHDOG_USEC", "soon"),
        ("WATCHDOG_PID", "1"),
    ],
)
def test_what_the_manager_says_may_be_nonsense(
    monkeypatch: pytest.MonkeyPatch, manager: socket.socket, name: str, value: str
) -> None:
    service(monkeypatch, manager, FakeSession())
    monkeypatch.setenv(name, value)
    notifier = ServiceManager(FakeSession())
    notifier.ready()
    notifier.poll()
    notifier.stopping()
    assert "WATCHDOG=1" not in told(manager)


def test_a_manager_hears_when_music_begins_goes_on_and_ends(
    manager: socket.socket, tmp_path: Path
) -> None:
    env = {
        **environment(tmp_path / "home"),
        "NOTIFY_SOCKET": manager.getsockname(),
        "WATCHDOG_USEC": "1500000",
    }
    process = subprocess.Popen(
        [*PLAY, "--no-effects"], cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True
    )
    try:
        assert manager.recv(4096).decode().startswith("READY=1")
        assert [manager.recv(4096) for _ in range(3)] == 3 * [b"WATCHDOG=1"]
        process.terminate()
        process.communicate(timeout=20)
        assert told(manager)[-1] == "STOPPING=1"
        assert process.returncode == 0
    finally:
        process.kill()


@pytest.mark.parametrize(
    "word", ["plain", "two words", '"quoted"', "back\\slash", "100 %", "$HOME", "é 雨"]
)
def test_every_word_reaches_the_command(word: str) -> None:
    line = next(
        line
        for line in service_unit.unit(["--record", word]).splitlines()
        if line.startswith("ExecStart=")
    )
    # systemd's rules of quoting are a shell's here, but for % and $.
    words = shlex.split(line.removeprefix("ExecStart="))
    assert words[-1].replace("%%", "%").replace("$$", "$") == word


@pytest.mark.parametrize("word", ["a\nExecStartPre=/bin/false", "\x00", "a\x1b[2J"])
def test_a_word_that_would_be_another_line_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="can hold no such characters"):
        service_unit.unit([word])


@needs_systemd
def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "latent.service"
    done = latent("service", "install", "--print", "--", "--sleep", "8h", home=tmp_path)
    assert done.returncode == 0, done.stderr
    unit.write_text(done.stdout)
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    for command in (
        ["systemd-analyze", "--user", "verify", str(unit)],
        ["systemd-analyze", "security", "--user", "--offline=true", "--threshold=55"],
    ):
        checked = subprocess.run(
            command if "verify" in command else [*command, str(unit)],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
    assert not (tmp_path / ".config").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--bogus"], "--bogus"),
        (["--preset"], "argument"),
        (["--at", "06:30"], "--at"),
        (["--help"], "options that play"),
    ],
)
def test_options_that_play_would_refuse_are_refused_now(
    options: list[str], said: str, tmp_path: Path
) -> None:
    done = latent("service", "install", "--", *options, home=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("latent.service"))


@pytest.mark.parametrize("verb", ["status", "remove"])
def test_a_service_that_is_not_there_is_one_line(verb: str, tmp_path: Path) -> None:
    done = latent("service", verb, home=tmp_path)
    assert done.returncode == 1
    assert "no service is installed" in done.stderr
