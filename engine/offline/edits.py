"""What was done to a session, read from its journal and sorted by where it acts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from effects.base.errors import InputError
from engine.control.controls import CONTROLS, Value
from engine.live.fade import FadeKind
from engine.sound.music import COMMANDS


@dataclass(frozen=True)
class Edit:
    """Something done to a session from sample `at` on.

    Attributes:
        at: sample of the stream from which it holds.
        values: controls that were set.
        command: or what was commanded.
        args: of the command.
        spliced: sample at which a change of the music is spliced in; at once if None.
    """

    at: int
    values: Mapping[str, Value]
    command: str | None = None
    args: tuple[Any, ...] = ()
    spliced: int | None = None

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
    """

    music: list[Edit] = field(default_factory=list)
    gains: list[Edit] = field(default_factory=list)
    fades: list[Edit] = field(default_factory=list)
    bed: list[Edit] = field(default_factory=list)


def edits_of(events: Sequence[Mapping[str, Any]], scale: float = 1.0) -> list[Edit]:
    """The edits among a journal's events, in their order.

    Args:
        events: as `JournalEvent` has them.
        scale: sample rate to render at, over that of the journal.
    """
    edits = []
    for event in events:
        at = round(event["at"] * scale)
        spliced = round(event["heard"] * scale) if "heard" in event else None
        if "set" in event:
            edits.append(Edit(at, dict(event["set"]), spliced=spliced))
        elif "command" in event:
            args = tuple(event.get("args", ()))
            edits.append(Edit(at, {}, event["command"], args, spliced))
    return edits


def sort_edits(edits: Sequence[Edit]) -> SortedEdits:
    """Sort edits by where they act; one that sets controls of several parts is split.

    Raises:
        InputError: an edit sets what is no control, or fades by no numbers.
    """
    found = SortedEdits()
    by_acts = {"block": found.gains, "bed": found.bed}
    for edit in _split(edits):
        if edit.command in COMMANDS:
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
        if edit.command is not None:
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
                yield Edit(edit.at, values, spliced=edit.spliced)
