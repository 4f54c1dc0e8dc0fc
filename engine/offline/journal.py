"""The journal of a session: all that is needed to render it again, as JSON lines.

The first row is the header: what the session began with. Each further row is an event
at a sample: `set` (controls by name), `command` with `args`, `conceal`, `song`,
`judged` (whether its listener likes it), `underrun`, `recording`, `device`, `lost`. A
killed process can tear the last row only, and reading leaves that one out; everything
else is checked strictly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Required, TypeAlias, TypedDict

from msgspec import Meta

from effects.base.errors import InputError
from effects.base.open_file import open_regular
from effects.base.schema import decode_json
from engine.control.controls import Value
from engine.version import VERSION

FORMAT = 2  # since version 0.2.0
MAX_ROW = 1 << 20  # bytes
MAX_BYTES = 1 << 30  # of a journal that is read
MAX_SAMPLE = 1 << 53  # a double holds every integer below
KINDS = (
    *("set", "command", "conceal"),
    *("song", "judged", "underrun", "recording", "device", "lost"),
)

Sample: TypeAlias = Annotated[int, Meta(ge=0, lt=MAX_SAMPLE)]
Count: TypeAlias = Annotated[int, Meta(ge=0, lt=MAX_SAMPLE)]
Name: TypeAlias = Annotated[str, Meta(max_length=4096)]
Argument: TypeAlias = float | bool | str | None
Object: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Header:
    """What a session began with.

    Attributes:
        seed: of everything random.
        sample_rate: Hz.
        controls: values in force at the first sample.
        duration: seconds of the programme, or None without an end.
        model: sha256 of the model folder.
        model_dir: that folder, or None for the bundled model.
        preset: name, on which patterns depend.
        grammar: file or name.
        effects: names to choose from, or None for no bed.
        like: point that all sounds lie near, as `compose.likeness` writes it, or empty.
        pid: of the process that plays.
        latent: version that wrote the journal.
        started: UTC, ISO 8601; the writer fills it in when it is empty.
    """

    seed: Annotated[int, Meta(ge=0)]
    sample_rate: Annotated[int, Meta(ge=1000, le=1_000_000)]
    controls: Mapping[str, Value]
    duration: Annotated[float, Meta(gt=0.0)] | None = None
    model: Name = ""
    model_dir: Name | None = None
    preset: Name = ""
    grammar: Annotated[str, Meta(max_length=1 << 16)] = "seed"
    effects: Annotated[tuple[Name, ...], Meta(max_length=10_000)] | None = ()
    like: Name = ""
    pid: Annotated[int, Meta(ge=0, lt=1 << 31)] = 0
    latent: Name = VERSION
    started: Name = ""


class ConcealRow(TypedDict, total=False):
    """A turn between the music and its concealment.

    `music` tells whether it comes back. Where a loop is gone over to, it has a `gain`,
    and was made from the sound at sample `position` with `clarity`; `bands` are its
    powers as float32 in base64, left out where they are those of the row before.
    """

    music: Required[bool]
    gain: Annotated[float, Meta(ge=0.0, le=1e6)]
    position: Sample
    clarity: Annotated[float, Meta(ge=0.0, le=1.0)]
    bands: Annotated[str, Meta(max_length=1 << 17)]


class JournalEvent(TypedDict, total=False):
    """One row after the header: a sample, and one of `KINDS` with what belongs to it.

    `heard` is the sample at which a change of the music was spliced in, `glide` the
    length of the crossfade there if it was shorter than usual; `resumed` is the sample
    from which the music was made, where that was later than the change.
    """

    at: Required[Sample]
    heard: Sample
    glide: Count
    resumed: Sample
    conceal: ConcealRow
    set: dict[str, Value]
    command: Name
    args: Annotated[list[Argument], Meta(max_length=100)]
    song: Object
    judged: Object
    underrun: Count
    recording: Object
    device: Object
    lost: Count


@dataclass(frozen=True)
class Journal:
    """A journal as read: the header, and the events in their order."""

    header: Header
    events: tuple[JournalEvent, ...]
    torn: bool  # the last row was not whole, and is left out


def read_journal(path: Path) -> Journal:
    """Read a journal.

    Raises:
        InputError: no journal, one of another format, or a row that does not fit.
    """
    header: Header | None = None
    events: list[JournalEvent] = []
    torn, size = False, 0
    with open_regular(path) as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_ROW + 1), b""), 1):
            where = f"{path}, line {number}"
            size += len(line)
            if len(line) > MAX_ROW:
                raise InputError(f"{where}: over {MAX_ROW} bytes")
            if size > MAX_BYTES:
                raise InputError(f"{path}: over {MAX_BYTES} bytes")
            if not line.endswith(b"\n"):
                torn = True
                break
            if header is None:
                header = _header(line, where)
            else:
                events.append(_event(line, where))
    if header is None:
        raise InputError(f"{path}: holds no journal; its first row is not whole")
    return Journal(header, tuple(events), torn)


def read_header(path: Path) -> Header:
    """Read the first row of a journal.

    Raises:
        InputError: as for `read_journal`.
    """
    with open_regular(path) as file:
        line = file.readline(MAX_ROW + 1)
    if not line.endswith(b"\n"):
        raise InputError(f"{path}: holds no journal; its first row is not whole")
    return _header(line, f"{path}, line 1")


class _JournalFormat(TypedDict, total=False):
    """The field that says which format a journal has."""

    latent_journal: int


def _header(line: bytes, where: str) -> Header:
    found = decode_json(line, _JournalFormat, where).get("latent_journal")
    if found is None:
        raise InputError(f"{where}: not a journal of Latent")
    if found != FORMAT:
        age = "an older" if found < FORMAT else "a newer"
        raise InputError(
            f"{where}: a journal of format {found}, but this version reads format "
            f"{FORMAT}; replay it with {age} version of Latent, the one that wrote it"
        )
    return decode_json(line, Header, where)


def _event(line: bytes, where: str) -> JournalEvent:
    event = decode_json(line, JournalEvent, where)
    if sum(kind in event for kind in KINDS) != 1:
        raise InputError(f"{where}: an event is one of {', '.join(KINDS)}")
    return event
