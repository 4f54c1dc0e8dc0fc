"""An hour through Icecast: master, relay, titles, and a server that is killed.

Run as `bin/bench relay [--hours H] [--speed X]`: H hours (1) of stream, X times (15) as
fast as it is played, go through a real worker, a real Icecast master and a real relay
to one client. Song n is a tone of its own pitch, so the client hears which song it gets
and reads which title stands beside it. Half-way the master is killed and started again.
Ends with 1 if a limit is not kept.
"""

import argparse
import itertools
import socket
import sys
import threading
import time
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.table import Table

from effects.audio.levels import Samples
from engine.streams.messages import Outputs, Playing
from engine.streams.radio import RING_S, StreamRadio, StreamSettings
from tests.support.icecast import icecast, source_url
from tests.support.streams import decoded, free_tcp_port
from tests.support.waiting import wait_until

RATE = 48_000
SONG_S = 300.0
BLOCK_S = 0.1
AHEAD_S = 30.0  # of stream that may be under way to the client
LATEST_S = 5.0  # of real time, within which a title has to follow its song
RETURN_S = 90.0  # of real time, within which the stream has to be back
BYTES_A_S = 24_000  # of the mount's MP3
STEP_HZ = 20.0  # between the tones of two songs


def title(song: int) -> str:
    """Title of a song, from its number."""
    return f"Song {song}"


def tone(song: int, start: int, n_samples: int) -> Samples:
    """The sound of a song, shape (n, 2)."""
    phase = 2.0 * np.pi * (400.0 + STEP_HZ * song) / RATE
    wave = 0.2 * np.sin(phase * (start + np.arange(n_samples)))
    return np.repeat(wave[:, None], 2, axis=1).astype(np.float32)


def song_of(samples: Samples) -> int:
    """The song whose tone a second of samples holds."""
    power = np.abs(np.fft.rfft(samples.mean(axis=1) * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1.0 / RATE)
    return round((float(hertz[np.argmax(power)]) - 400.0) / STEP_HZ)


@dataclass
class Connection:
    """What a client got of a mount until it was lost.

    Attributes:
        sound: MP3, as it came.
        titles: byte of the sound, and the title from there on.
    """

    sound: bytearray = field(default_factory=bytearray)
    titles: list[tuple[int, str]] = field(default_factory=list)

    def title_at(self, byte: int) -> str:
        """The title in force at a byte of the sound."""
        before = [shown for at, shown in self.titles if at <= byte]
        return before[-1] if before else ""


class Client:
    """A listener of a mount who comes back whenever it is lost.

    Args:
        port: of the server.
        mount: its path.
    """

    def __init__(self, port: int, mount: str) -> None:
        self.connections: list[Connection] = []
        self.stopping = threading.Event()
        self._port, self._mount = port, mount
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        """Seconds of stream that it has got."""
        return sum(len(each.sound) for each in self.connections) / BYTES_A_S

    def stop(self) -> None:
        """End it."""
        self.stopping.set()
        self._thread.join(15.0)

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._listen()
            except (OSError, ValueError):
                self.stopping.wait(0.5)

    def _listen(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), 10.0) as connection:
            request = f"GET {self._mount} HTTP/1.0\r\nIcy-MetaData: 1\r\n\r\n"
            connection.sendall(request.encode())
            file = connection.makefile("rb")
            if b" 200 " not in file.readline():
                raise ValueError("no such mount")
            every = 0
            while line := file.readline().strip():
                name, _, value = line.decode("latin-1").partition(":")
                every = int(value) if name.lower() == "icy-metaint" else every
            found = Connection()
            self.connections.append(found)
            while not self.stopping.is_set() and every:
                sound, length = file.read(every), file.read(1)
                found.sound += sound
                if not length:
                    return
                text = (
                    file.read(16 * length[0]).rstrip(b"\0").decode("utf-8", "replace")
                )
                if text.startswith("StreamTitle='"):
                    shown = text.partition("'")[2].partition("';")[0]
                    found.titles.append((len(found.sound), shown))


class Feeder:
    """Feeds a radio with songs, at a speed that may be changed.

    Args:
        radio: that is started.
        total_s: seconds of stream.
    """

    def __init__(self, radio: StreamRadio, total_s: float) -> None:
        self.speed = 1.0  # seconds of stream a second
        self.longest_write_s = 0.0
        self.position_s = 0.0
        self._radio, self._total_s = radio, total_s
        self._client: Client | None = None
        self._lead_s = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def hurry(self, client: Client, speed: float) -> None:
        """Go faster, but not so that what is under way to a client is much."""
        self._lead_s = self.position_s - client.seconds
        self._client, self.speed = client, speed

    def slow_down(self) -> None:
        """Go on in real time, when the client has what is under way."""
        client, self._client, self.speed = self._client, None, 1.0
        if client is not None:
            wait_until(lambda: self._ahead_s(client) < 3.0, 60.0, "what is under way")

    def wait(self) -> None:
        """Until all was fed."""
        self._thread.join()

    def _ahead_s(self, client: Client) -> float:
        return self.position_s - client.seconds - self._lead_s

    def _run(self) -> None:
        n_samples, due = round(BLOCK_S * RATE), time.monotonic()
        for block in range(round(self._total_s / BLOCK_S)):
            self.position_s = block * BLOCK_S
            song = int(self.position_s / SONG_S) + 1
            samples = tone(song, block * n_samples, n_samples)
            self._radio.tell(Playing(song, title(song), "dark"))
            while self._radio.ring_s > RING_S / 2.0:  # a busy machine: no faster
                time.sleep(BLOCK_S / self.speed)
            while (client := self._client) and self._ahead_s(client) > AHEAD_S:
                time.sleep(0.02)
            before = time.perf_counter()
            self._radio.tap.write(samples)
            took = time.perf_counter() - before
            self.longest_write_s = max(self.longest_write_s, took)
            due = max(due + BLOCK_S / self.speed, time.monotonic() - 0.5)
            time.sleep(max(0.0, due - time.monotonic()))


