"""What a surface has not been told yet: values that changed, and readings."""

from collections.abc import Callable
from typing import TypeAlias

from engine.control.commands import ROOT, Argument
from engine.control.controls import Controls
from engine.control.readings import READINGS
from engine.control.status import SessionStatus

Told: TypeAlias = tuple[str, tuple[Argument, ...]]  # address and arguments


class Changes:
    """Finds what to tell a surface, from one look to the next.

    Args:
        controls: whose values are told, whoever changed them.
        status: gives the status of the session.
    """

    def __init__(self, controls: Controls, status: Callable[[], SessionStatus]) -> None:
        self._controls, self._status = controls, status
        self._sent: dict[str, Argument] = {}
        self._snapshot: object = None  # the one that was looked at last
        self._shown: dict[str, tuple[tuple[Argument, ...], float]] = {}

    def look(self, now: float) -> list[Told]:
        """Return what has changed at monotonic time `now` in s; all, the first time."""
        return [*self._values(), *self._readings(now)]

    def _values(self) -> list[Told]:
        snapshot = self._controls.snapshot
        if snapshot is self._snapshot:  # every set makes a new one
            return []
        self._snapshot = snapshot
        changed = {k: v for k, v in snapshot.items() if self._sent.get(k) != v}
        self._sent |= changed
        return [(ROOT + name, (value,)) for name, value in changed.items()]

    def _readings(self, now: float) -> list[Told]:
        status = self._status()
        told: list[Told] = []
        for reading in READINGS:
            shown, since = self._shown.get(reading.name, (None, float("-inf")))
            # A little less than the period, or jitter would halve the rate.
            if now - since < 0.9 / reading.hz:
                continue
            values = reading.values(status)
            if values is not None and values != shown:
                self._shown[reading.name] = (values, now)
                told.append((ROOT + reading.name, values))
        return told
