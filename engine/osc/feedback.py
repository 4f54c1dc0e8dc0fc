"""Feedback to OSC subscribers: values that changed, and readings."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from engine.control.commands import Argument
from engine.control.controls import CONTROLS, Controls, Snapshot
from engine.control.readings import READINGS
from engine.control.status import SessionStatus
from engine.osc.clients import Address, Subscribers
from engine.osc.messages import bundled, control_message, reading_message

Packet: TypeAlias = tuple[bytes, Address]

TICK_S = 0.05  # between packets of changes
STATUS_S = 0.1  # between looks at the status


class Feedback:
    """Sends subscribers what they have not seen yet.

    Args:
        controls: whose changes are sent, from any surface.
        status: gives the status of the session; None if it cannot be had.
        subscribers: that it is sent to.
    """

    def __init__(
        self,
        controls: Controls,
        status: Callable[[], SessionStatus | None],
        subscribers: Subscribers,
    ) -> None:
        self._controls, self._status = controls, status
        self._subscribers = subscribers
        self._sent = controls.snapshot
        self._touched: set[str] = set()
        self._shown: dict[str, tuple[tuple[Argument, ...], float]] = {}
        self._next_tick = self._next_status = float("-inf")

    def touch(self, names: Iterable[str]) -> None:
        """Send these controls even if they did not change, as after clamping."""
        self._touched.update(names)

    def show_all(self) -> None:
        """Send all readings again, for a new subscriber."""
        self._shown.clear()

    def tick(self, now: float) -> list[Packet]:
        """Return the packets for monotonic time `now` in s; none between ticks."""
        if now < self._next_tick:
            return []
        self._next_tick = now + TICK_S
        self._subscribers.expire(now)
        if not self._subscribers.addresses:
            self._sent = self._controls.snapshot
            self._touched.clear()
            return []
        packets = bundled([*self._values(), *self._readings(now)])
        return [
            (packet, address)
            for address in self._subscribers.addresses
            for packet in packets
        ]

    def _values(self) -> list[bytes]:
        snapshot: Snapshot = self._controls.snapshot
        if snapshot is self._sent:  # every set makes a new one
            return []
        changed = {name for name in snapshot if snapshot[name] != self._sent[name]}
        changed |= self._touched
        self._sent, self._touched = snapshot, set()
        return [
            control_message(control, snapshot[name], norm=norm)
            for name, control in CONTROLS.items()
            if name in changed
            for norm in (False, True)
        ]

    def _readings(self, now: float) -> list[bytes]:
        if now < self._next_status:
            return []
        self._next_status = now + STATUS_S
        status = self._status()
        packets = []
        for reading in READINGS:
            values = reading.values(status)
            shown, since = self._shown.get(reading.name, (None, float("-inf")))
            # A little less than the period, or jitter would halve the rate.
            if values is None or values == shown or now - since < 0.9 / reading.hz:
                continue
            self._shown[reading.name] = (values, now)
            packets.append(reading_message(reading, values))
        return packets
