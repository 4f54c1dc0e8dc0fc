"""The OSC namespace as a tree of OSCQuery nodes, from the tables of its addresses.

The format follows https://github.com/Vidvox/OSCQueryProposal.
"""

from collections.abc import Mapping
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


def tree(values: Mapping[str, Any], status: SessionStatus | None) -> Node:
    """Return the whole namespace as an OSCQuery node.

    Args:
        values: of the controls, by name.
        status: of the session, for the readings; None if it cannot be had.
    """
    root: Node = {"FULL_PATH": "/", "ACCESS": 0, "CONTENTS": {}}
    for control in TABLE:
        value = values[control.name]
        _put(root, ROOT + control.name, _of_control(control, value))
        _put(root, ROOT + NORM + control.name, _of_norm(control, value))
    for command in COMMANDS:
        _put(root, ROOT + command.name, _of_command(command, status))
    for reading in READINGS:
        _put(root, ROOT + reading.name, _of_reading(reading, status))
    return root


def find(root: Node, path: str) -> Node | None:
    """Return the node at an OSC address, or None."""
    node: Node | None = root
    for part in path.strip("/").split("/"):
        if part and node is not None:
            node = node.get("CONTENTS", {}).get(part)
    return node


def host_info(name: str, host: str, port: int) -> Node:
    """Return where the OSC server listens, and the attributes that nodes have."""
    extensions = {key: True for key in ATTRIBUTES if key not in ("FULL_PATH", "TYPE")}
    return {
        "NAME": name,
        "OSC_IP": host,
        "OSC_PORT": port,
        "OSC_TRANSPORT": "UDP",
        "EXTENSIONS": {**extensions, "CONTENTS": True, "LISTEN": False},
    }


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


def _of_command(command: Command, status: SessionStatus | None) -> Node:
    node: Node = {"ACCESS": WRITE, "DESCRIPTION": command.text}
    # Without an argument: a switch, which does something only when turned on.
    node["TYPE"] = kind = command.types or "T"
    shown = READINGS_BY_NAME.get(command.shown_by)
    values = shown.values(status) if shown is not None else None
    node["VALUE"] = list(values or _blank(kind))
    choices = command.choices_in(status)
    if choices:
        node["RANGE"] = [{"VALS": list(choices)}]
    if command.types == "f":
        node["RANGE"] = [{"MIN": command.low, "MAX": command.high}]
        node["CLIPMODE"] = ["both"]
        node["UNIT"] = [command.unit]
    return node


def _of_reading(reading: Reading, status: SessionStatus | None) -> Node:
    values = reading.values(status)
    types = reading_types(reading, len(values or _blank(reading.types)))
    node: Node = {"TYPE": types, "ACCESS": READ, "DESCRIPTION": reading.text}
    node["VALUE"] = list(values or _blank(types))
    if reading.unit:
        node["UNIT"] = [reading.unit] * len(types)
    return node


def _blank(types: str) -> list[Argument]:
    """Values of OSC types that stand for what is not known now."""
    return [_BLANK[kind] for kind in types.rstrip("*")]
