"""Faults of a sound server while `latent play` records and serves."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support import audio
from tests.support.command import latent
from tests.support.playing import Player, playing
from tests.support.virtual_audio import VirtualAudio

RATE = 48_000
KINDS = ("suspend", "move", "remove", "rate", "kill server", "stop server")
OTHER_RATES = (44_100, 96_000, 48_000)
HELD_S = (0.1, 4.0)  # that a fault lasts: shorter and longer than it takes to notice
RESTS_S = (0.3, 1.5)  # between two faults
BACK_LIMIT_S = 20.0
AUDIBLE = 1e-4


@dataclass(frozen=True)
class Fault:
    """A fault that was made.

    Attributes:
        kind: what was done to the device.
        held_s: how long it lasted.
        back_s: from its end until the monitor had sound; infinite: it never had.
    """

    kind: str
    held_s: float
    back_s: float


@dataclass(frozen=True)
class FaultRun:
    """A session with faults.

    Attributes:
        faults: in order.
        exit_code: of the session, after a SIGTERM.
        end_s: from the SIGTERM to its end.
        recorded_s: length of the recording.
        played_s: as the session said it at its end.
        streamed: bytes that a listener had of the stream, and how often it was cut.
        n_different: samples of the recording that differ from those of its replay.
        children: processes of the session that were left when it had ended.
        grown: by how many its descriptors, threads and processes grew meanwhile.
        said: lines of the session.
    """

    faults: tuple[Fault, ...]
    exit_code: int
    end_s: float
    recorded_s: float
    played_s: float
    streamed: tuple[int, int]
    n_different: int
    children: tuple[int, ...]
    grown: tuple[int, ...]
    said: tuple[str, ...]


class FaultyDevice:
    """A sound server with the faults that can be made of it.

    Args:
        device: that plays, with one sink.
        rng: for how long a fault lasts.
    """

    def __init__(self, device: VirtualAudio, rng: np.random.Generator) -> None:
        self._device, self._rng = device, rng
        self._rates = itertools.cycle(OTHER_RATES)
        makers: tuple[Callable[[float], None], ...] = (
            self._suspend,
            self._move,
            self._remove,
            self._change_rate,
            self._kill,
            self._stop,
        )
        self._makers = dict(zip(KINDS, makers, strict=True))

    def make(self, kind: str) -> Fault:
        """Make a fault, end it, and wait for sound."""
        held_s = float(self._rng.uniform(*HELD_S))
        self._makers[kind](held_s)
        ended = time.monotonic()
        back_s = float("inf")
        with self._device.capture() as capture:
            while time.monotonic() - ended < BACK_LIMIT_S:
                if np.any(np.abs(capture.samples()[-RATE // 10 :]) > AUDIBLE):
                    back_s = time.monotonic() - ended
                    break
                time.sleep(0.02)
        return Fault(kind, held_s, back_s)

    def _suspend(self, seconds: float) -> None:
        self._device.suspend_sink(True)
        time.sleep(seconds)
        self._device.suspend_sink(False)

    def _move(self, seconds: float) -> None:
        self._device.load_sink("second")
        self._to("second")
        time.sleep(min(seconds, 1.0))
        self._to("latent")
        self._device.unload_sink("second")

    def _to(self, sink: str) -> None:
        """Move the session's stream; one that is being replaced is waited for."""
        deadline = time.monotonic() + BACK_LIMIT_S
        while not self._device.streams(sink):
            assert time.monotonic() < deadline, "there is no stream to move"
            for line in self._device.control("list", "short", "sink-inputs").split(
                "\n"
            ):
                with contextlib.suppress(RuntimeError):
                    self._device.control("move-sink-input", line.split("\t")[0], sink)

    def _remove(self, seconds: float) -> None:
        self._device.unload_sink()
        time.sleep(seconds)
        self._device.load_sink()

    def _change_rate(self, seconds: float) -> None:
        self._device.unload_sink()
        self._device.rate = next(self._rates)
        self._device.load_sink()

    def _kill(self, seconds: float) -> None:
        self._device.crash()
        time.sleep(seconds)
        self._device.start()

    def _stop(self, seconds: float) -> None:
        with self._device.frozen():
            time.sleep(seconds)


