"""The answers to OSC packets, without a socket: bytes and a sender in, packets out.

One thread calls the handler. It knows the controls and the session's actions, and
nothing of sound. Values in a row within one packet are set together, or none of them
when one does not fit; every other message is handled by itself, in its order.

Replies go to the sender, and to the ports that its host named; changes go to
subscribers, at most 20 times a second for an address. A host that neither asked nor
subscribed gets nothing, and one that is not this machine and has not subscribed gets
at most one small packet for each message.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from effects.base.errors import InputError, LatentError
from engine.control.callbacks import Say
from engine.control.commands import (
    COMMANDS_BY_NAME,
    FORMER_READINGS,
    ROOT,
    Actions,
    Command,
)
from engine.control.controls import CONTROLS, Controls, Value
from engine.control.readings import READINGS_BY_NAME
from engine.control.status import SessionStatus
from engine.osc.addresses import is_near_only
from engine.osc.clients import Address, Subscribers, TokenBucket
from engine.osc.feedback import Feedback, Packet
from engine.osc.guard import RefusedDatagram, is_pattern, messages
from engine.osc.messages import bundled, control_message, message, reading_message
from engine.osc.reports import Reports
from engine.osc.request import OscRequest, parsed
from engine.osc.values import (
    ADDRESSES,
    Echoes,
    addresses_of,
    control_addresses,
    value_at,
    value_message,
)
from engine.version import VERSION

ERRORS_PER_S = 20.0

# What a server sends: never answered, or two servers would talk for ever.
_OWN = {ROOT + name for name in ("error", "pong", "dump/end", "startup")}


@dataclass
class OscCounters:
    """Counters of one server; written by the OSC thread alone."""

    received: int = 0  # datagrams
    refused: int = 0  # datagrams that the guard did not let through
    unknown: int = 0  # messages to an address that does not exist
    rejected: int = 0  # messages whose arguments do not fit
    failed: int = 0  # exceptions of the session, caught
    changes: int = 0  # values set


class OscHandler:
    """Answers the packets of one server.

    Args:
        controls: the values to read and set.
        actions: commands and status of the session.
        say: takes a line for the user; seldom called.
        feedback: host and port of subscribers that are never forgotten.
    """

    def __init__(
        self,
        controls: Controls,
        actions: Actions,
        *,
        say: Say = lambda line: None,
        feedback: Iterable[tuple[str, int]] = (),
    ) -> None:
        self.counters = OscCounters()
        self.subscribers = Subscribers(feedback)
        self._controls, self._actions = controls, actions
        self._reports = Reports(say)
        self._errors = TokenBucket(ERRORS_PER_S, ERRORS_PER_S)
        self._echoes = Echoes()
        self._feedback = Feedback(controls, self._status, self.subscribers)
        self._server_commands: dict[str, Callable[[OscRequest], list[bytes]]] = {
            "/ping": self._ping,
            ROOT + "ping": self._ping,
            ROOT + "subscribe": self._subscribe,
            ROOT + "unsubscribe": self._unsubscribe,
            ROOT + "dump": self._dump,
        }

    def handle(self, datagram: bytes, sender: Address, now: float) -> list[Packet]:
        """Carry out a datagram; never raises.

        Args:
            datagram: as it came.
            sender: host and port that it came from.
            now: monotonic time in s.

        Returns:
            Packets to send now.
        """
        self.counters.received += 1
        try:
            return self._handle(datagram, sender, now)
        except Exception as error:
            # A mistake of this program; the server has to outlive it.
            self._fail(error, OscRequest("", (), sender, now))
            return []

    def tick(self, now: float) -> list[Packet]:
        """Return what subscribers are to get by now; call it 20 times a second."""
        return self._feedback.tick(now)

    def _handle(self, datagram: bytes, sender: Address, now: float) -> list[Packet]:
        try:
            found = messages(datagram)
        except RefusedDatagram as reason:
            self.counters.refused += 1
            request = OscRequest("", (), sender, now)
            self._reports.tell(f"refused a packet: {reason}", request)
            error = self._error(request, f"packet refused: {reason}")
            return self._reply(request, error)
        replies: list[Packet] = []
        requests = (parsed(raw, sender, now) for raw in found)
        for set_values, row in groupby(requests, key=_sets_values):
            if set_values:
                replies += self._set(list(row))
                continue
            for request in row:
                replies += self._reply(request, self._guarded(request))
        return replies

    # Values.

    def _set(self, row: Sequence[OscRequest]) -> list[Packet]:
        """Set all values of a row, or none of them; returns the echoes."""
        wanted: dict[str, Value] = {}  # by name
        touched: dict[str, OscRequest] = {}  # by address
        for request in row:
            try:
                for address, name, value in self._values(request):
                    wanted[name], touched[address] = value, request
            except InputError as error:
                self.counters.rejected += 1
                self._reports.tell("a value does not fit", request)
                return self._reply(request, self._error(request, str(error)))
        before = self._controls.snapshot
        after = self._controls.update(wanted)
        self.counters.changes += len(wanted)
        self._feedback.touch(wanted)
        return [
            (value_message(address, self._controls.snapshot), request.sender)
            for address, request in touched.items()
            if self._echoes.take(address, before, after, request.now)
        ]

    def _values(self, request: OscRequest) -> list[tuple[str, str, Value]]:
        """Return address, control and value of everything that a request sets."""
        if len(request.args) != 1:
            raise InputError(f"takes one value, got {len(request.args)}")
        self._check_pattern(request)
        return [
            (address, *value_at(address, request.args[0]))
            for address in control_addresses(request.address)
        ]

    # Everything else.

    def _guarded(self, request: OscRequest) -> list[bytes]:
        try:
            return self._answer(request)
        except LatentError as error:
            self.counters.rejected += 1
            return self._error(request, str(error))
        except Exception as error:
            # A mistake of the session, not of the sender; the music goes on.
            self._fail(error, request)
            return self._error(request, "failed inside")

    def _answer(self, request: OscRequest) -> list[bytes]:
        address = request.address
        name = address.removeprefix(ROOT)
        if name in FORMER_READINGS:
            name, address = FORMER_READINGS[name], ROOT + FORMER_READINGS[name]
        if is_pattern(address):
            return self._query(request)
        if address in ADDRESSES:
            return [value_message(address, self._controls.snapshot)]
        if address in self._server_commands:
            return self._server_commands[address](request)
        if address == ROOT + name and name in COMMANDS_BY_NAME:
            return self._command(name, request)
        if address == ROOT + name and name in READINGS_BY_NAME:
            return self._reading(name, request)
        return [] if address in _OWN else self._unknown(request)

    def _query(self, request: OscRequest) -> list[bytes]:
        """Answer a pattern with every value and reading that it stands for."""
        found = addresses_of(request.address)
        if not found:
            return self._unknown(request)
        if request.args:
            raise InputError("cannot be set")
        self._check_pattern(request)
        packets = []
        status, snapshot = self._status(), self._controls.snapshot
        for address in found:
            if address in ADDRESSES:
                packets.append(value_message(address, snapshot))
                continue
            reading = READINGS_BY_NAME[address.removeprefix(ROOT)]
            values = reading.values(status)
            if values is not None:
                packets.append(reading_message(reading, values))
        return bundled(packets)

    def _command(self, name: str, request: OscRequest) -> list[bytes]:
        command = COMMANDS_BY_NAME[name]
        args = command.pressed(request.args)
        if args is None:
            return []
        status = self._status() if command.listed else None
        self._actions.command(name, *command.check(args, status))
        return self._shown(command)

    def _shown(self, command: Command) -> list[bytes]:
        """The answer to a command that takes a while: what was asked for."""
        if not command.shown_by:
            return []
        reading = READINGS_BY_NAME[command.shown_by]
        values = reading.values(self._status())
        return [] if values is None else [reading_message(reading, values)]

    def _reading(self, name: str, request: OscRequest) -> list[bytes]:
        if request.args:
            # Not answered: the sender may be a server that takes us for a client.
            self.counters.rejected += 1
            return []
        reading = READINGS_BY_NAME[name]
        values = reading.values(self._status())
        if values is None:
            raise InputError("not known now")
        return [reading_message(reading, values)]

    # Commands to the server itself.

    def _ping(self, request: OscRequest) -> list[bytes]:
        self.subscribers.renew(request.sender, request.now)
        if request.address == "/ping":
            return []
        status = self._status()
        state = status.state if status is not None else ""
        return [message(ROOT + "pong", "ss", (VERSION, state))]

    def _subscribe(self, request: OscRequest) -> list[bytes]:
        port, seconds = _port_and_seconds(request)
        self.subscribers.add(request.sender, port, seconds, request.now)
        self._feedback.show_all()  # the new one has seen nothing yet
        return []

    def _unsubscribe(self, request: OscRequest) -> list[bytes]:
        self.subscribers.remove(request.sender, _port_and_seconds(request)[0])
        return []

    def _dump(self, request: OscRequest) -> list[bytes]:
        args = request.args
        if args and not (len(args) == 1 and not isinstance(args[0], str)):
            raise InputError("takes no argument")
        if not self._is_trusted(request.sender):
            raise InputError("subscribe first")
        snapshot = self._controls.snapshot
        packets = [
            control_message(control, snapshot[name], norm=norm)
            for name, control in CONTROLS.items()
            for norm in (False, True)
        ]
        end = message(ROOT + "dump/end", "i", (len(packets),))
        return [*bundled(packets), end]

    # Replies and errors.

    def _status(self) -> SessionStatus | None:
        try:
            return self._actions.status()
        except Exception:
            # Without a status, all readings are unknown.
            self.counters.failed += 1
            return None

    def _reply(self, request: OscRequest, packets: Sequence[bytes]) -> list[Packet]:
        """Address packets to the sender, and to the ports that its host named."""
        addresses = self.subscribers.replies_to(request.sender) if packets else ()
        return [(packet, address) for address in addresses for packet in packets]

    def _unknown(self, request: OscRequest) -> list[bytes]:
        self.counters.unknown += 1
        self._reports.tell("no such address", request)
        return self._error(request, "no such address")

    def _fail(self, error: Exception, request: OscRequest) -> None:
        self.counters.failed += 1
        self._reports.tell(f"failed: {error!r:.80}", request)

    def _error(self, request: OscRequest, text: str) -> list[bytes]:
        if request.address in _OWN or not self._is_trusted(request.sender):
            return []
        if not self._errors.take(1.0, request.now):
            return []
        return [message(ROOT + "error", "ss", (request.address, text))]

    def _check_pattern(self, request: OscRequest) -> None:
        if is_pattern(request.address) and not self._is_trusted(request.sender):
            raise InputError("subscribe first, then use patterns")

    def _is_trusted(self, sender: Address) -> bool:
        return is_near_only(sender[0]) or self.subscribers.knows(sender)


def _sets_values(request: OscRequest) -> bool:
    return bool(request.args and control_addresses(request.address))


def _port_and_seconds(request: OscRequest) -> tuple[float | None, float | None]:
    """Return the port and the seconds that a subscription names."""
    if len(request.args) > 2 or any(isinstance(a, bool | str) for a in request.args):
        raise InputError("takes a port and a time in s")
    port, seconds = (*map(float, request.args), None, None)[:2]
    return port, seconds
