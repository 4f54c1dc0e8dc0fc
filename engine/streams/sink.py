"""Sinks: outputs of the worker that may stall, each with a thread and a queue.

`put` never waits: what a sink does not take within some seconds is counted and lost,
and neither the others nor the speaker notice.
"""

import contextlib
import os
import queue
import select
import socket
import stat
import threading
import time
from collections.abc import Callable
from typing import Protocol

from effects.audio.levels import Samples
from effects.base.errors import RunError
from engine.control.callbacks import Say
from engine.streams.messages import Playing
from engine.streams.pcm import PCM_RATE, PcmConverter

QUEUE_S = 8.0
BLOCK_S = 0.1  # that the worker gives at a time
RETRY_S = (1.0, 60.0)  # first and longest wait before an output is tried again
STEADY_S = 30.0  # an output that held for so long is tried again at once
CONNECT_S = 10.0
WRITE_S = 20.0  # a peer that takes nothing for so long counts as gone


class StoppedError(Exception):
    """The sink was told to end while it waited."""


class Target(Protocol):
    """What a sink feeds."""

    def open(self) -> None:
        """Connect; may take seconds.

        Raises:
            OSError, RunError: it is not there, or refuses.
        """

    def write(self, samples: Samples, playing: Playing) -> None:
        """Take a block, shape (n, 2).

        Raises:
            OSError, RunError: it has gone.
        """

    def close(self) -> None:
        """Give up what is open; harmless if nothing is."""


class Sink:
    """Feeds a target from a thread of its own, and comes back when it was lost.

    Args:
        name: as messages call it, without a password.
        target: what is fed.
        say: takes one line for the user.
        once: end, and call `on_end`, when the target has gone, instead of trying again.
        on_end: see `once`.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        say: Say,
        *,
        once: bool = False,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.lost = 0  # samples
        self._name, self._target, self._say = name, target, say
        self._once, self._on_end = once, on_end
        self._blocks: queue.Queue[tuple[Samples, Playing] | None]
        self._blocks = queue.Queue(round(QUEUE_S / BLOCK_S))
        self._stopping = threading.Event()
        self._is_open = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def put(self, samples: Samples, playing: Playing) -> None:
        """Offer a block, shape (n, 2); it is counted as lost when the queue is full."""
        if not self._is_open:
            return
        try:
            self._blocks.put_nowait((samples, playing))
        except queue.Full:
            self.lost += len(samples)

    def stop(self, timeout: float) -> None:
        """Let what is queued go out, for so long at most, and end."""
        with contextlib.suppress(queue.Full):
            self._blocks.put_nowait(None)
        if not self._is_open:
            self._stopping.set()
        self._thread.join(timeout)
        self._stopping.set()
        self._target.close()

    def _run(self) -> None:
        wait = RETRY_S[0]
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._target.open()
                self._is_open = True
                self._say(f"{self._name}: streaming")
                self._feed()
                return
            except StoppedError:
                return
            except (OSError, RunError) as error:
                problem = _reason(error)
            finally:
                was_open, self._is_open = self._is_open, False
                self._target.close()
                self._empty()
            if self._once:
                self._on_end()
                return
            if time.monotonic() - began > STEADY_S:
                wait = RETRY_S[0]
            verb = "lost" if was_open else "cannot connect"
            self._say(f"{self._name}: {verb} ({problem}); again in {wait:g} s")
            self._stopping.wait(wait)
            wait = min(2.0 * wait, RETRY_S[1])

    def _feed(self) -> None:
        while (item := self._blocks.get()) is not None:
            self._target.write(*item)

    def _empty(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._blocks.get_nowait()


class DescriptorTarget:
    """Raw PCM to a descriptor that is open already, as the standard output.

    Args:
        descriptor: to write to.
        converter: of the samples.
    """

    def __init__(self, descriptor: int, converter: PcmConverter) -> None:
        self._descriptor, self._converter = descriptor, converter

    def open(self) -> None:
        """It is."""

    def write(self, samples: Samples, playing: Playing) -> None:
        """Write all of a block, waiting for the reader."""
        write_all(self._descriptor, self._converter.convert(samples))

    def close(self) -> None:
        """Close the descriptor, so that the reader sees the end."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class FifoTarget:
    """Raw PCM to a FIFO, for one reader after the other.

    Args:
        path: of the FIFO.
        make: makes a converter for each reader.
    """

    def __init__(self, path: str, make: Callable[[], PcmConverter]) -> None:
        self._path, self._make = path, make
        self._descriptor = -1
        self._closed = threading.Event()
        self._converter = make()

    def open(self) -> None:
        """Wait for a reader."""
        self._converter = self._make()
        while not self._closed.is_set():
            try:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads, or it is being made again
                self._closed.wait(0.25)
                continue
            if not stat.S_ISFIFO(os.fstat(self._descriptor).st_mode):
                raise RunError("no FIFO any more")
            return
        raise StoppedError

    def write(self, samples: Samples, playing: Playing) -> None:
        """Write all of a block; a reader that stalls is waited for."""
        write_all(self._descriptor, self._converter.convert(samples))

    def close(self) -> None:
        """Close it for this reader."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def stop_waiting(self) -> None:
        """Any thread: end `open` while it waits for a reader."""
        self._closed.set()


class TcpTarget:
    """Raw PCM of 48 kHz and 16 bits to a TCP port, as a source of snapserver.

    Args:
        host: of the server.
        port: of its source.
        sample_rate: Hz, of the samples given.
    """

    def __init__(self, host: str, port: int, sample_rate: int) -> None:
        self._address, self._rate = (host, port), sample_rate
        self._socket: socket.socket | None = None
        self._converter = PcmConverter("s16le", sample_rate, PCM_RATE)

    def open(self) -> None:
        """Connect."""
        self._converter = PcmConverter("s16le", self._rate, PCM_RATE)
        self._socket = socket.create_connection(self._address, CONNECT_S)
        self._socket.settimeout(WRITE_S)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def write(self, samples: Samples, playing: Playing) -> None:
        """Send a block; an end of the connection is seen at once."""
        assert self._socket is not None
        check_peer(self._socket)
        self._socket.sendall(self._converter.convert(samples))

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def check_peer(peer: socket.socket) -> None:
    """See whether the peer has closed; what it says is let go.

    Raises:
        ConnectionError: it has.
    """
    ready, _, _ = select.select([peer], [], [], 0.0)
    if ready and not peer.recv(4096):
        raise ConnectionResetError("closed by the other side")


def write_all(descriptor: int, data: bytes) -> None:
    """Write to a descriptor that may be blocking or not.

    Raises:
        OSError: the reader has gone.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            select.select([], [descriptor], [], 1.0)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
