"""The OSC namespace as a tree of OSCQuery nodes, from the tables of its addresses.

The format follows https://github.com/Vidvox/OSCQueryProposal.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from engine.control.commands import (
    COMMANDS,
    NORM,
    ROOT,
    Argument,
    Command,
    control_type,
)
from engine.control.controls import TABLE, Control
from engine.control.readings import READINGS, READINGS_BY_NAME, Reading, reading_types
from engine.control.status import SessionStatus
from engine.osc.addresses import is_everywhere

Node: TypeAlias = dict[str, Any]

READ, WRITE = 1, 2
ATTRIBUTES = (
    "FULL_PATH",
    "CONTENTS",
    "TYPE",
    "ACCESS",
    "VALUE",
    "RANGE",
    "DESCRIPTION",
    "UNIT",
    "CLIPMODE",
)


# Some clients refuse a whole tree for one node without a value, or for one that has
# both a value and nodes below it. So every leaf has one, and nothing lies below it.
_BLANK: Mapping[str, Argument] = MappingProxyType(
    {"f": 0.0, "i": 0, "s": "", "T": False, "F": False}
)


@dataclass(frozen=True)
class QueryValues:
    """What the nodes of a tree show.

    Attributes:
        controls: values by name.
        reading: gives the values of a reading; None while they are not known.
        choices: gives the texts that a command takes now.
    """

    controls: Mapping[str, Any]
    reading: Callable[[Reading], Sequence[Argument] | None]
    choices: Callable[[Command], tuple[str, ...]]


def values_of(controls: Mapping[str, Any], status: SessionStatus | None) -> QueryValues:
    """Return what a session in this process shows.

    Args:
        controls: values by name.
        status: of the session; None if it cannot be had.
    """
    return QueryValues(
        controls,
        lambda reading: reading.values(status),
        lambda command: command.choices_in(status),
    )


def tree(values: QueryValues) -> Node:
    """Return the whole namespace as an OSCQuery node."""
    root: Node = {"FULL_PATH": "/", "ACCESS": 0, "CONTENTS": {}}
    for control in TABLE:
        value = values.controls[control.name]
        _put(root, ROOT + control.name, _of_control(control, value))
        _put(root, ROOT + NORM + control.name, _of_norm(control, value))
    for command in COMMANDS:
        _put(root, ROOT + command.name, _of_command(command, values))
    for reading in READINGS:
        _put(root, ROOT + reading.name, _of_reading(reading, values))
    return root


def answer(root: Node, path: str, attribute: str) -> tuple[int, Node | None]:
    """Return the HTTP status and the JSON for a node, or for one of its attributes.

    Args:
        root: the whole namespace.
        path: an OSC address.
        attribute: one of `ATTRIBUTES`; empty for the whole node.
    """
    node = find(root, path)
    if node is None:
        return 404, None
    if not attribute:
        return 200, node
    if attribute not in ATTRIBUTES:
        return 400, None
    return (200, {attribute: node[attribute]}) if attribute in node else (204, None)


def find(root: Node, path: str) -> Node | None:
    """Return the node at an OSC address, or None."""
    node: Node | None = root
    for part in path.strip("/").split("/"):
        if part and node is not None:
            node = node.get("CONTENTS", {}).get(part)
    return node


def host_info(
    name: str, osc: tuple[str, int] | None, listen: tuple[str, int] | None
) -> Node:
    """Return where the servers are, and what this one can do.

    An address that stands for all of a machine is left out: a client takes the one
    under which it has reached this server.

    Args:
        name: of this server.
        osc: host and UDP port of the OSC server, or None without one.
        listen: host and TCP port of the WebSocket that tells of changes, or None.
    """
    extensions = {key: True for key in ATTRIBUTES if key not in ("FULL_PATH", "TYPE")}
    can_listen = {"LISTEN": listen is not None, "PATH_CHANGED": listen is not None}
    info: Node = {"NAME": name, "EXTENSIONS": {**extensions, **can_listen}}
    for prefix, place in (("OSC", osc), ("WS", listen)):
        if place is not None:
            host, port = place
            info |= {} if not host or is_everywhere(host) else {f"{prefix}_IP": host}
            info[f"{prefix}_PORT"] = port
    return info if osc is None else {**info, "OSC_TRANSPORT": "UDP"}


def _put(root: Node, address: str, leaf: Node) -> None:
    node, path = root, ""
    for part in address.strip("/").split("/"):
        path += "/" + part
        contents = node.setdefault("CONTENTS", {})
        node = contents.setdefault(part, {"FULL_PATH": path, "ACCESS": 0})
    node.update(leaf)


def _of_control(control: Control, value: Any) -> Node:
    kind = control_type(control)
    node: Node = {
        "TYPE": kind,
        "ACCESS": READ | WRITE,
        "VALUE": [value],
        "DESCRIPTION": control.text,
    }
    if kind == "s":
        node["RANGE"] = [{"VALS": list(control.choices)}]
    if kind == "f":
        node["RANGE"] = [{"MIN": control.low, "MAX": control.high}]
        node["CLIPMODE"] = ["both"]
    if control.unit:
        node["UNIT"] = [control.unit]
    return node


def _of_norm(control: Control, value: Any) -> Node:
    return {
        "TYPE": "f",
        "ACCESS": READ | WRITE,
        "VALUE": [control.to_norm(value)],
        "RANGE": [{"MIN": 0.0, "MAX": 1.0}],
        "CLIPMODE": ["both"],
        "DESCRIPTION": f"{control.name} as a position on its range.",
    }


def _of_command(command: Command, shows: QueryValues) -> Node:
    node: Node = {"ACCESS": WRITE, "DESCRIPTION": command.text}
    # Without an argument: a switch, which does something only when turned on.
    node["TYPE"] = kind = command.types or "T"
    shown = READINGS_BY_NAME.get(command.shown_by)
    values = shows.reading(shown) if shown is not None else None
    node["VALUE"] = list(values or _blank(kind))
    choices = shows.choices(command)
    if choices:
        node["RANGE"] = [{"VALS": list(choices)}]
    if command.types == "f":
        node["RANGE"] = [{"MIN": command.low, "MAX": command.high}]
        node["CLIPMODE"] = ["both"]
        node["UNIT"] = [command.unit]
    return node


def _of_reading(reading: Reading, shows: QueryValues) -> Node:
    values = shows.reading(reading)
    types = reading_types(reading, len(values or _blank(reading.types)))
    node: Node = {"TYPE": types, "ACCESS": READ, "DESCRIPTION": reading.text}
    node["VALUE"] = list(values or _blank(types))
    if reading.unit:
        node["UNIT"] = [reading.unit] * len(types)
    return node


def _blank(types: str) -> list[Argument]:
    """Values of OSC types that stand for what is not known now."""
    return [_BLANK[kind] for kind in types.rstrip("*")]
