"""The session's side of the streams: starts the worker, feeds it, revives it.

The mixer writes into a shared ring; all else is done by the worker. Listening sockets
and the ring stay here: a worker that died is replaced, and its listeners come back to
the same address.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

from effects.audio.levels import Samples
from effects.base.errors import RunError
from effects.base.search_path import child_environment
from engine.control.callbacks import Say
from engine.streams.messages import (
    Outputs,
    Playing,
    StreamCounts,
    WorkerPlan,
    WorkerReport,
    from_line,
    to_line,
)
from engine.streams.replacing import keep_replacing
from engine.streams.shared_ring import SharedRing
from engine.streams.sockets import HOST, listen

PORT = 8000
RING_S = 8.0
END_S = 4.0  # the worker has so long to hand out what is left


@dataclass(frozen=True)
class StreamSettings:
    """Which streams a session has.

    Attributes:
        outputs: where the master goes.
        host: to listen on for HTTP, if `outputs.serve`.
        port: TCP, 0 for a free one.
        stdout: whether PCM goes to the standard output.
        port_required: whether it is an error that the port is in use; otherwise a
            free one is taken.
    """

    outputs: Outputs
    host: str = HOST
    port: int = PORT
    stdout: bool = False
    port_required: bool = True

    @property
    def has_outputs(self) -> bool:
        """Whether there is any stream."""
        o = self.outputs
        others = o.icecast or o.hls or o.snapcast or o.pipe
        return o.serve or self.stdout or bool(others)


class RingTap:
    """What the mixer writes to: the shared ring, as a tap.

    Args:
        ring: of the session's streams.
    """

    def __init__(self, ring: SharedRing) -> None:
        self._ring = ring

    def write(self, samples: Samples) -> bool:
        """Callback: copy a block, or count it as dropped."""
        return self._ring.write(samples)


class StreamRadio:
    """Streams of a session: give `tap` to the mixer, then `start`.

    Args:
        settings: which there are.
        sample_rate: Hz, of the master.
        say: takes one line for the user; called from a thread of its own.
        on_finished: called once when the reader of the standard output has gone.
    """

    def __init__(
        self,
        settings: StreamSettings,
        sample_rate: int,
        say: Say,
        on_finished: Callable[[], None] = lambda: None,
    ) -> None:
        self.port = 0  # TCP port in use, once started
        self.counts = StreamCounts()  # replaced, never changed
        self._settings, self._rate, self._say = settings, sample_rate, say
        self._on_finished = on_finished
        self._ring = SharedRing.create(round(RING_S * sample_rate))
        self.tap = RingTap(self._ring)
        self._sockets: list[socket.socket] = []
        self._playing = Playing()
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()  # of the worker's standard input
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)

    def start(self) -> None:
        """Open the port and start the worker.

        Raises:
            InputError: not an address of this machine.
            RunError: the port is in use.
        """
        if self._settings.outputs.serve:
            self._sockets = self._listen()
            self.port = self._sockets[0].getsockname()[1]
        self._process = self._start_worker()
        self._thread.start()
        if self._sockets:
            self._say(f"serving {self.url}/stream.m3u (.mp3 .opus .flac)")
        if self._settings.stdout or self._settings.outputs.pipe:
            target = self._settings.outputs.pipe or "stdout"
            self._say(
                f"{target}: {self._settings.outputs.pcm}, {self._rate} Hz, 2 channels"
            )

    @property
    def url(self) -> str:
        """Address of the streams, as another program on this machine uses it."""
        host = self._settings.host
        if host in ("0.0.0.0", "::"):  # any address: the one of this machine's name
            host = socket.gethostname()
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def ring_s(self) -> float:
        """Seconds of the master that wait for the worker."""
        return self._ring.waiting / self._rate

    def tell(self, playing: Playing) -> None:
        """Say which song plays; returns at once."""
        if playing == self._playing:
            return
        self._playing = playing
        self._send(to_line(playing))

    def stop(self) -> None:
        """Let the worker hand out what is left, and end it; harmless if not started."""
        self._stopping.set()
        process = self._process
        if process is not None:
            self._close_input(process)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._thread.is_alive():
            self._thread.join(END_S)
        for each in self._sockets:
            each.close()
        self._sockets = []
        self._ring.close()

    def _listen(self) -> list[socket.socket]:
        host, port = self._settings.host, self._settings.port
        try:
            return listen(host, port, "--serve")
        except RunError:
            if self._settings.port_required:
                raise
            return listen(host, 0, "--serve")

    def _close_input(self, process: "subprocess.Popen[str]") -> None:
        """Tell the worker that the session has ended."""
        with self._lock, contextlib.suppress(OSError):
            assert process.stdin is not None
            process.stdin.close()

    def _send(self, line: str) -> None:
        process = self._process
        with self._lock, contextlib.suppress(OSError, ValueError):
            if process is not None and process.stdin is not None:
                process.stdin.write(line)
                process.stdin.flush()

    def _start_worker(self) -> "subprocess.Popen[str]":
        stdout = os.dup(1) if self._settings.stdout else -1
        plan = WorkerPlan(
            self._settings.outputs,
            self._rate,
            self._ring.capacity,
            self._ring.descriptor,
            tuple(each.fileno() for each in self._sockets),
            stdout,
        )
        passed = [plan.ring, *plan.sockets, *([stdout] if stdout >= 0 else [])]
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "engine.streams.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=passed,
                text=True,
                env=child_environment(),
            )
        finally:
            if stdout >= 0:
                os.close(stdout)
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, which is noticed later
            process.stdin.write(to_line(plan) + to_line(self._playing))
            process.stdin.flush()
        return process

    def _run(self) -> None:
        """Read what the worker says, and replace it when it ends."""
        assert self._process is not None
        keep_replacing(
            self._process,
            attend=self._attend,
            start=self._start_another,
            stopping=self._stopping,
            say=self._say,
            name="the stream worker",
        )

    def _attend(self, process: "subprocess.Popen[str]") -> None:
        self._read(process)
        process.wait()
        self._close_input(process)

    def _start_another(self) -> "subprocess.Popen[str] | None":
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = self._start_worker()
            return self._process

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                report = from_line(line, WorkerReport)
                if report.say:
                    self._say(report.say)
                else:
                    self.counts = report.counts
                if report.finished and not self._stopping.is_set():
                    self._on_finished()
