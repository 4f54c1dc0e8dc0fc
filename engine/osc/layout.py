"""The layout of an OSC surface, from the tables of controls, commands and readings.

It is written here as a session of Open Stage Control: JSON, in which each widget names
its target and the root subscribes by itself. `touchosc` writes it for TouchOSC.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from engine.control.commands import COMMANDS, NORM, ROOT, Argument
from engine.control.controls import TABLE, Control
from engine.control.readings import READINGS

COLUMNS = 4
CELL = (250, 64)  # width and height in points
LEASE_S = 3600.0  # of the subscription that `connect` asks for
MINUTES = {"keep": (60.0, 600.0, 3600.0), "sleep": (0.0, 30.0, 60.0)}  # of buttons
SHOWN = ("song/title", "song/pattern", "song/symbol", "song/progress", "preset/name")

Shape: TypeAlias = Literal["fader", "switch", "choice", "button", "text"]


@dataclass(frozen=True)
class LayoutItem:
    """One item of a surface.

    Attributes:
        shape: of its widget.
        label: shown on it, and unique.
        address: of OSC that it sends to and shows.
        control: that it turns, or None.
        types: OSC types of the arguments that a button sends.
        args: arguments that a button sends when it is pressed.
    """

    shape: Shape
    label: str
    address: str
    control: Control | None = None
    types: str = ""
    args: tuple[Argument, ...] = ()


def norm_address(item: LayoutItem) -> str:
    """The address of an item's control as a position 0..1."""
    return item.address.replace(ROOT, ROOT + NORM, 1)


def items(presets: Sequence[str], reply_port: int) -> list[LayoutItem]:
    """Return the items of a surface: texts, controls in their order, buttons.

    Args:
        presets: names of presets to have a button each.
        reply_port: UDP port on which the surface listens.
    """
    port = ("if", (reply_port, LEASE_S))
    found = [LayoutItem("button", "connect", ROOT + "subscribe", None, *port)]
    found += [
        LayoutItem("text", r.name, ROOT + r.name) for r in READINGS if r.name in SHOWN
    ]
    for control in TABLE:
        shape: Shape = "fader"
        if control.choices:
            shape = "choice"
        elif isinstance(control.default, bool):
            shape = "switch"
        found.append(LayoutItem(shape, control.name, ROOT + control.name, control))
    for command in COMMANDS:
        address = ROOT + command.name
        if not command.types or command.optional:
            found.append(LayoutItem("button", command.name, address))
        for choice in () if command.name.startswith("midi/") else command.choices:
            label = f"{command.name} {choice}"
            found.append(LayoutItem("button", label, address, None, "s", (choice,)))
        for number in MINUTES.get(command.name, ()):
            label = f"{command.name} {number:g} {command.unit}"
            found.append(LayoutItem("button", label, address, None, "f", (number,)))
    load = ROOT + "preset/load"
    found += [LayoutItem("button", name, load, None, "s", (name,)) for name in presets]
    return found


# Open Stage Control.


def open_stage_control(surface: Sequence[LayoutItem], host: str, port: int) -> bytes:
    """Return a session file for Open Stage Control 1.x.

    Args:
        surface: items on it.
        host: that Latent listens on.
        port: UDP port that Latent listens on.
    """
    target = f"{host}:{port}"
    # It sends from the port on which it listens, so `connect` need not name one.
    widgets = [
        _widget(_RECONNECT if item.label == _RECONNECT.label else item, place, target)
        for place, item in enumerate(surface)
    ]
    subscribe = f"send('{target}', '{ROOT}subscribe')"
    root = {
        "type": "root",
        "id": "root",
        "onCreate": f"{subscribe}\nsetInterval(function() {{ {subscribe} }}, 20000)",
        "widgets": widgets,
        "tabs": [],
    }
    session = {
        "createdWith": "Open Stage Control",
        "version": "1.25.0",
        "type": "session",
        "content": root,
    }
    return (json.dumps(session, indent=2) + "\n").encode()


_RECONNECT = LayoutItem("button", "connect", ROOT + "subscribe")


def _widget(item: LayoutItem, place: int, target: str) -> dict[str, Any]:
    (left, top), (width, height) = place_of(place), CELL
    widget: dict[str, Any] = {
        "type": item.shape,
        "id": item.label.replace("/", "_").replace(" ", "_"),
        "left": left,
        "top": top,
        "width": width - 8,
        "height": height - 8,
        "label": item.label,
        "address": item.address,
        "target": target,
        "typeTags": item.types,
    }
    control = item.control
    if item.shape == "fader" and control is not None:
        low, high = {"min": control.low}, {"max": control.high}
        widget |= {
            "horizontal": True,
            "design": "compact",
            "range": {**low, **high},
            "default": control.default,
            "decimals": 3,
            "doubleTap": True,
            "typeTags": "f",
            "html": f"<small>{item.label} {control.unit}</small>",
        }
    elif item.shape == "switch":
        # The address below norm/ has numbers, which all versions compare alike.
        widget |= {"type": "button", "mode": "toggle", "on": 1, "off": 0}
        widget |= {"address": norm_address(item), "typeTags": "f"}
    elif item.shape == "choice" and control is not None:
        widget |= {"type": "dropdown", "values": list(control.choices)}
        widget |= {"label": f"{item.label}: %value", "typeTags": "s"}
    elif item.shape == "button":
        widget |= {"mode": "tap", "on": item.args[0]} if item.args else {}
        widget |= {} if item.args else {"mode": "momentary"}
    return widget


def place_of(index: int) -> tuple[int, int]:
    """Return left and top of a cell in points."""
    return index % COLUMNS * CELL[0], index // COLUMNS * CELL[1]
