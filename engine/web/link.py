"""The session's side of the page: a Unix socket, and a thread that speaks over it.

Whoever is linked gets the session's facts and a shared ring of the master, then every
change of a value, and sends messages: the same that OSC has, checked by the same
tables. Links are processes of the same user; what comes over a network was checked by
them before, and is checked again here.
"""

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from effects.base.errors import InputError, LatentError
from engine.control.callbacks import Say
from engine.control.changes import Changes, Told
from engine.control.commands import COMMANDS_BY_NAME, ROOT, Actions, Argument
from engine.control.controls import Controls
from engine.control.readings import READINGS_BY_NAME
from engine.control.steady import Steady
from engine.live.mixer import MasterSink
from engine.osc.values import ADDRESSES, value_at
from engine.streams.radio import RingTap
from engine.streams.shared_ring import SharedRing
from engine.web.link_folder import LinkListener
from engine.web.messages import (
    MAX_MESSAGE,
    READY,
    BadMessage,
    SessionFacts,
    WebMessage,
    decoded,
    encoded,
    facts_line,
)

TICK_S = 1.0 / 30.0
IDLE_S = 1.0  # between looks while nobody is linked
RING_S = 12.0  # a page that takes its time to start misses nothing of the song
MAX_PEERS = 8
MAX_WAITING = 1 << 20  # bytes that a peer has not taken: it is gone, or stuck


@dataclass(eq=False)
class _Peer:
    """A process that is linked."""

    socket: socket.socket
    ring: SharedRing
    tap: RingTap
    changes: Changes
    received: bytearray = field(default_factory=bytearray)
    waiting: bytearray = field(default_factory=bytearray)


