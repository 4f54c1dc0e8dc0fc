"""What an OSC packet does, without a socket: bytes and a sender in, packets out.

One thread calls it. It knows the controls and what the session lends it, and nothing
of sound. Values in a row within one packet are set together, or none of them when one
does not fit; whatever else is in the packet follows in its order, each for itself.

Replies go to the sender, and to the ports that its host named; changes go to
subscribers, at most 20 times a second for an address. Who neither asked nor subscribed
gets nothing, and a host that is not this one and has not subscribed gets one small
packet at most for each message.
"""

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from pythonosc.osc_message import OscMessage

from effects.base.errors import InputError, LatentError
from engine.control.commands import (
    COMMANDS_BY_NAME,
    NORM,
    READINGS,
    READINGS_BY_NAME,
    ROOT,
    Actions,
    Argument,
    Status,
)
from engine.control.controls import CONTROLS, Control, Controls, Snapshot
from engine.osc.clients import Address, Subscribers, TokenBucket
from engine.osc.feedback import Feedback, Packet
from engine.osc.guard import RefusedDatagram, is_pattern, matching, messages
from engine.osc.messages import bundled, control_message, message, reading_message
from engine.version import VERSION

ERRORS_PER_S = 20.0
REPEATS = (20.0, 10.0)  # echoes a second of a value that was set to what it was
TOLD_EVERY_S = 10.0  # the same line for the user at most

Say: TypeAlias = Callable[[str], None]

# Address -> control, and whether its value is a position 0..1 on the range.
_CONTROLS: dict[str, tuple[Control, bool]] = {
    ROOT + name + suffix: (control, bool(suffix))
    for name, control in CONTROLS.items()
    for suffix in ("", NORM)
}
_MATCHABLE = (*_CONTROLS, *(ROOT + reading.name for reading in READINGS))
# What we send ourselves: never answered, or two servers would talk for ever.
_OURS = {ROOT + name for name in ("error", "pong", "dump/end", "startup")}


@dataclass
class OscCounters:
    """What happened so far; written by the OSC thread alone."""

    received: int = 0  # datagrams
    refused: int = 0  # datagrams that the guard did not let through
    unknown: int = 0  # messages to an address that there is not
    rejected: int = 0  # messages whose arguments do not fit
    failed: int = 0  # exceptions of the session, caught
    changes: int = 0  # values set


