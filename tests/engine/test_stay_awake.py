"""A machine that is kept awake: systemd-inhibit, and a login manager of our own."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusStr, DBusUnixFd
from dbus_fast.service import ServiceInterface, dbus_method

from effects.base.errors import RunError
from engine.surfaces.stay_awake import StayAwake
from tests.support.command import ROOT, environment
from tests.support.dbus import private_bus
from tests.support.waiting import wait_until

WAIT_S = 30.0
PATH = "/org/freedesktop/login1"


class Manager(ServiceInterface):
    """The part of logind that gives out inhibitors, and sees them end."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.login1.Manager")
        self.asked: list[tuple[str, ...]] = []
        self._held: list[tuple[int, int]] = []

    @dbus_method(name="Inhibit")
    def inhibit(
        self, what: DBusStr, who: DBusStr, why: DBusStr, mode: DBusStr
    ) -> DBusUnixFd:
        """Give out the writing end of a pipe, which is closed when it is let go."""
        self.asked.append((what, who, why, mode))
        self._held.append(os.pipe())
        return self._held[-1][1]

    def forget_own_ends(self) -> None:
        """Close the writing ends here: those of others count."""
        for i, (reader, writer) in enumerate(self._held):
            if writer >= 0:
                os.close(writer)
                self._held[i] = (reader, -1)

    def n_held(self) -> int:
        """How many inhibitors are held."""
        return sum(_is_open(reader) for reader, writer in self._held if writer < 0)


def _is_open(reader: int) -> bool:
    os.set_blocking(reader, False)
    try:
        return os.read(reader, 1) != b""
    except BlockingIOError:
        return True


@pytest.fixture
def logind(monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    manager, ready, ending = Manager(), threading.Event(), threading.Event()

    async def serve(address: str) -> None:
        bus = MessageBus(bus_address=address, negotiate_unix_fd=True)
        await bus.connect()
        bus.export(PATH, manager)
        await bus.request_name("org.freedesktop.login1")
        ready.set()
        while not ending.is_set():
            await asyncio.sleep(0.02)
        bus.disconnect()

    with private_bus() as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        thread = threading.Thread(target=lambda: asyncio.run(serve(address)))
        thread.start()
        assert ready.wait(WAIT_S)
        try:
            yield manager
        finally:
            ending.set()
            thread.join()


def _is_held(manager: Manager, process: int) -> None:
    """Wait until systemd-inhibit, below a process, has its answer and runs `cat`."""
    below = psutil.Process(process)
    wait_until(lambda: "cat" in [p.name() for p in below.children(recursive=True)])
    manager.forget_own_ends()
    assert manager.n_held() == 1


def test_sleep_is_held_back_from_start_to_stop(logind: Manager) -> None:
    said: list[str] = []
    inhibitor = StayAwake(said.append)
    inhibitor.start()
    _is_held(logind, os.getpid())
    assert logind.asked == [("idle:sleep", "Latent", "music plays", "block")]
    inhibitor.stop()
    wait_until(lambda: logind.n_held() == 0)
    assert said == []


def test_a_machine_whose_player_was_killed_may_sleep(
    logind: Manager, tmp_path: Path
) -> None:
    address = os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
    env = {**environment(tmp_path), "DBUS_SYSTEM_BUS_ADDRESS": address}
    command = [sys.executable, "-m", "engine.cli", "play", "--no-audio", "--no-osc"]
    player = subprocess.Popen(
        [*command, "--no-effects", "--stay-awake"],
        cwd=ROOT,
        env=env,
        stderr=subprocess.PIPE,
    )
    assert player.stderr is not None
    with player.stderr:
        assert b"playing" in player.stderr.readline()
        _is_held(logind, player.pid)
        player.send_signal(signal.SIGKILL)
        player.wait()
        wait_until(lambda: logind.n_held() == 0)


def test_a_machine_that_cannot_be_kept_awake_plays_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    said: list[str] = []
    inhibitor = StayAwake(said.append)
    inhibitor.start()
    wait_until(lambda: bool(said))
    assert said[0].startswith("the machine may sleep while music plays: ")
    assert "\n" not in said[0]
    inhibitor.stop()


def test_a_system_without_systemd_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    inhibitor = StayAwake()
    with pytest.raises(RunError, match="--stay-awake needs systemd-inhibit"):
        inhibitor.start()
    inhibitor.stop()
