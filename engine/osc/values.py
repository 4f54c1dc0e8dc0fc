"""Values of controls over OSC: which address is which control, and its packets."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from effects.base.errors import InputError
from engine.control.commands import NORM, ROOT, Argument
from engine.control.controls import CONTROLS, FORMER_NAMES, Control, Snapshot, Value
from engine.control.readings import READINGS
from engine.osc.clients import TokenBucket
from engine.osc.guard import is_pattern, matching
from engine.osc.messages import control_message, message

_FORMER_NORM = "/norm"  # behind a control, until version 0.2.0
# Address -> control, and whether its value is a position 0..1 on the range.
ADDRESSES: Mapping[str, tuple[Control, bool]] = MappingProxyType(
    {
        address: (CONTROLS[FORMER_NAMES.get(name, name)], is_norm)
        for name in (*CONTROLS, *FORMER_NAMES)
        for address, is_norm in (
            (ROOT + name, False),
            (ROOT + NORM + name, True),
            (ROOT + name + _FORMER_NORM, True),
        )
    }
)
REPEATS = (20.0, 10.0)  # unchanged values that are echoed a second, and at once
# Patterns stand for the names of today alone, or a control would answer twice.
_MATCHABLE = (
    *(ROOT + below + name for name in CONTROLS for below in ("", NORM)),
    *(ROOT + reading.name for reading in READINGS),
)


@lru_cache(maxsize=256)
def addresses_of(pattern: str) -> tuple[str, ...]:
    """Return the addresses of controls and readings that a pattern stands for."""
    return tuple(matching(pattern, _MATCHABLE))


def control_addresses(address: str) -> list[str]:
    """Return the addresses of controls that an address or a pattern stands for."""
    if not is_pattern(address):
        return [address] if address in ADDRESSES else []
    return [each for each in addresses_of(address) if each in ADDRESSES]


def value_at(address: str, argument: Argument) -> tuple[str, Value]:
    """Return the control at an address, and its value for an argument.

    Raises:
        InputError: the argument does not fit.
    """
    control, is_norm = ADDRESSES[address]
    if not is_norm:
        return control.name, control.check(argument)
    if isinstance(argument, str):
        raise InputError(f"{NORM}{control.name}: {argument!r:.60} is not a number")
    return control.name, control.from_norm(float(argument))


def value_message(address: str, snapshot: Snapshot) -> bytes:
    """Return the packet with the value at an address."""
    control, is_norm = ADDRESSES[address]
    value = snapshot[control.name]
    if address.endswith(_FORMER_NORM):  # whoever asks there listens there
        return message(address, "f", (control.to_norm(value),))
    return control_message(control, value, norm=is_norm)


class Echoes:
    """Limits how often a value that was set to what it was is echoed.

    Two servers that take each other for a client would never come to rest otherwise.
    """

    def __init__(self) -> None:
        self._repeats: dict[str, TokenBucket] = {}  # by address

    def take(self, address: str, before: Snapshot, after: Snapshot, now: float) -> bool:
        """Whether to echo the value at an address, at monotonic time `now` in s."""
        name = ADDRESSES[address][0].name
        if before[name] != after[name]:
            return True
        bucket = self._repeats.setdefault(address, TokenBucket(*REPEATS))
        return bucket.take(1.0, now)
