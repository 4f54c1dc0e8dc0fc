"""The file that keeps what MIDI messages are bound to.

`midi.json` in the configuration folder has a row for each binding:

    {"message": "control_change", "channel": 0, "number": 7, "to": "master/gain"}

A row of a knob that sends steps has a `mode` as well, see `midi_knobs`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from effects.base.errors import InputError, RunError
from effects.base.open_file import read_bytes
from effects.base.schema import decode_json
from effects.base.whole_file import write_whole
from engine.control.commands import COMMANDS_BY_NAME
from engine.surfaces.midi_knobs import KINDS, MidiSource, Mode

MAX_FILE = 256 * 1024  # bytes


@dataclass(frozen=True)
class MidiBinding:
    """What a source is bound to.

    Attributes:
        to: a control, or a command without an argument.
        mode: what a knob sends.
    """

    to: str
    mode: Mode = Mode.ABSOLUTE


@dataclass(frozen=True)
class _BindingRow:
    """A row of the file: a source, and what it is bound to."""

    message: str
    channel: Annotated[int, Meta(ge=0, le=15)]
    number: Annotated[int, Meta(ge=0, le=127)]
    to: str
    mode: Mode = Mode.ABSOLUTE


def load(path: Path) -> dict[MidiSource, MidiBinding]:
    """Read bindings from a file; empty if there is no file.

    Raises:
        InputError: it is not a file of bindings.
    """
    if not path.exists():
        return {}
    content = read_bytes(path, MAX_FILE, "list of MIDI bindings")
    try:
        rows = decode_json(content, list[_BindingRow], str(path))
        return dict(map(_binding, rows))
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise InputError(
            f"{path}: not a list of MIDI bindings ({reason}); mend or remove it"
        ) from error


def save(path: Path, bindings: Mapping[MidiSource, MidiBinding]) -> None:
    """Write bindings to a file, whole or not at all.

    Raises:
        RunError: the file cannot be written.
    """
    rows = [_row(source, binding) for source, binding in bindings.items()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be written ({error.strerror})") from error
    write_whole(path, json.dumps(rows, indent=1) + "\n")


def check_target(target: str) -> None:
    """Refuse what no message can be bound to.

    Raises:
        InputError: there is no such control, and no such command without an argument.
    """
    if target not in COMMANDS_BY_NAME["midi/learn"].choices:
        raise InputError(f"{target!r:.60}: no control, and no command to be bound")


def _row(source: MidiSource, binding: MidiBinding) -> dict[str, object]:
    row: dict[str, object] = {**asdict(source), "to": binding.to}
    if binding.mode is not Mode.ABSOLUTE:
        row["mode"] = binding.mode.value
    return row


def _binding(row: _BindingRow) -> tuple[MidiSource, MidiBinding]:
    if row.message not in KINDS:
        raise InputError(f"no MIDI message {row.message!r:.40}")
    check_target(row.to)
    source = MidiSource(row.message, row.channel, row.number)
    return source, MidiBinding(row.to, row.mode)
