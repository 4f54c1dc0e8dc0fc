"""Layouts hold every control and command, and send only what Latent understands."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from engine.cli.main import main
from engine.control.commands import COMMANDS, NORM, ROOT
from engine.control.controls import TABLE, Controls
from engine.control.readings import READINGS
from engine.osc.handler import OscHandler
from engine.osc.layout import items, open_stage_control
from engine.osc.messages import message
from engine.osc.touchosc import touchosc
from tests.support.osc import FakeSession, packet

PRESETS = ("dark", "shoreline")
SURFACE = items(PRESETS, 9471)


def understood(*packets: bytes) -> FakeSession:
    """What a session was told by packets, none of which may be complained about."""
    session = FakeSession(symbols="ABCDE")
    said: list[str] = []
    handler = OscHandler(Controls(), session, say=said.append)
    for each in packets:
        handler.handle(each, ("127.0.0.1", 9000), 0.0)
    counters = handler.counters
    wrong = (counters.refused, counters.unknown, counters.rejected, counters.failed)
    assert wrong == (0, 0, 0, 0), said
    return session


def test_a_surface_has_everything() -> None:
    addresses = {item.address for item in SURFACE}
    assert {ROOT + control.name for control in TABLE} <= addresses
    # A name that is made up cannot be given by a button.
    commands = {
        ROOT + c.name
        for c in COMMANDS
        if not c.name.startswith("midi/") and c.name != "preset/save"
    }
    assert commands <= addresses
    assert len({item.label for item in SURFACE}) == len(SURFACE)


# TouchOSC.


@pytest.fixture(scope="module")
def document() -> ET.Element:
    return ET.fromstring(zlib.decompress(touchosc(SURFACE)))


def text(node: ET.Element, path: str) -> str:
    found = node.find(path)
    assert found is not None, path
    return found.text or ""


def properties(node: ET.Element) -> dict[str, ET.Element]:
    found = {}
    for each in node.iterfind("properties/property"):
        value = each.find("value")
        assert value is not None
        assert each.get("type") in set("bifsrc")
        found[text(each, "key")] = value
    return found


def test_a_tosc_file_is_built_as_the_editor_builds_it(document: ET.Element) -> None:
    assert document.tag == "lexml"
    assert document.get("version") == "3"
    (root,) = document
    assert (root.tag, root.get("type")) == ("node", "GROUP")
    canvas = properties(root)["frame"]
    width, height = float(text(canvas, "w")), float(text(canvas, "h"))
    ids = [node.get("ID") for node in document.iter("node")]
    assert len(set(ids)) == len(ids)
    for node in root.iterfind("children/node"):
        assert node.get("type") in {"FADER", "BUTTON", "LABEL"}
        frame = properties(node)["frame"]
        left, top = float(text(frame, "x")), float(text(frame, "y"))
        assert 0 <= left < left + float(text(frame, "w")) <= width
        assert 0 <= top < top + float(text(frame, "h")) <= height
        assert {text(value, "key") for value in node.iterfind("values/value")} >= {
            "touch"
        }
        for osc in node.iterfind("messages/osc"):
            order = [child.tag for child in osc]
            assert order == [
                *("enabled", "send", "receive", "feedback", "connections"),
                *("triggers", "path", "arguments"),
            ]
            assert text(osc, "connections") == "00001"
            for partial in osc.iter("partial"):
                assert text(partial, "type") in {"CONSTANT", "VALUE"}
                kinds = {"FLOAT", "INTEGER", "STRING"}
                assert text(partial, "conversion") in kinds


def test_what_touchosc_sends_is_understood(document: ET.Element) -> None:
    sent = []
    shown = set()
    for osc in document.iter("osc"):
        address = text(osc, "path/partial/value")
        if text(osc, "receive") == "1":
            shown.add(address)
        if text(osc, "send") == "0":
            continue
        types, data = "", b""
        for partial in osc.iterfind("arguments/partial"):
            value = text(partial, "value")
            match text(partial, "type"), text(partial, "conversion"):
                case "VALUE", _:
                    types, data = types + "f", data + struct.pack(">f", 0.3)
                case _, "FLOAT":
                    types, data = types + "f", data + struct.pack(">f", float(value))
                case _, "INTEGER":
                    types, data = types + "i", data + struct.pack(">i", int(value))
                case _:
                    types += "s"
                    raw = value.encode()
                    data += raw + bytes(4 - len(raw) % 4)
        sent.append(packet(address, types, data))
    done = {row[0] for row in understood(*sent).done}
    assert {"next", "go", "play", "preset/load", "keep", "sleep"} <= done
    ours = {ROOT + below + c.name for c in TABLE for below in ("", NORM)}
    assert shown <= ours | {ROOT + reading.name for reading in READINGS}
    assert {ROOT + NORM + control.name for control in TABLE} <= shown


def test_the_same_surface_is_the_same_file() -> None:
    assert touchosc(SURFACE) == touchosc(items(PRESETS, 9471))


# Open Stage Control.


@pytest.fixture(scope="module")
def session() -> dict[str, Any]:
    loaded = json.loads(open_stage_control(SURFACE, "127.0.0.1", 9470))
    assert isinstance(loaded, dict)
    return loaded


def test_a_session_is_built_as_the_editor_builds_it(session: dict[str, Any]) -> None:
    assert session["createdWith"] == "Open Stage Control"
    assert session["type"] == "session"
    root = session["content"]
    assert root["type"] == "root"
    known = {"fader", "button", "dropdown", "text"}
    assert {widget["type"] for widget in root["widgets"]} == known
    ids = [widget["id"] for widget in root["widgets"]]
    assert len(set(ids)) == len(ids)
    places = {(widget["left"], widget["top"]) for widget in root["widgets"]}
    assert len(places) == len(ids)
    assert all(widget["target"] == "127.0.0.1:9470" for widget in root["widgets"])


def test_what_open_stage_control_sends_is_understood(session: dict[str, Any]) -> None:
    sent = []
    for widget in session["content"]["widgets"]:
        values: list[Any] = []
        match widget["type"], widget.get("mode"):
            case "fader", _:
                values = [widget["range"]["min"], widget["range"]["max"]]
            case "dropdown", _:
                values = widget["values"]
            case "button", "toggle":
                values = [widget["on"], widget["off"]]
            case "button", "tap":
                values = [widget["on"]]
            case "button", "momentary":
                sent.append(packet(widget["address"]))
        types = widget["typeTags"] or "s"
        sent += [message(widget["address"], types, (value,)) for value in values]
    done = {row[0] for row in understood(*sent).done}
    assert {"next", "go", "play", "preset/load", "keep", "sleep"} <= done


# The command.


@pytest.mark.parametrize(
    ("program", "name"),
    [("touchosc", "latent.tosc"), ("open-stage-control", "latent.json")],
)
def test_the_command_writes_a_layout_once(
    tmp_path: Path, program: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / name
    words = ["osc", "layout", "--for", program, str(out)]
    with pytest.raises(SystemExit) as first:
        main(words)
    assert first.value.code == 0
    assert "9470" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == [name]
    before = out.read_bytes()
    with pytest.raises(SystemExit) as second:
        main(words)
    assert second.value.code == 2
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    "out", ["wrong.txt", "no/such/folder/latent.tosc"], ids=["suffix", "folder"]
)
def test_a_layout_that_cannot_be_written_is_one_line(
    tmp_path: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["osc", "layout", "--for", "touchosc", str(tmp_path / out)])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
