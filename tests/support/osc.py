"""A session for OSC to play with, a client, and the bytes of hostile packets."""

import math
import re
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage

from effects.base.errors import InputError
from engine.control.status import SessionStatus, SongStatus

STATUS = SessionStatus(
    uptime_s=12.5,
    load=0.25,
    device="null",
    peak_db=(-6.0, -6.5),
    presets=("dark", "shoreline"),
    effects=("rain", "waves"),
    song=SongStatus(
        number=3,
        title="Ebb",
        pattern="ABAC",
        place=2,
        progress=0.5,
        seconds=12.0,
        length=300.0,
        point=(0.5, -0.5),
    ),
)


class FakeSession:
    """Notes the commands that it gets, and shows the status that it is given."""

    def __init__(self, symbols: str = "ABCD") -> None:
        self._symbols = symbols
        self.done: list[tuple[object, ...]] = []
        self.shown = STATUS

    def command(self, name: str, *args: float | str) -> None:
        self.done.append((name, *args))
        if name == "go" and args and str(args[0]) not in self._symbols:
            raise InputError(f"the song has no {args[0]}")

    def status(self) -> SessionStatus:
        return self.shown

    def show(self, **values: Any) -> None:
        """Change values of the status, or of its song."""
        song = self.shown.song
        assert song is not None
        in_song = {k: values.pop(k) for k in set(values) & set(vars(song))}
        song = replace(song, **in_song)
        self.shown = replace(self.shown, song=song, **values)


def padded(text: bytes) -> bytes:
    return text + bytes(4 - len(text) % 4)


def packet(address: str, tags: str | None = "", data: bytes = b"") -> bytes:
    """A message as bytes; `tags` None leaves the type tags out."""
    types = b"" if tags is None else padded(b"," + tags.encode())
    return padded(address.encode()) + types + data


def number(address: str, value: float) -> bytes:
    return packet(address, "f", struct.pack(">f", value))


def bundle(*elements: bytes, tag: int = 1) -> bytes:
    body = b"".join(struct.pack(">i", len(each)) + each for each in elements)
    return b"#bundle\0" + struct.pack(">Q", tag) + body


def unpacked(datagram: bytes) -> list[tuple[object, ...]]:
    """Address and arguments of all messages in what we sent."""
    if not OscBundle.dgram_is_bundle(datagram):
        message = OscMessage(datagram)
        return [(message.address, *message.params)]
    return [row for part in OscBundle(datagram) for row in unpacked(part.dgram)]


class Client:
    """A UDP socket of one's own."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5.0)
        self.server = ("127.0.0.1", port)

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self.server)

    def receive(self) -> list[tuple[object, ...]]:
        return unpacked(self.socket.recv(8192))

    def until(self, address: str) -> tuple[object, ...]:
        """The next message to that address."""
        while True:
            for row in self.receive():
                if row[0] == address:
                    return row

    def close(self) -> None:
        self.socket.close()


def sweep(port: int, seconds: float, hz: int) -> int:
    """Send messages that sweep controls of both speeds; returns how many."""
    client = Client(port)
    names = ("wiggle/amount", "master/gain", "rank/brightness", "tilt", "width")
    began, n_sent = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < seconds:
        name = names[n_sent % len(names)]
        position = 0.6 + 0.3 * math.sin(3.0 * elapsed + n_sent % len(names))
        client.send(number(f"/latent/norm/{name}", position))
        n_sent += 1
        time.sleep(max(0.0, began + n_sent / hz - time.monotonic()))
    client.close()
    return n_sent


class Dump:
    """What liblo's `oscdump` has printed so far: a line for each message."""

    def __init__(self, port: int, path: Path) -> None:
        self.port, self._path = port, path

    def wait_for(self, pattern: str, *, after: int = 0) -> str:
        """The first line, from line `after` on, in which a pattern is found."""
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            for line in self.lines()[after:]:
                if re.search(pattern, line):
                    return line
            time.sleep(0.01)
        raise AssertionError(f"{pattern!r} is not in {self.lines()[after:]}")

    def lines(self) -> list[str]:
        """Lines without the time tags in front."""
        text = self._path.read_text()
        return [line.partition(" ")[2] for line in text.splitlines()]


@contextmanager
def oscdump(folder: Path) -> Iterator[Dump]:
    """Run `oscdump` on a free port."""
    assert shutil.which("oscdump"), "apt install liblo-tools"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = folder / "oscdump.txt"
    with path.open("w") as out:
        process = subprocess.Popen(["oscdump", "-L", str(port)], stdout=out)
    try:
        dump = Dump(port, path)
        while not dump.lines():  # until it listens
            oscsend(port, "/ready")
            time.sleep(0.02)
        yield dump
    finally:
        process.terminate()
        process.wait(5.0)


def oscsend(port: int, address: str, types: str = "", *values: object) -> None:
    """Send one message with liblo's `oscsend`, as anybody would."""
    words = ["oscsend", "localhost", str(port), address]
    words += [types] if types else []
    subprocess.run([*words, *map(str, values)], check=True, timeout=10.0)


class Subscriber:
    """A program that gets every change, and notes when."""

    def __init__(self, port: int) -> None:
        self._client = Client(port)
        self._client.send(packet("/latent/subscribe"))

    def __enter__(self) -> "Subscriber":
        self._client.until("/latent/playing")  # all readings come first
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def empty(self) -> None:
        """Let go of what has come."""
        self._client.socket.setblocking(False)
        try:
            while True:
                self._client.receive()
        except BlockingIOError:
            self._client.socket.settimeout(5.0)

    def wait(self, address: str, value: object) -> float:
        """Until a value comes, to four digits; returns the time of day in s."""
        deadline = time.monotonic() + 10.0
        found: list[object] = []
        while time.monotonic() < deadline:
            for name, *args in self._client.receive():
                if name != address:
                    continue
                found = args
                (came,) = args
                same = came == value
                if isinstance(value, float) and isinstance(came, float):
                    same = abs(came - value) < 1e-4
                if same:
                    return time.time()
        raise AssertionError(f"{address} {value} never came, last {found}")
