"""What was done to a session, read from its journal and sorted by where it acts."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from effects.base.errors import InputError
from engine.control.controls import CONTROLS, FORMER_NAMES, Value
from engine.live.fade import FadeKind
from engine.sound.concealment import ConcealmentRecipe
from engine.sound.music import COMMANDS
from model.config import AXIS


@dataclass(frozen=True, eq=False)
class Turn:
    """A turn of the crossfade between the music and its concealment.

    Attributes:
        rises: the music comes back; else it goes.
        gain: of the loop that is gone over to.
        recipe: of that loop; None where one sounds already, or for silence.
        begins: a loop is gone over to.
    """

    rises: bool
    gain: float = 1.0
    recipe: ConcealmentRecipe | None = None
    begins: bool = False


@dataclass(frozen=True)
class Edit:
    """Something done to a session from sample `at` on.

    Attributes:
        at: sample of the stream from which it holds.
        values: controls that were set.
        command: or what was commanded.
        args: of the command.
        spliced: sample at which a change of the music is spliced in; at once if None.
        glide: samples of the crossfade there; None: as usual.
        resumed: sample from which the music was made after the change; `at` if None.
        turn: or how the crossfade to the concealment turned.
    """

    at: int
    values: Mapping[str, Value]
    command: str | None = None
    args: tuple[Any, ...] = ()
    spliced: int | None = None
    glide: int | None = None
    resumed: int | None = None
    turn: "Turn | None" = None

    @property
    def heard(self) -> int:
        """Sample of the stream from which it is heard."""
        return self.at if self.spliced is None else self.spliced


@dataclass(frozen=True)
class SortedEdits:
    """Edits by the part of the graph that they act on, each in order.

    Attributes:
        music: changes of plan, and commands to the music.
        gains: controls that act in the mixer.
        fades: fades of the mixer.
        bed: controls of the bed, and commands to it.
        turns: of the crossfade to the concealment.
    """

    music: list[Edit] = field(default_factory=list)
    gains: list[Edit] = field(default_factory=list)
    fades: list[Edit] = field(default_factory=list)
    bed: list[Edit] = field(default_factory=list)
    turns: list[Edit] = field(default_factory=list)


def edits_of(events: Sequence[Mapping[str, Any]], scale: float = 1.0) -> list[Edit]:
    """The edits among a journal's events, in their order.

    Args:
        events: as `JournalEvent` has them.
        scale: sample rate to render at, over that of the journal.
    """
    edits, bands = [], ""
    for event in events:
        edit = Edit(
            round(event["at"] * scale),
            {FORMER_NAMES.get(k, k): v for k, v in event.get("set", {}).items()},
            event.get("command"),
            tuple(event.get("args", ())),
            _scaled(event, "heard", scale),
            _scaled(event, "glide", scale),
            _scaled(event, "resumed", scale),
        )
        if "conceal" in event:
            bands = event["conceal"].get("bands", bands)
            edit = replace(edit, turn=_turn(event["conceal"], bands))
        if "set" in event or "command" in event or "conceal" in event:
            edits.append(edit)
    return edits


def _scaled(event: Mapping[str, Any], field: str, scale: float) -> int | None:
    return round(event[field] * scale) if field in event else None


def _turn(row: Mapping[str, Any], bands: str) -> Turn:
    """The turn that a row tells of.

    Raises:
        InputError: its spectrum is none.
    """
    if "clarity" not in row:
        return Turn(row["music"], begins="gain" in row)
    try:
        powers = np.frombuffer(base64.b64decode(bands, validate=True), "<f4")
    except ValueError:
        powers = np.zeros(0, np.float32)
    if len(powers) != AXIS.n_bands or not np.all(np.isfinite(powers) & (powers >= 0)):
        raise InputError(f"the journal's concealment at {row['position']} is no sound")
    recipe = ConcealmentRecipe(powers, row["position"], float(row["clarity"]))
    return Turn(row["music"], float(row["gain"]), recipe, begins=True)


def sort_edits(edits: Sequence[Edit]) -> SortedEdits:
    """Sort edits by where they act; one that sets controls of several parts is split.

    Raises:
        InputError: an edit sets what is no control, or fades by no numbers.
    """
    found = SortedEdits()
    by_acts = {"block": found.gains, "bed": found.bed}
    for edit in _split(edits):
        if edit.turn is not None:
            found.turns.append(edit)
        elif edit.command in COMMANDS:
            found.music.append(edit)
        elif edit.command in tuple(FadeKind):
            _check_fade(edit)
            found.fades.append(edit)
        elif edit.command is not None and edit.command.startswith("effects/"):
            found.bed.append(edit)
        elif edit.values:
            acts = CONTROLS[next(iter(edit.values))].acts
            by_acts.get(acts, found.music).append(edit)
    return found


def _check_fade(edit: Edit) -> None:
    """Refuse a fade whose arguments are not seconds, a level and a start.

    Raises:
        InputError: they are not.
    """
    numbers = edit.args[:3]
    if len(numbers) < 2 or not all(
        isinstance(number, int | float) and not isinstance(number, bool)
        for number in numbers
    ):
        raise InputError(f"the journal fades by {list(edit.args)!r:.60}")


def _split(edits: Sequence[Edit]) -> Iterator[Edit]:
    """Edits whose values act in the mixer, in the bed, or in the music alone."""
    for edit in edits:
        if edit.command is not None or edit.turn is not None:
            yield edit
            continue
        unknown = [name for name in edit.values if name not in CONTROLS]
        if unknown:
            raise InputError(f"the journal sets {unknown[0]:.60}, which is no control")
        for acts in (("block",), ("bed",), ("plan", "song")):
            values = {
                name: value
                for name, value in edit.values.items()
                if CONTROLS[name].acts in acts
            }
            if values:
                yield replace(edit, values=values)
