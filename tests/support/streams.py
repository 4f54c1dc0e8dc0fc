"""A stream radio fed with tones, and clients of its streams."""

import http.client
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from effects.audio.levels import Samples
from engine.streams.messages import Outputs, Playing
from engine.streams.radio import StreamRadio, StreamSettings
from tests.support.waiting import wait_until

RATE = 48_000
BLOCK = 960
SPECTRA = tuple(tuple((7 * k * (i + 1)) % 256 for k in range(64)) for i in range(5))


def playing(number: int) -> Playing:
    """Song `number` as the worker is told of it."""
    return Playing(number, f"Song {number}", "dark", "ABAC", SPECTRA)


def tones(start: int, n_samples: int) -> Samples:
    """A master that tells where it is: tones that glide, shape (n, 2), at 48 kHz."""
    t = (start + np.arange(n_samples)) / RATE
    left = 0.2 * np.sin(2.0 * np.pi * (200.0 * t + 4.0 * t**2))
    right = 0.2 * np.sin(2.0 * np.pi * (330.0 * t + 3.0 * t**2))
    return np.stack([left, right], axis=1).astype(np.float32)


class Source:
    """A radio with a thread that writes tones into its tap, in real time.

    Attributes:
        radio: that is fed.
        said: lines for the user.
        finished: set when the reader of the standard output has gone.
    """

    def __init__(self, settings: StreamSettings, render: Callable[[int, int], Samples]):
        self.said: list[str] = []
        self.finished = threading.Event()
        self.radio = StreamRadio(settings, RATE, self.said.append, self.finished.set)
        self._longest_write_s = self._longest_late_s = 0.0
        self._render = render
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self.radio.start()
        self.radio.tell(playing(1))
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self.radio.stop()

    @property
    def port(self) -> int:
        return self.radio.port

    @property
    def held_s(self) -> float:
        """The longest time that a write took, less what a busy machine may take."""
        return self._longest_write_s - self._longest_late_s

    @property
    def worker(self) -> int:
        """Process number of the worker."""
        process = self.radio._process
        assert process is not None
        return process.pid

    def wait_for(self, text: str, timeout: float = 20.0) -> None:
        """Until a line with this text was said."""
        wait_until(lambda: any(text in line for line in self.said), timeout, text)

    def _run(self) -> None:
        n, began = 0, time.monotonic()
        while not self._stopping.is_set():
            block = self._render(n, BLOCK)
            before = time.perf_counter()
            self.radio.tap.write(block)
            took = time.perf_counter() - before
            self._longest_write_s = max(self._longest_write_s, took)
            n += BLOCK
            wait_s = began + n / RATE - time.monotonic()
            before = time.perf_counter()
            time.sleep(max(0.0, wait_s))
            late_s = time.perf_counter() - before - max(0.0, wait_s)
            self._longest_late_s = max(self._longest_late_s, late_s)


@contextmanager
def streaming(
    outputs: Outputs | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    render: Callable[[int, int], Samples] = tones,
) -> Iterator[Source]:
    """A radio that plays tones while the block runs; over HTTP by default."""
    source = Source(StreamSettings(outputs or Outputs(serve=True), host, port), render)
    source.start()
    try:
        yield source
    finally:
        source.stop()


def fetch(
    port: int, path: str, method: str = "GET", **headers: str
) -> http.client.HTTPResponse:
    """An answer whose body was not read yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers=headers)
    return connection.getresponse()


def ask(port: int, request: bytes, timeout: float = 20.0) -> bytes:
    """All that the server answers to raw bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(65_536):
            answer += data
    return answer


def decoded(data: bytes, container: str = "", *, is_cut: bool = False) -> Samples:
    """What ffmpeg makes of encoded bytes, shape (n, 2), at its own rate.

    Args:
        data: an encoded stream.
        container: as ffmpeg names it; by default it finds out.
        is_cut: whether the last piece may be incomplete.
    """
    given = ["-f", container] if container else []
    done = subprocess.run(
        [
            *("ffmpeg", "-v", "error", *given, "-i", "-"),
            *("-f", "f32le", "-ac", "2", "-"),
        ],
        input=data,
        capture_output=True,
        check=not is_cut,
    )
    assert is_cut or not done.stderr, done.stderr
    return np.frombuffer(done.stdout, np.float32).reshape(-1, 2)


def free_tcp_port() -> int:
    """A TCP port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    """Whether somebody answers on a TCP port."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user may write, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="latent-test-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@contextmanager
def program(
    command: Sequence[str],
    log: Path,
    *,
    as_nobody: bool = False,
    cwd: Path | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A program that runs while the block does, its output in `log`.

    Args:
        command: its arguments.
        log: file for what it says.
        as_nobody: run it as the user nobody: some programs refuse to run as root.
        cwd: folder that it runs in.
    """
    as_nobody = as_nobody and os.geteuid() == 0
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [*(prefix if as_nobody else ()), *command],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(log.parent)},
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(5.0)
                except subprocess.TimeoutExpired:
                    process.kill()
