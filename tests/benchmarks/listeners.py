"""What listeners cost: processor and memory of a session that many listen to.

Run as `bin/bench listeners [--seconds S]`: a session on a null sink of PulseAudio,
measured for S seconds (30) with nobody, one listener, then with 201 that read and 50
that do not; and one without a device that feeds an Icecast server, beside mpd playing a
FLAC to the same server. Figures are CPU time of the processes for each second of sound,
as a share of one core, whatever else the machine does.
Ends with 1 if a limit is not kept.
"""

import argparse
import contextlib
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil
from rich.console import Console
from rich.table import Table

from engine.osc.client import OscClient
from tests.benchmarks.players import now, port_of
from tests.support.command import latent
from tests.support.icecast import PASSWORD, icecast, source_url, sources
from tests.support.playing import Player, playing
from tests.support.streams import free_tcp_port, open_folder, program
from tests.support.virtual_audio import VirtualAudio
from tests.support.waiting import wait_until

BYTES_A_S = 24_000
REQUEST = "GET PATH HTTP/1.1\r\nHost: localhost\r\nIcy-MetaData: 1\r\n\r\n"
BURST_S = 12.0  # until the listeners have had their burst and stalled ones are dropped


class Listeners:
    """Listeners over HTTP, who read all that comes, or nothing.

    Args:
        port: of the session.
        number: of listeners.
        path: of the stream.
        stalled: whether they read nothing.
    """

    def __init__(
        self,
        port: int,
        number: int,
        path: str = "/stream.mp3",
        *,
        stalled: bool = False,
    ) -> None:
        self.received = [0] * number
        self._stalled, self._request = stalled, REQUEST.replace("PATH", path).encode()
        self._stopping = threading.Event()
        self._sockets = [self._connect(port) for _ in range(number)]
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        if not self._stalled:
            self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for each in self._sockets:
            each.close()

    def _connect(self, port: int) -> socket.socket:
        connection = socket.socket()
        if self._stalled:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(self._request)
        return connection

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            for number, each in enumerate(self._sockets):
                selector.register(each, selectors.EVENT_READ, number)
            while not self._stopping.is_set():
                for key, _ in selector.select(0.2):
                    data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                    self.received[key.data] += len(data)
                    if not data:
                        selector.unregister(key.fileobj)


@dataclass(frozen=True)
class Cost:
    """What processes took in a stretch of time.

    Attributes:
        session: CPU, as a share of one core, of the session without its stream worker.
        worker: of the stream worker.
        worker_mb: its resident memory.
    """

    session: float
    worker: float
    worker_mb: float


def cost_of(
    root: psutil.Process, seconds: float, position: Callable[[], float]
) -> Cost:
    """Measure a session, or another program, for some seconds of sound.

    Args:
        root: the program; its children count, too.
        seconds: of sound.
        position: gives the second that it has come to.
    """
    family = [root, *root.children(recursive=True)]
    before = {each.pid: sum(each.cpu_times()[:2]) for each in family}
    began = position()
    wait_for_sound(position, seconds)
    took = position() - began
    session = worker = memory = 0.0
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):  # replaced meanwhile
            spent = (sum(each.cpu_times()[:2]) - before[each.pid]) / took
            if "engine.streams.worker" in each.cmdline():
                worker, memory = spent, each.memory_info().rss / 2**20
            else:
                session += spent
    return Cost(session, worker, memory)


def wait_for_sound(position: Callable[[], float], seconds: float) -> None:
    """Until so many seconds of sound have passed."""
    stop = position() + seconds
    while position() < stop:
        time.sleep(0.1)


def position_of(player: Player) -> Callable[[], float]:
    """What gives the second that a session has come to."""
    client = OscClient("127.0.0.1", player.osc)
    return lambda: float(client.ask(["status"])["status"][1])