@dataclass(frozen=True)
class Heard:
    """What a client heard of the songs.

    Attributes:
        songs: that sounded for half a minute or more.
        wrong: those of them under another title in their middle.
        latest_s: the longest time from a song to its title, in s of stream.
    """

    songs: list[int]
    wrong: list[int]
    latest_s: float


def heard(connections: list[Connection]) -> Heard:
    """Put songs and titles of a client's connections side by side."""
    songs, wrong, latest = [], [], 0.0
    for each in connections:
        samples = decoded(bytes(each.sound), "mp3", is_cut=True)
        seconds = [
            song_of(samples[i : i + RATE]) for i in range(0, len(samples) - RATE, RATE)
        ]
        place = 0
        for number, group in itertools.groupby(seconds):
            length = len(list(group))
            if length >= 30:
                songs.append(number)
                middle = (place + length // 2) * BYTES_A_S
                if f"- {title(number)} (" not in each.title_at(middle):
                    wrong.append(number)
                if place:
                    latest = max(latest, _lag_s(each, number, place))
            place += length
    return Heard(songs, wrong, latest)


def _lag_s(connection: Connection, number: int, place: int) -> float:
    """Seconds of stream from a song's beginning to its title."""
    for at, shown in connection.titles:
        if f"- {title(number)} (" in shown:
            return abs(at / BYTES_A_S - place)
    return float("inf")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--speed", type=float, default=15.0)
    given = parser.parse_args()
    master, relay = free_tcp_port(), free_tcp_port()
    said: list[str] = []
    outputs = Outputs(icecast=(source_url(master, "radio.mp3"),))
    radio = StreamRadio(StreamSettings(outputs), RATE, said.append)
    half_s = 1800.0 * given.hours
    with icecast(relay, relay_of=master, look_every_s=5):
        with icecast(master):
            radio.start()
            feeder = Feeder(radio, 2.0 * half_s)
            client = Client(relay, "/relayed.mp3")
            wait_until(lambda: any(c.sound for c in client.connections), 90.0, "sound")
            feeder.hurry(client, given.speed)
            wait_until(lambda: feeder.position_s >= half_s, half_s, "half of it")
            feeder.slow_down()
        killed, n_before = time.monotonic(), len(client.connections)
        with icecast(master):
            wait_until(
                lambda: any(c.sound for c in client.connections[n_before:]),
                RETURN_S,
                "the stream again",
            )
            back_s = time.monotonic() - killed
            feeder.hurry(client, given.speed)
            feeder.wait()
            feeder.slow_down()
            client.stop()
    radio.stop()
    counts, found = radio.counts, heard(client.connections)
    latest_s = found.latest_s / given.speed
    n_songs = round(2.0 * half_s / SONG_S)
    rows = (
        (
            "songs heard by the relay's client",
            f"{len(set(found.songs))}",
            f"{n_songs}",
            set(found.songs) == set(range(1, n_songs + 1)),
        ),
        ("of these under another title", f"{len(found.wrong)}", "0", not found.wrong),
        (
            "a title after its song, s of real time",
            f"{latest_s:.1f}",
            f"under {LATEST_S:g}",
            latest_s < LATEST_S,
        ),
        (
            "from the master's end to sound again, s",
            f"{back_s:.1f}",
            f"under {RETURN_S:g}",
            back_s < RETURN_S,
        ),
        (
            "longest write of the speaker's side, ms",
            f"{1e3 * feeder.longest_write_s:.1f}",
            "",
            True,
        ),
        (
            "samples that found the ring full",
            f"{counts.dropped}",
            "0",
            counts.dropped == 0,
        ),
    )
    table = Table("", "measured", "limit", title=f"{given.hours:g} h, x{given.speed:g}")
    for name, value, limit, is_kept in rows:
        table.add_row(name, value, limit if is_kept else f"{limit} MISSED")
    Console().print(table)
    lengths = ", ".join(f"{len(c.sound) / BYTES_A_S:.0f}" for c in client.connections)
    Console().print(f"s of each connection: {lengths}; songs {found.songs}")
    Console().print("\n".join(said))
    sys.exit(int(not all(is_kept for *_, is_kept in rows)))


if __name__ == "__main__":
    main()