class OscHandler:
    """Answers packets for one server.

    Args:
        controls: the values to read and set.
        actions: what the session lends.
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
        self._controls, self._actions, self._say = controls, actions, say
        self._errors = TokenBucket(ERRORS_PER_S, ERRORS_PER_S)
        self._told: dict[str, tuple[float, int]] = {}  # reason -> when, how many since
        self._repeats: dict[str, TokenBucket] = {}  # address -> unchanged echoes
        self._feedback = Feedback(controls, self._status, self.subscribers)

    def handle(self, datagram: bytes, sender: Address, now: float) -> list[Packet]:
        """Do what a datagram says; never raises.

        Args:
            datagram: as it came.
            sender: from where.
            now: monotonic time in s.

        Returns:
            Packets to send now.
        """
        self.counters.received += 1
        try:
            return self._handle(datagram, sender, now)
        except Exception as error:
            # Not foreseen; the server has to outlive it.
            self.counters.failed += 1
            self._tell(f"failed: {error!r:.80}", sender, "", now)
            return []

    def tick(self, now: float) -> list[Packet]:
        """What subscribers are to get by now; call it 20 times a second."""
        return self._feedback.tick(now)

    def _handle(self, datagram: bytes, sender: Address, now: float) -> list[Packet]:
        try:
            found = messages(datagram)
        except RefusedDatagram as reason:
            self.counters.refused += 1
            self._tell(f"refused a packet: {reason}", sender, "", now)
            complaint = self._error("", f"packet refused: {reason}", sender, now)
            return self._to(sender, complaint)
        replies: list[Packet] = []
        row: list[tuple[str, tuple[Argument, ...]]] = []  # values to set together
        for raw in found:
            parsed = OscMessage(raw)
            address, args = parsed.address, tuple(parsed.params)
            if args and self._is_value(address):
                row.append((address, args))
                continue
            replies += self._set(row, sender, now)
            row = []
            replies += self._to(sender, self._guarded(address, args, sender, now))
        return replies + self._set(row, sender, now)

    # Values.

    def _is_value(self, address: str) -> bool:
        return address in _CONTROLS or (
            is_pattern(address) and any(a in _CONTROLS for a in _matching(address))
        )

    def _set(
        self,
        row: Sequence[tuple[str, tuple[Argument, ...]]],
        sender: Address,
        now: float,
    ) -> list[Packet]:
        """Set all values of a row, or none of them."""
        if not row:
            return []
        wanted: dict[str, object] = {}
        touched: dict[str, object] = {}
        for address, args in row:
            try:
                if len(args) != 1:
                    raise InputError(f"takes one value, got {len(args)}")
                if is_pattern(address) and not self._trusts(sender):
                    raise InputError("subscribe first, then use patterns")
                for each in self._addresses(address):
                    control, norm = _CONTROLS[each]
                    value = _at(control, args[0]) if norm else control.check(args[0])
                    wanted[control.name] = touched[each] = value
            except InputError as error:
                self.counters.rejected += 1
                self._tell("a value does not fit", sender, address, now)
                return self._to(sender, self._error(address, str(error), sender, now))
        before = self._controls.snapshot
        after = self._controls.update(wanted)
        self.counters.changes += len(wanted)
        self._feedback.touch(wanted)
        return [
            (self._value(address), sender)
            for address in touched
            if self._is_news(address, before, after, now)
        ]

    def _is_news(
        self, address: str, before: Snapshot, after: Snapshot, now: float
    ) -> bool:
        """Whether to echo: always, but unchanged values only so often.

        Two servers that take each other for a client would never come to rest.
        """
        name = _CONTROLS[address][0].name
        if before[name] != after[name]:
            return True
        bucket = self._repeats.setdefault(address, TokenBucket(*REPEATS))
        return bucket.take(1.0, now)

    def _value(self, address: str) -> bytes:
        control, norm = _CONTROLS[address]
        return control_message(
            control, self._controls.snapshot[control.name], norm=norm
        )

    def _addresses(self, address: str) -> list[str]:
        if not is_pattern(address):
            return [address]
        return [each for each in _matching(address) if each in _CONTROLS]

    # Everything else.

    def _guarded(
        self, address: str, args: tuple[Argument, ...], sender: Address, now: float
    ) -> list[bytes]:
        try:
            return self._answer(address, args, sender, now)
        except LatentError as error:
            self.counters.rejected += 1
            return self._error(address, str(error), sender, now)
        except Exception as error:
            # The session's fault, not the sender's; the music goes on.
            self.counters.failed += 1
            self._tell(f"failed: {error!r:.80}", sender, address, now)
            return self._error(address, "failed inside", sender, now)

    def _answer(
        self, address: str, args: tuple[Argument, ...], sender: Address, now: float
    ) -> list[bytes]:
        if is_pattern(address):
            return self._query(address, args, sender, now)
        if address in _CONTROLS:
            return [self._value(address)]
        name = address.removeprefix(ROOT)
        if address == "/ping" or name == "ping":
            self.subscribers.renew(sender, now)
            state = str(self._status().get("state", ""))
            pong = message(ROOT + "pong", "ss", (VERSION, state))
            return [pong] if name == "ping" else []
        if address == ROOT + name:
            if name in COMMANDS_BY_NAME:
                self._command(name, args)
                return []
            if name in READINGS_BY_NAME:
                return self._reading(name, args)
            if name in ("subscribe", "unsubscribe", "dump"):
                return self._client(name, args, sender, now)
        if address in _OURS:
            return []
        return self._unknown(address, sender, now)

    def _query(
        self, pattern: str, args: tuple[Argument, ...], sender: Address, now: float
    ) -> list[bytes]:
        found = _matching(pattern)
        if not found:
            return self._unknown(pattern, sender, now)
        if args:
            raise InputError("cannot be set")
        if not self._trusts(sender):
            raise InputError("subscribe first, then use patterns")
        packets = []
        status = self._status()
        for address in found:
            if address in _CONTROLS:
                packets.append(self._value(address))
                continue
            reading = READINGS_BY_NAME[address.removeprefix(ROOT)]
            values = reading.values(status)
            if values is not None:
                packets.append(reading_message(reading, values))
        return bundled(packets)

    def _command(self, name: str, args: tuple[Argument, ...]) -> None:
        command = COMMANDS_BY_NAME[name]
        can_do_without = command.optional or not command.types
        if can_do_without and len(args) == 1 and not isinstance(args[0], str):
            if not args[0]:
                return  # a button sends 1 when it is pressed, 0 when it is let go
            args = ()
        status = self._status() if command.listed else {}
        self._actions.command(name, *command.check(args, status))

    def _reading(self, name: str, args: tuple[Argument, ...]) -> list[bytes]:
        if args:
            # Not answered: it may be another server that takes us for a client.
            self.counters.rejected += 1
            return []
        values = READINGS_BY_NAME[name].values(self._status())
        if values is None:
            raise InputError("not known now")
        return [reading_message(READINGS_BY_NAME[name], values)]

    def _client(
        self, name: str, args: tuple[Argument, ...], sender: Address, now: float
    ) -> list[bytes]:
        if name == "dump":
            return self._dump(args, sender)
        if len(args) > 2 or any(isinstance(arg, bool | str) for arg in args):
            raise InputError("takes a port and a time in s")
        port, seconds = (*map(float, args), None, None)[:2]
        if name == "unsubscribe":
            self.subscribers.remove(sender, port)
            return []
        self.subscribers.add(sender, port, seconds, now)
        self._feedback.show_all()  # the new one has seen nothing yet
        return []

    def _dump(self, args: tuple[Argument, ...], sender: Address) -> list[bytes]:
        if args and not (len(args) == 1 and not isinstance(args[0], str)):
            raise InputError("takes no argument")
        if not self._trusts(sender):
            raise InputError("subscribe first")
        snapshot = self._controls.snapshot
        packets = [
            control_message(control, snapshot[name], norm=norm)
            for name, control in CONTROLS.items()
            for norm in (False, True)
        ]
        end = message(ROOT + "dump/end", "i", (len(packets),))
        return [*bundled(packets), end]

    def _unknown(self, address: str, sender: Address, now: float) -> list[bytes]:
        self.counters.unknown += 1
        self._tell("no such address", sender, address, now)
        return self._error(address, "no such address", sender, now)

    # The session, and those who are told.

    def _status(self) -> Status:
        try:
            return self._actions.status()
        except Exception:
            # A reading that fails is one that is missing.
            self.counters.failed += 1
            return {}

    def _to(self, sender: Address, packets: Sequence[bytes]) -> list[Packet]:
        """Packets to a sender, and to where its host listens if that is elsewhere."""
        addresses = self.subscribers.replies_to(sender) if packets else ()
        return [(packet, address) for address in addresses for packet in packets]

    def _trusts(self, sender: Address) -> bool:
        return _is_here(sender[0]) or self.subscribers.knows(sender)

    def _error(
        self, address: str, text: str, sender: Address, now: float
    ) -> list[bytes]:
        if address in _OURS or not self._trusts(sender):
            return []
        if not self._errors.take(1.0, now):
            return []
        return [message(ROOT + "error", "ss", (address, text))]

    def _tell(self, reason: str, sender: Address, address: str, now: float) -> None:
        """One line for the user, the same at most every ten seconds."""
        told, more = self._told.get(reason, (float("-inf"), 0))
        if now - told < TOLD_EVERY_S:
            self._told[reason] = (told, more + 1)
            return
        if len(self._told) > 64:
            self._told.clear()
        self._told[reason] = (now, 0)
        since = f", {more} more since" if more else ""
        where = f" {ascii(address)[:80]}" if address else ""
        self._say(f"OSC: {reason}{where}, from {sender[0]}{since}")


@lru_cache(maxsize=256)
def _matching(pattern: str) -> tuple[str, ...]:
    return tuple(matching(pattern, _MATCHABLE))


@lru_cache(maxsize=1024)
def _is_here(host: str) -> bool:
    """Whether a sender is on this machine."""
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def _at(control: Control, position: Argument) -> object:
    if isinstance(position, str):
        raise InputError(f"{control.name}{NORM}: {position!r:.60} is not a number")
    return control.from_norm(float(position))