@contextmanager
def mpd(folder: Path, song: Path, port: int) -> Iterator[psutil.Process]:
    """An mpd that plays a song over and over to an Icecast server."""
    control = free_tcp_port()
    text = f"""music_directory "{folder}"
db_file "{folder}/mpd.db"
log_file "{folder}/mpd-own.log"
bind_to_address "127.0.0.1"
port "{control}"
audio_output {{
type "shout"
name "radio"
host "127.0.0.1"
port "{port}"
mount "/mpd.mp3"
user "source"
password "{PASSWORD}"
bitrate "192"
format "48000:16:2"
encoder "lame"
protocol "icecast2"
}}"""
    file = folder / "mpd.conf"
    file.write_text(text, "utf-8")
    file.chmod(0o644)
    command = ["mpd", "--no-daemon", str(file)]
    with program(command, folder / "mpd.log", as_nobody=True) as process:
        asked = ["mpc", "-h", "127.0.0.1", "-p", str(control), "-q"]

        def tell(*words: str) -> bool:
            return subprocess.run([*asked, *words], capture_output=True).returncode == 0

        wait_until(lambda: tell("update", "--wait"), 30.0, "mpd")
        wait_until(lambda: tell("add", song.name), 30.0, "the song")
        tell("repeat", "on")
        tell("play")
        wait_until(lambda: "mpd.mp3" in sources(port), 30.0, "mpd's mount")
        yield psutil.Process(process.pid)


def on_a_device(
    folder: Path, seconds: float
) -> tuple[list[tuple[str, Cost]], Player, float]:
    """Costs with more and more listeners; the session, ended; least bytes a second."""
    found = []
    home, asked = folder / "home", ["--seed", 11, "--serve", 0]
    with VirtualAudio() as device, playing(*asked, home=home, env=device.env) as player:
        port, root = port_of(player), psutil.Process(player.process.pid)
        position = position_of(player)
        wait_for_sound(position, BURST_S)
        found.append(("nobody listens", cost_of(root, seconds, position)))
        with Listeners(port, 1):
            wait_for_sound(position, BURST_S / 2.0)
            found.append(("one MP3 listener", cost_of(root, seconds, position)))
            with Listeners(port, 200) as many, Listeners(port, 50, stalled=True):
                wait_for_sound(position, 2.0 * BURST_S)
                before, began = list(many.received), position()
                cost = cost_of(root, seconds, position)
                found.append(("201, and 50 that stall", cost))
                took = position() - began
                gains = [b - a for a, b in zip(before, many.received, strict=True)]
                least = min(gains) / took
                listeners = now(port)["listeners"]
        assert listeners == 201, listeners
        player.stop()
    return found, player, least


def without_a_device(folder: Path, seconds: float) -> list[tuple[str, Cost]]:
    """Costs of a session that feeds Icecast, and of mpd that does."""
    port, song = free_tcp_port(), folder / "song.flac"
    home = folder / "home"
    done = latent("render", song, "--minutes", 1, "--seed", 11, home=home)
    assert done.returncode == 0, done.stderr
    found = []
    with icecast(port):
        url = source_url(port, "radio.mp3")
        with playing("--seed", 11, "--icecast", url, home=home) as player:
            wait_until(lambda: "radio.mp3" in sources(port), 30.0, "the mount")
            position = position_of(player)
            wait_for_sound(position, BURST_S)
            root = psutil.Process(player.process.pid)
            found.append(("to Icecast, no device", cost_of(root, seconds, position)))
            player.stop()
        with mpd(folder, song, port) as process, Listeners(port, 1, "/mpd.mp3") as one:
            wait_until(lambda: one.received[0], 20.0, "mpd")
            cost = cost_of(process, seconds, lambda: one.received[0] / BYTES_A_S)
            found.append(("mpd, a FLAC to Icecast", cost))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    with open_folder() as folder:
        costs, player, least = on_a_device(folder, given.seconds)
        costs += without_a_device(folder, given.seconds)
    table = Table("", "program, %", "stream worker, %", "its memory, MB")
    for name, cost in costs:
        cells = (100.0 * cost.session, 100.0 * cost.worker, cost.worker_mb)
        table.add_row(name, *(f"{cell:.1f}" for cell in cells))
    console = Console()
    console.print(table)
    ended = player.lines[-1]
    load = os.getloadavg()[0]
    console.print(f"least of 200: {least:.0f} bytes/s of {BYTES_A_S}; load {load:.1f}")
    console.print(ended)
    kept = least > 0.97 * BYTES_A_S and " 50 too slow" in ended
    sys.exit(int(not (kept and " 0 underruns" in ended)))


if __name__ == "__main__":
    main()
