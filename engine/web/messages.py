"""Messages of the page and of the session's link: JSON with OSC's names and types."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from engine.control.commands import COMMANDS, ROOT, Argument, control_type
from engine.control.controls import TABLE, Control, Snapshot
from engine.version import VERSION

PAGE = "/page/"  # messages between the page and its server alone
READY = "/page/session"  # what a session says once it has told all values
MAX_MESSAGE = 16_384  # bytes of one that a page sends
MAX_ARGUMENTS = 512
MAX_TEXT = 4096  # letters of an argument

Values: TypeAlias = dict[str, list[Any]]  # arguments by address

_ADDRESS = re.compile(r"/(?:latent|page)(?:/[a-z0-9-]{1,32}){1,4}")


class BadMessage(Exception):  # noqa: N818 - a verdict, not a failure
    """Raised for a message that is none; its text says why in a few words."""


@dataclass(frozen=True)
class WebMessage:
    """One message.

    Attributes:
        address: as `/latent/master/gain`.
        args: its arguments.
    """

    address: str
    args: tuple[float | bool | str, ...] = ()


@dataclass(frozen=True)
class SessionFacts:
    """What stays the same in a session, told once to whoever is linked to it.

    Attributes:
        sample_rate: Hz, of the master.
        capacity: samples of the ring whose descriptor comes with these facts.
        model: folder of the model; empty for the bundled one.
        seed: of the session.
        preset: that it began with.
        grammar: name of the grammar, or its file.
        like: point that its sounds lie near, or nothing.
        journal: file of the journal; empty without one.
        recordings: folder that recordings go to.
        osc_host: address that the session's OSC server listens on; empty without one.
        osc_port: UDP port of that server.
    """

    sample_rate: int
    capacity: int = 0
    model: str = ""
    seed: int = 0
    preset: str = ""
    grammar: str = ""
    like: str = ""
    journal: str = ""
    recordings: str = ""
    osc_host: str = ""
    osc_port: int = 0


_decoder = msgspec.json.Decoder(WebMessage)
_facts = msgspec.json.Decoder(SessionFacts)


def encoded(address: str, args: Iterable[Any] = ()) -> str:
    """Return a message as text."""
    return msgspec.json.encode({"address": address, "args": list(args)}).decode()


def decoded(text: str | bytes) -> WebMessage:
    """Return the message that a text holds.

    Raises:
        BadMessage: it holds none, or one that is too large.
    """
    if len(text) > MAX_MESSAGE:
        raise BadMessage("too long")
    try:
        message = _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadMessage("not a message") from None
    if not _ADDRESS.fullmatch(message.address):
        raise BadMessage("no such address")
    if len(message.args) > MAX_ARGUMENTS:
        raise BadMessage("too many arguments")
    if any(isinstance(a, str) and not _is_text(a) for a in message.args):
        raise BadMessage("not a text")
    return message


def facts_line(facts: SessionFacts) -> bytes:
    """Return facts as one line."""
    return msgspec.json.encode(facts) + b"\n"


def facts_from(line: bytes) -> SessionFacts:
    """Return the facts of a line.

    Raises:
        BadMessage: it holds none.
    """
    try:
        return _facts.decode(line)
    except msgspec.DecodeError:
        raise BadMessage("not a session's facts") from None


def hello(values: Values, facts: SessionFacts | None, *, may_change: bool) -> str:
    """Return the first message to a page: what there is, and the state.

    Args:
        values: of controls and readings that are known, by address.
        facts: of the session, or None while there is none.
        may_change: whether this page may change anything.
    """
    controls = [_control_row(each, values) for each in TABLE]
    commands = [
        {
            "name": each.name,
            "address": ROOT + each.name,
            "text": each.text,
            "types": each.types,
            "unit": each.unit,
            "low": each.low,
            "high": each.high,
            "choices": each.choices,
            "optional": each.optional,
        }
        for each in COMMANDS
    ]
    of_controls = {row["address"] for row in controls}
    there_is = {
        "version": VERSION,
        "may_change": may_change,
        "session": facts is not None,
        "sample_rate": facts.sample_rate if facts else 0,
        "seed": facts.seed if facts else 0,
        "controls": controls,
        "commands": commands,
        "readings": {k: v for k, v in values.items() if k not in of_controls},
    }
    return encoded(PAGE + "hello", [there_is])


def snapshot_values(snapshot: Snapshot) -> Values:
    """Return the values of controls by address."""
    return {ROOT + name: [value] for name, value in snapshot.items()}


def _control_row(control: Control, values: Values) -> dict[str, Any]:
    address = ROOT + control.name
    found: list[Argument] = values.get(address, [control.default])
    return {
        "name": control.name,
        "address": address,
        "group": control.name.partition("/")[0] if "/" in control.name else "sound",
        "text": control.text,
        "type": control_type(control),
        "unit": control.unit,
        "low": control.low,
        "high": control.high,
        "curve": control.curve,
        "choices": control.choices,
        "default": control.default,
        "value": found[0],
    }


def _is_text(text: str) -> bool:
    return len(text) <= MAX_TEXT and text.isprintable()