class SessionLink:
    """Speaks to the processes that are linked to a session, from `start` to `stop`.

    Args:
        controls: the values to read and set.
        actions: commands and status of the session; called from the link's thread.
        facts: told to each peer.
        add_tap: sends the master to a ring as well.
        remove_tap: takes that back.
        say: takes one line for the user.
    """

    def __init__(
        self,
        controls: Controls,
        actions: Actions,
        facts: SessionFacts,
        add_tap: Callable[[MasterSink], None],
        remove_tap: Callable[[MasterSink], None],
        say: Say = lambda line: None,
    ) -> None:
        self._steady = Steady("page", say)
        self._controls, self._actions, self._facts = controls, actions, facts
        self._add_tap, self._remove_tap = add_tap, remove_tap
        self._peers: list[_Peer] = []
        self._arriving: list[socket.socket] = []
        self._listener: LinkListener | None = None
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    def start(self) -> None:
        """Begin; a folder that cannot be written leaves the session without a name."""
        with contextlib.suppress(OSError):
            self._listener = LinkListener()
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread and all links; harmless when not started."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._wake.send(b".")
        if self._thread.is_alive():
            self._thread.join(timeout)
        for peer in tuple(self._peers):
            self._drop(peer)
        if self._listener is not None:
            self._listener.close()
        for each in (*self._arriving, self._wake, self._woken):
            each.close()
        self._selector.close()

    def connect(self) -> socket.socket:
        """Any thread: return one end of a new link, for a child process."""
        near, far = socket.socketpair()
        self._arriving.append(near)
        self._wake.send(b".")
        return far

    def _run(self) -> None:
        self._selector.register(self._woken, selectors.EVENT_READ)
        if self._listener is not None:
            self._selector.register(self._listener.socket, selectors.EVENT_READ)
        due = time.monotonic()
        while not self._stopping.is_set():
            period = TICK_S if self._peers else IDLE_S
            ready = self._selector.select(max(0.0, due - time.monotonic()))
            for key, _ in ready:
                self._steady.do(partial(self._take, key))
            if (now := time.monotonic()) >= due:
                due = max(due + period, now)
                for peer in tuple(self._peers):
                    self._steady.do(partial(self._tell, peer, now))
            due = min(due, time.monotonic() + period)

    def _take(self, key: selectors.SelectorKey) -> None:
        """Read what a socket has."""
        if key.fileobj is self._woken:
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
            while self._arriving:
                self._welcome(self._arriving.pop(0))
        elif self._listener is not None and key.fileobj is self._listener.socket:
            with contextlib.suppress(OSError):
                self._welcome(self._listener.socket.accept()[0])
        else:
            self._read(key.data)

    def _welcome(self, arrived: socket.socket) -> None:
        if len(self._peers) >= MAX_PEERS:
            arrived.close()
            return
        try:
            ring = SharedRing.create(round(RING_S * self._facts.sample_rate))
        except OSError:  # no memory, no descriptors
            arrived.close()
            raise
        facts = replace(self._facts, capacity=ring.capacity)
        try:
            socket.send_fds(arrived, [facts_line(facts)], [ring.descriptor])
        except OSError:  # gone already
            arrived.close()
            ring.close()
            return
        arrived.setblocking(False)
        changes = Changes(self._controls, self._actions.status)
        peer = _Peer(arrived, ring, RingTap(ring), changes)
        self._add_tap(peer.tap)
        self._peers.append(peer)
        self._selector.register(arrived, selectors.EVENT_READ, peer)
        self._tell(peer, time.monotonic())
        self._send(peer, [(READY, (True,))])  # all was told

    def _read(self, peer: _Peer) -> None:
        try:
            data = peer.socket.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        peer.received += data
        *lines, rest = peer.received.split(b"\n")
        peer.received = rest
        if not data or len(rest) > MAX_MESSAGE:
            self._drop(peer)
            return
        for line in lines:
            try:
                told = self._carry_out(decoded(bytes(line)))
            except BadMessage as reason:
                told = [(ROOT + "error", ("", str(reason)))]
            self._send(peer, told)

    def _carry_out(self, message: WebMessage) -> list[Told]:
        """Do what a message says; returns what its sender is told. Never raises."""
        try:
            return self._answer(message.address, message.args)
        except LatentError as error:
            text = str(error)
        except Exception as error:
            # A mistake of this program; the session has to outlive it.
            text = f"failed inside: {error!r:.80}"
        return [(ROOT + "error", (message.address, text))]

    def _answer(self, address: str, args: tuple[Argument, ...]) -> list[Told]:
        name = address.removeprefix(ROOT)
        if address in ADDRESSES:
            if len(args) > 1:
                raise InputError(f"takes one value, got {len(args)}")
            if args:
                self._controls.set(*value_at(address, args[0]))
            name = ADDRESSES[address][0].name
            return [(ROOT + name, (self._controls.snapshot[name],))]
        if name in COMMANDS_BY_NAME:
            command = COMMANDS_BY_NAME[name]
            if (given := command.pressed(args)) is not None:
                status = self._actions.status() if command.listed else None
                self._actions.command(name, *command.check(given, status))
            return []
        if name in READINGS_BY_NAME and not args:
            values = READINGS_BY_NAME[name].values(self._actions.status())
            if values is None:
                raise InputError("not known now")
            return [(ROOT + name, values)]
        is_shown = name in READINGS_BY_NAME and address == ROOT + name
        raise InputError("is shown, not set" if is_shown else "no such address")

    def _tell(self, peer: _Peer, now: float) -> None:
        try:
            told = peer.changes.look(now)
        except Exception:  # without a status there is nothing to tell
            told = []
        self._send(peer, told)

    def _send(self, peer: _Peer, told: list[Told]) -> None:
        for address, args in told:
            peer.waiting += encoded(address, args).encode() + b"\n"
        if not peer.waiting:
            return
        try:
            del peer.waiting[: peer.socket.send(peer.waiting)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(peer)
            return
        if len(peer.waiting) > MAX_WAITING:
            self._drop(peer)

    def _drop(self, peer: _Peer) -> None:
        if peer not in self._peers:
            return
        self._peers.remove(peer)
        self._remove_tap(peer.tap)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(peer.socket)
        peer.socket.close()
        peer.ring.close()
