"""The table of commands: what a surface can do besides turning controls.

Controls and readings have tables of their own; these are what OSC, MIDI, media keys,
the terminal and the command line offer. Types are those of OSC, addresses lie below
`ROOT`.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, TypeAlias

from effects.base.errors import InputError
from effects.bed.mix import mix_from
from engine.control.controls import CONTROLS, Control, as_float
from engine.control.status import SessionStatus

ROOT = "/latent/"
NORM = "norm/"  # before a control: the same control as a position 0..1
FORMER_READINGS: Mapping[str, str] = MappingProxyType(
    {"sleep/remaining": "sleep-remaining"}
)

Argument: TypeAlias = float | bool | str

_NAME = re.compile(r"\w[\w -]{0,63}")
_POINT = re.compile(r"[\w-]{4,90}={0,2}", re.ASCII)  # base64 for URLs


class Actions(Protocol):
    """The commands and the status of a session, for surfaces in any thread."""

    def command(self, name: str, *args: float | str) -> None:
        """Carry out a command of `COMMANDS`; returns at once.

        Raises:
            LatentError: it cannot be done; the text is for the user.
        """

    def status(self) -> SessionStatus:
        """The status now."""


@dataclass(frozen=True)
class Command:
    """A command of the session, with no argument, a number, a choice or a name.

    Attributes:
        name: address below the root.
        text: one sentence on what it does.
        types: "" without an argument, "f" a number, "s" a choice or a name.
        low: least number.
        high: greatest number.
        unit: of the number.
        choices: texts that can be given.
        listed: gives the texts that can be given, where they depend on the session.
        optional: whether the argument may be left out.
        check_text: refuses a text that is neither a choice nor a name.
        shown_by: reading that says at once what was asked for, or nothing.
    """

    name: str
    text: str
    types: str = ""
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    choices: tuple[str, ...] = ()
    listed: Callable[[SessionStatus], tuple[str, ...]] | None = None
    optional: bool = False
    check_text: Callable[[str], object] | None = None
    shown_by: str = ""

    def check(
        self, given: Sequence[Argument], status: SessionStatus | None
    ) -> tuple[float | str, ...]:
        """Return the arguments typed, clamped and found among the choices.

        Args:
            given: arguments as they came.
            status: of the session, for choices that depend on it.

        Raises:
            InputError: they do not fit.
        """
        if not given and (self.optional or not self.types):
            return ()
        if len(given) != 1 or not self.types:
            wanted = "no argument" if not self.types else "one argument"
            raise InputError(f"takes {wanted}, got {len(given)}")
        (value,) = given
        if self.types == "f":
            if isinstance(value, str) or not math.isfinite(as_float(value)):
                raise InputError("takes a number")
            return (min(max(float(value), self.low), self.high),)
        if not isinstance(value, str):
            raise InputError("takes a text")
        if self.check_text is not None:
            self.check_text(value)
            return (value,)
        choices = self.choices_in(status)
        if (self.choices or self.listed) and value not in choices:
            raise InputError(f"none of: {', '.join(choices)}")
        if not self.choices and not _NAME.fullmatch(value):
            raise InputError("a name has letters, digits, spaces, _ and -, at most 64")
        return (value,)

    def pressed(self, given: Sequence[Argument]) -> Sequence[Argument] | None:
        """Return the arguments of a button; None when it was let go.

        A button sends 1 when it is pressed and 0 when it is let go, also to a command
        that takes nothing, or a text that may be left out.
        """
        can_do_without = self.optional or not self.types
        if not can_do_without or len(given) != 1 or isinstance(given[0], str):
            return given
        return () if given[0] else None

    def choices_in(self, status: SessionStatus | None) -> tuple[str, ...]:
        """Return the texts that can be given now; none if any name can."""
        if self.listed is None or status is None:
            return self.choices
        return self.listed(status)


def _check_point(text: str) -> None:
    """Refuse a text that holds no point; whose model it is of is seen later."""
    if not _POINT.fullmatch(text):
        raise InputError("takes a point, as the reading song/sounds gives it")


# What a MIDI message can be bound to: controls, and commands that need no argument.
_BINDABLE = (
    *CONTROLS,
    *(
        "play",
        "pause",
        "stop",
        "next",
        "record/start",
        "record/stop",
        "effects/next",
        "verdict/like",
        "verdict/dislike",
    ),
)
COMMANDS: tuple[Command, ...] = (
    Command("play", "Begin, or go on after a pause."),
    Command("pause", "Fade out and wait."),
    Command("stop", "Fade out and end."),
    Command("next", "Go on to the next song."),
    Command(
        "go",
        "Go to a sound of the song; without one, back to its path.",
        "s",
        choices=tuple("ABCDE"),
        optional=True,
    ),
    Command(
        "like",
        "Go on to songs near a point of the timbre space, as the reading song/sounds "
        "and '--like' write it; without one, to songs from everywhere.",
        "s",
        optional=True,
        check_text=_check_point,
    ),
    Command("preset/load", "Take a preset's values.", "s", listed=lambda s: s.presets),
    Command(
        "preset/save",
        "Save the controls in force as a preset of this name.",
        "s",
    ),
    Command("verdict/like", "Note that the song is liked."),
    Command("verdict/dislike", "Note that the song is not liked."),
    Command("record/start", "Begin a recording.", "s", optional=True),
    Command("record/stop", "End the recording."),
    Command("keep", "Save what was just heard.", "f", 1.0, 43_200.0, "s"),
    Command("effects/next", "Go on to the next effect."),
    Command(
        "effects/only",
        "Stay with one effect; without a name, with none.",
        "s",
        optional=True,
        listed=lambda s: s.effects or (),
        shown_by="effects/chosen",
    ),
    Command(
        "effects/mix",
        "Stay with effects, each at its level, as rain:0,fire:-6; without them, none.",
        "s",
        optional=True,
        check_text=mix_from,
        shown_by="effects/chosen",
    ),
    Command("midi/learn", "Bind the next MIDI message.", "s", choices=_BINDABLE),
    Command("midi/forget", "Take its MIDI bindings away.", "s", choices=_BINDABLE),
    Command(
        "sleep",
        "End in so long, in a fade to silence; 0: never.",
        "f",
        0.0,
        720.0,
        "min",
        shown_by="sleep-remaining",
    ),
)

COMMANDS_BY_NAME: Mapping[str, Command] = MappingProxyType(
    {command.name: command for command in COMMANDS}
)


def control_type(control: Control) -> str:
    """Return the OSC type of a control's value: `f`, `s`, or `T` for a switch."""
    if control.choices:
        return "s"
    return "T" if isinstance(control.default, bool) else "f"
