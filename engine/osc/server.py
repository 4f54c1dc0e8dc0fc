"""The OSC server: a thread of its own with UDP sockets, around a `OscHandler`.

It knows the controls and the session's `Actions`, never the audio path. It listens on
this machine alone unless it is told otherwise.
"""

import contextlib
import errno
import selectors
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from effects.base.errors import InputError, RunError
from engine.control.callbacks import Say
from engine.control.commands import Actions
from engine.control.controls import Controls
from engine.osc.addresses import is_near_only, is_neighbour
from engine.osc.clients import DatagramQueue
from engine.osc.feedback import TICK_S, Packet
from engine.osc.guard import MAX_LENGTH
from engine.osc.handler import OscHandler

HOST = "127.0.0.1"
PORT = 9470
RATE = 1000.0  # small messages a second, some 3 % of a core; see DatagramQueue
BURST = 400.0
BATCH = 256  # datagrams read at once; as many without a pause are a flood
FLOOD_PAUSE_S = 0.05  # between batches: 5,000 datagrams a second at most
IDLE_S = 0.25  # between ticks while there is no subscriber


@dataclass(frozen=True)
class OscSettings:
    """Where an OSC server listens, and which clients always get every change.

    Attributes:
        host: address to listen on; a loopback address keeps other machines out.
        port: UDP port; 0 takes a free one.
        feedback: host and port of subscribers that never expire.
    """

    host: str = HOST
    port: int = PORT
    feedback: tuple[tuple[str, int], ...] = ()


class OscServer:
    """Receives and sends OSC from `start` to `stop`.

    Args:
        controls: the values to read and set.
        actions: commands and status of the session; called from the server's thread.
        settings: where to listen.
        say: takes one line for the user; called from the server's thread.
    """

    def __init__(
        self,
        controls: Controls,
        actions: Actions,
        settings: OscSettings | None = None,
        say: Say = lambda line: None,
    ) -> None:
        self.settings = settings or OscSettings()
        self.handler = OscHandler(
            controls, actions, say=say, feedback=self.settings.feedback
        )
        self.intake = DatagramQueue(RATE, BURST)
        self.port = 0  # the port in use, once started
        self._say = say
        self._sockets: list[socket.socket] = []
        self._stopping = threading.Event()
        self._pair: tuple[socket.socket, ...] = ()  # wakes the thread so that it ends
        self._thread = threading.Thread(target=self._run, name="osc", daemon=True)

    def start(self) -> None:
        """Open the port and begin.

        Raises:
            RunError: the port cannot be opened.
            InputError: not an address of this machine, or no such port.
        """
        self._sockets = _open(self.settings.host, self.settings.port)
        self._pair = socket.socketpair()
        self.port = self._sockets[0].getsockname()[1]
        if not is_near_only(self.settings.host):
            self._say(
                f"OSC: open to the network on {self.settings.host}:{self.port}; "
                "anyone who can reach it can control the session"
            )
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread and close the port, once; harmless when not started."""
        self._stopping.set()
        if self._thread.is_alive():
            self._pair[0].send(b".")
            self._thread.join(timeout)
        for each in (*self._sockets, *self._pair):
            each.close()
        self._sockets, self._pair = [], ()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for each in self._sockets:
                selector.register(each, selectors.EVENT_READ)
            selector.register(self._pair[1], selectors.EVENT_READ)
            begun, n_since = time.monotonic(), 0  # datagrams read since then
            while not self._stopping.is_set():
                busy = self.handler.subscribers.addresses or len(self.intake)
                ready = selector.select(TICK_S if busy else IDLE_S)
                n_read = 0
                for each in self._sockets:
                    if any(key.fileobj is each for key, _ in ready):
                        n_read += self._drain(each)
                now = time.monotonic()
                for datagram, sender in self.intake.ready(now):
                    self._send(self.handler.handle(datagram, sender, now))
                self._send(self.handler.tick(now))
                since = time.monotonic() - begun
                n_since += n_read
                if since >= FLOOD_PAUSE_S:
                    begun, n_since = begun + since, 0
                elif n_since >= BATCH:
                    self._stopping.wait(FLOOD_PAUSE_S - since)
                    begun, n_since = time.monotonic(), 0

    def _drain(self, from_socket: socket.socket) -> int:
        """Read the datagrams that have come, at most a batch; returns how many."""
        for n_read in range(BATCH):
            try:
                datagram, sender = from_socket.recvfrom(MAX_LENGTH + 1)
            except BlockingIOError:
                return n_read
            except OSError:
                # An earlier reply was refused, or the interface is gone.
                self._stopping.wait(TICK_S)
                return n_read
            if not is_neighbour(sender[0]) or sender[1] == self.port:
                continue  # not to this server either: a forged sender makes a loop
            now = time.monotonic()
            if self.intake.admit(datagram, sender, now):
                self._send(self.handler.handle(datagram, sender, now))
        return BATCH

    def _send(self, packets: Iterable[Packet]) -> None:
        for packet, address in packets:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            for each in self._sockets:
                if each.family == family:
                    with contextlib.suppress(OSError):  # gone, or a full buffer
                        each.sendto(packet, address)
                    break


def _open(host: str, port: int) -> list[socket.socket]:
    if not 0 <= port <= 65_535:
        raise InputError(f"OSC port {port}: choose from 1 to 65535")
    first = _bind(host, port)
    if host != HOST:
        return [first]
    # Clients that look up `localhost` may find ::1 first.
    try:
        return [first, _bind("::1", first.getsockname()[1])]
    except (RunError, InputError):
        return [first]


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        opened = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise RunError(f"OSC: {error.strerror}") from error
    try:
        opened.setblocking(False)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise RunError(
                f"OSC: UDP port {port} on {host} is in use; end the other program or "
                "choose another port with --osc"
            ) from error
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise InputError(f"OSC: {host} is no address of this machine") from error
        raise RunError(f"OSC: UDP port {port} on {host}: {error.strerror}") from error
    return opened
