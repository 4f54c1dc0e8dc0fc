"""The layout of an OSC surface as a TouchOSC file.

`.tosc` is an XML tree, compressed by zlib: nodes of properties (b, i, f, s, c colour,
r rectangle), values and messages, as TouchOSC's editor writes it (format 3, which later
editors read). Host and ports are set in TouchOSC itself; `connect` tells Latent on
which port it listens. Faders only have 0 to 1 and use the addresses below `norm/`.
"""

import uuid
import zlib
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from engine.control.commands import Argument
from engine.osc.layout import CELL, COLUMNS, LayoutItem, norm_address, place_of

_COLOURS = {
    "fader": (0.35, 0.6, 0.75),
    "switch": (0.8, 0.6, 0.3),
    "button": (0.5, 0.5, 0.55),
    "text": (0.2, 0.2, 0.22),
}
_IDS = uuid.UUID("5f0f3a52-9470-4c1e-8a5c-6c6174656e74")  # same layout, same file


def touchosc(surface: Sequence[LayoutItem]) -> bytes:
    """Return a `.tosc` file.

    Args:
        surface: items on it.
    """
    rows = -(-len(surface) // COLUMNS)
    size = (COLUMNS * CELL[0], rows * CELL[1])
    root = _node("GROUP", "Latent", (0, 0, *size), (0.0, 0.0, 0.0))
    children = ET.SubElement(root, "children")
    for place, item in enumerate(surface):
        children.extend(_controls(item, *place_of(place)))
    document = ET.Element("lexml", version="3")
    document.append(root)
    return zlib.compress(ET.tostring(document, "utf-8", xml_declaration=True))


def _controls(item: LayoutItem, left: int, top: int) -> list[ET.Element]:
    width, height = CELL[0] - 8, CELL[1] - 8
    label_frame = (left, top, width, height // 2 - 2)
    lower = (left, top + height // 2, width, height // 2)
    if item.shape == "text":
        label = _label(item.label, item.label, (left, top, width // 3, height))
        shown = _label(
            item.label + " value", "", (left + width // 3, top, width * 2 // 3, height)
        )
        _message(
            shown, item.address, ("VALUE", "STRING", "text"), trigger="text", send=False
        )
        return [label, shown]
    if item.shape == "button":
        button = _node("BUTTON", item.label, (left, top, width, height), None, "button")
        _property(button, "i", "buttonType", "0")  # momentary
        kinds = {"f": "FLOAT", "i": "INTEGER", "s": "STRING"}
        partials = [
            ("CONSTANT", kinds[kind], f"{arg:g}" if kind != "s" else str(arg))
            for kind, arg in zip(item.types, item.args, strict=True)
        ] or [("CONSTANT", "FLOAT", "1")]
        _message(button, item.address, *partials, when="RISE", receive=False)
        caption = _label(
            item.label + " caption", item.label, (left, top, width, height)
        )
        return [button, caption]
    assert item.control is not None
    default = item.control.to_norm(item.control.default)
    value = ("VALUE", "FLOAT", "x")
    if item.shape == "switch":
        made = _node("BUTTON", item.label, lower, None, "switch", x=default)
        _property(made, "i", "buttonType", "2")  # toggles when it is pressed
    else:
        made = _node("FADER", item.label, lower, None, "fader", x=default)
        _property(made, "i", "orientation", "1")  # east: from left to right
        _property(made, "i", "responseFactor", "100")
        if item.control.choices:
            _property(made, "b", "grid", "1")
            _property(made, "i", "gridSteps", str(len(item.control.choices)))
    _message(made, norm_address(item), value)
    half = width // 2
    label = _label(
        item.label + " label", item.label, (*label_frame[:2], half, lower[3])
    )
    shown_frame = (left + half, top, half, lower[3])
    shown = _label(item.label + " value", "", shown_frame)
    _message(
        shown, item.address, ("VALUE", "STRING", "text"), trigger="text", send=False
    )
    return [label, shown, made]


def _label(name: str, text: str, frame: tuple[int, ...]) -> ET.Element:
    node = _node("LABEL", name, frame, None, "text", text=text)
    _property(node, "b", "background", "0")
    _property(node, "b", "interactive", "0")
    _property(node, "i", "textSize", "14")
    return node


def _node(
    kind: str,
    name: str,
    frame: tuple[int, ...],
    colour: tuple[float, float, float] | None,
    shade: str = "text",
    **values: Argument,
) -> ET.Element:
    node = ET.Element("node", ID=str(uuid.uuid5(_IDS, f"{kind} {name}")), type=kind)
    ET.SubElement(node, "properties")
    _property(node, "s", "name", name)
    box = _property(node, "r", "frame", None)
    for key, number in zip("xywh", frame, strict=True):
        ET.SubElement(box, key).text = str(number)
    paint = _property(node, "c", "color", None)
    for key, part in zip("rgba", (*(colour or _COLOURS[shade]), 1), strict=True):
        ET.SubElement(paint, key).text = f"{part:g}"
    listed = ET.SubElement(node, "values")
    for value_name, value in {**values, "touch": "false"}.items():
        entry = ET.SubElement(listed, "value")
        # The layout fixes texts; positions come from messages.
        locked = "1" if value_name == "text" else "0"
        text = f"{value:g}" if isinstance(value, float) else str(value)
        fields = {"key": value_name, "locked": "0", "lockedDefaultCurrent": locked}
        for key, field in {**fields, "default": text, "defaultPull": "0"}.items():
            ET.SubElement(entry, key).text = field
    return node


def _property(node: ET.Element, kind: str, key: str, text: str | None) -> ET.Element:
    """Add a property; returns the element of its value."""
    properties = node.find("properties")
    assert properties is not None
    added = ET.SubElement(properties, "property", type=kind)
    ET.SubElement(added, "key").text = key
    value = ET.SubElement(added, "value")
    value.text = text
    return value


def _message(
    node: ET.Element,
    address: str,
    *partials: tuple[str, str, str],
    trigger: str = "x",
    when: str = "ANY",
    send: bool = True,
    receive: bool = True,
) -> None:
    """Add an OSC message with one argument for each partial."""
    messages = node.find("messages")
    if messages is None:
        messages = ET.SubElement(node, "messages")
    osc = ET.SubElement(messages, "osc")
    flags = {"enabled": True, "send": send, "receive": receive, "feedback": False}
    for key, flag in flags.items():
        ET.SubElement(osc, key).text = str(int(flag))
    ET.SubElement(osc, "connections").text = "00001"  # the first one alone
    triggered = ET.SubElement(ET.SubElement(osc, "triggers"), "trigger")
    ET.SubElement(triggered, "var").text = trigger
    ET.SubElement(triggered, "condition").text = when
    path = ET.SubElement(osc, "path")
    _partial(path, ("CONSTANT", "STRING", address))
    arguments = ET.SubElement(osc, "arguments")
    for partial in partials:
        _partial(arguments, partial)


def _partial(parent: ET.Element, partial: tuple[str, str, str]) -> None:
    element = ET.SubElement(parent, "partial")
    names = ("type", "conversion", "value")
    for key, text in zip(names, partial, strict=True):
        ET.SubElement(element, key).text = text
    ET.SubElement(element, "scaleMin").text = "0"
    ET.SubElement(element, "scaleMax").text = "1"