class Listener:
    """A listener of the session's HTTP stream, who joins again when it is cut."""

    def __init__(self, url: str) -> None:
        self.n_bytes, self.n_cuts = 0, 0
        self._url = url
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._ending.set()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                with urllib.request.urlopen(self._url, timeout=10.0) as stream:
                    while not self._ending.is_set():
                        piece = stream.read(4096)
                        if not piece:
                            break
                        self.n_bytes += len(piece)
            except OSError:
                pass
            if not self._ending.is_set():
                self.n_cuts += 1
                time.sleep(0.5)


def run_faults(
    home: Path,
    kinds: Iterator[str],
    n_faults: int,
    rng: np.random.Generator,
    *options: str,
) -> FaultRun:
    """Play with a recording and a stream while faults are made; then end it.

    Args:
        home: LATENT_HOME, to itself.
        kinds: of the faults, at least so many.
        n_faults: how many are made.
        rng: for how long they last, and the time between them.
        options: of `latent play` besides.

    Raises:
        AssertionError: the session ended by itself, or its recording is not valid.
    """
    file = home / "faults.flac"
    asked = ["--seed", int(rng.integers(1000)), "--record", file, *options]
    with VirtualAudio(RATE) as device:
        faulty = FaultyDevice(device, rng)
        with (
            playing(*asked, "--serve", "0", home=home, env=device.env) as player,
            _listening(player) as listener,
        ):
            faults: list[Fault] = []
            time.sleep(RESTS_S[1])
            before = _held_by(player.process.pid)
            for kind in itertools.islice(kinds, n_faults):
                time.sleep(rng.uniform(*RESTS_S))
                faults.append(faulty.make(kind))
                assert player.process.poll() is None, player.said
            time.sleep(RESTS_S[1])
            after = _held_by(player.process.pid)
            children = children_of(player.process.pid)
            asked_at = time.monotonic()
            code = player.stop()
            end_s = time.monotonic() - asked_at
        left = tuple(pid for pid in children if os.path.exists(f"/proc/{pid}"))
    tested = subprocess.run(["flac", "-t", "-s", str(file)], capture_output=True)
    assert tested.returncode == 0, tested.stderr
    recorded, rate = audio.load(file)
    said = player.lines[-1]
    return FaultRun(
        faults=tuple(faults),
        exit_code=code,
        end_s=end_s,
        recorded_s=len(recorded) / rate,
        played_s=float(said.partition("played ")[2].split()[0]),
        streamed=(listener.n_bytes, listener.n_cuts),
        n_different=_n_different(home, file),
        children=left,
        grown=tuple(b - a for a, b in zip(before, after, strict=True)),
        said=tuple(player.lines),
    )


def children_of(pid: int) -> list[int]:
    """Numbers of the processes that a process has started and that live."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in path.read_text().split()]
    return found


def _held_by(pid: int) -> tuple[int, int, int]:
    """How many descriptors, threads and processes a process has.

    Files on the disk are not counted: loops of the bed come and go.
    """
    process = Path(f"/proc/{pid}")
    links = [os.readlink(entry) for entry in (process / "fd").iterdir()]
    held = [link for link in links if link.startswith(("pipe:", "socket:", "/memfd:"))]
    threads = list((process / "task").iterdir())
    return len(held), len(threads), len(children_of(pid))


@contextmanager
def _listening(player: Player) -> Iterator[Listener]:
    said = next(line for line in player.lines if "serving http" in line)
    address = said.partition("serving ")[2].split()[0]
    listener = Listener(address.replace("stream.m3u", "stream.mp3"))
    try:
        yield listener
    finally:
        listener.stop()


def _n_different(home: Path, file: Path) -> int:
    """How many samples of a recording are not those of its session's replay."""
    (journal,) = (home / "state" / "journals").glob("*.jsonl")
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    (end,) = [r["recording"] for r in rows if "first" in r.get("recording", {})]
    again = file.with_name("again.flac")
    done = latent("replay", journal, again, home=home)
    assert done.returncode == 0, done.stderr
    recorded, rate = audio.load(file)
    rendered, _ = audio.load(again)
    part = rendered[end["first"] : end["first"] + len(recorded)]
    assert len(recorded) - len(part) < rate, "the replay is shorter"
    return int(np.any(recorded[: len(part)] != part, axis=1).sum())


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def kill(pid: int) -> None:
    """End a process without a word."""
    os.kill(pid, signal.SIGKILL)
