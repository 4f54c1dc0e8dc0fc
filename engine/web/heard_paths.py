"""Paths of the OSC namespace that can be listened to, and the packets of their values.

A control has two, its value and its position; a command that shows what it was asked
for has the value of that reading.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from engine.control.commands import COMMANDS, NORM, ROOT, Argument
from engine.control.controls import CONTROLS, TABLE
from engine.control.readings import READINGS, READINGS_BY_NAME
from engine.osc.messages import control_message, message, reading_message

# Path -> address at which the session tells its value.
PATHS: Mapping[str, str] = MappingProxyType(
    {ROOT + below + c.name: ROOT + c.name for c in TABLE for below in ("", NORM)}
    | {ROOT + reading.name: ROOT + reading.name for reading in READINGS}
    | {ROOT + c.name: ROOT + c.shown_by for c in COMMANDS if c.shown_by}
)
_TYPES = {ROOT + command.name: command.types for command in COMMANDS}
_PATHS_OF: dict[str, list[str]] = {}
for _path, _address in PATHS.items():
    _PATHS_OF.setdefault(_address, []).append(_path)


def paths_of(address: str) -> Sequence[str]:
    """Return the paths whose values change when the session tells this address."""
    return _PATHS_OF.get(address, ())


def packet_at(path: str, args: Sequence[Argument]) -> bytes | None:
    """Return the OSC packet of a path, for what the session has told; None if unfit."""
    name = path.removeprefix(ROOT)
    try:
        if path in _TYPES:
            return message(path, _TYPES[path], args)
        if name in READINGS_BY_NAME:
            return reading_message(READINGS_BY_NAME[name], tuple(args))
        control = CONTROLS[name.removeprefix(NORM)]
        return control_message(control, args[0], norm=name.startswith(NORM))
    except (TypeError, ValueError, IndexError):
        return None
