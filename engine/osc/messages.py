"""OSC packets of controls, commands and readings."""

import struct
from collections.abc import Sequence
from functools import lru_cache

from pythonosc.parsing import osc_types

from engine.control.commands import NORM, ROOT, Argument, control_type
from engine.control.controls import Control, Value
from engine.control.readings import Reading, reading_types, typed

MAX_PACKET = 1400  # bytes that fit one frame of any network


def control_message(control: Control, value: Value, *, norm: bool = False) -> bytes:
    """Return the packet with a control's value, or with its position 0..1."""
    if norm:
        return message(ROOT + NORM + control.name, "f", (control.to_norm(value),))
    return message(ROOT + control.name, control_type(control), (value,))


def reading_message(reading: Reading, values: tuple[Argument, ...]) -> bytes:
    """Return the packet of a reading with these values."""
    return message(ROOT + reading.name, reading_types(reading, len(values)), values)


def message(address: str, types: str = "", values: Sequence[Argument] = ()) -> bytes:
    """Return a packet of plain arguments; liblo refuses arrays.

    Raises:
        TypeError, ValueError: a value does not fit its type.
    """
    plain = tuple(map(typed, types, values))
    types = "".join(
        ("T" if value else "F") if kind in "TF" else kind
        for kind, value in zip(types, plain, strict=True)
    )
    return _head(address, types) + b"".join(map(_argument, types, plain))


def bundled(packets: Sequence[bytes]) -> list[bytes]:
    """Put packets together into bundles of at most `MAX_PACKET` bytes.

    A packet that stands alone stays a message.
    """
    groups: list[list[bytes]] = []
    length = MAX_PACKET
    for packet in packets:
        if length + 4 + len(packet) > MAX_PACKET:
            groups.append([])
            length = 16
        groups[-1].append(packet)
        length += 4 + len(packet)
    head = b"#bundle\0" + struct.pack(">Q", 1)  # 1: immediately
    return [
        group[0]
        if len(group) == 1
        else head + b"".join(struct.pack(">i", len(p)) + p for p in group)
        for group in groups
    ]


@lru_cache(maxsize=512)
def _head(address: str, types: str) -> bytes:
    head: bytes = osc_types.write_string(address) + osc_types.write_string("," + types)
    return head


def _argument(kind: str, value: Argument) -> bytes:
    if kind == "s":
        text: bytes = osc_types.write_string(value)
        return text
    return b"" if kind in "TF" else struct.pack(">" + kind, value)
