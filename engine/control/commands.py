"""Commands that a surface can give, and readings that it can show, as data.

Controls come from their own table; this is the rest of what OSC, MIDI, media keys,
the terminal and the command line can do. Types are those of OSC, addresses lie below
`ROOT`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, TypeAlias

from effects.base.errors import InputError
from engine.control.controls import CONTROLS, Control

ROOT = "/latent/"
NORM = "/norm"  # behind a control: its twin whose range is 0..1

Argument: TypeAlias = float | bool | str
Status: TypeAlias = Mapping[str, Argument | Sequence[Argument]]

_NAME = re.compile(r"\w[\w -]{0,63}")
_LARGEST = 3.0e38  # a little below the largest 32-bit float
_BEYOND = 200.0  # sent for infinity: silence in dB is below any level, here -200
_LONGEST_TEXT = 200


class Actions(Protocol):
    """What the session lends to its surfaces; both come from their threads."""

    def command(self, name: str, *args: float | str) -> None:
        """Do what `COMMANDS` says of `name`; returns at once.

        Raises:
            LatentError: it cannot be done; the text is shown to who asked.
        """

    def status(self) -> Status:
        """Values by the keys that `READINGS` names; what is unknown is left out."""


@dataclass(frozen=True)
class Command:
    """Something to do; it takes no argument, a number, a choice or a name.

    Args:
        name: address below the root.
        text: what it does.
        types: "" without an argument, "f" a number, "s" a choice or a name.
        low: least number.
        high: greatest number.
        unit: of the number.
        choices: the texts that can be given.
        listed: key of the status whose values are the texts that can be given.
        optional: whether the argument may be left out.
    """

    name: str
    text: str
    types: str = ""
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    choices: tuple[str, ...] = ()
    listed: str = ""
    optional: bool = False

    def check(
        self, given: Sequence[Argument], status: Status
    ) -> tuple[float | str, ...]:
        """The arguments in force: typed, clamped, and of the list if there is one.

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
            if isinstance(value, str) or not math.isfinite(value):
                raise InputError("takes a number")
            return (min(max(float(value), self.low), self.high),)
        if not isinstance(value, str):
            raise InputError("takes a text")
        choices = self.choices_in(status)
        if (self.choices or self.listed) and value not in choices:
            raise InputError(f"none of: {', '.join(choices)}")
        if not self.choices and not _NAME.fullmatch(value):
            raise InputError("a name has letters, digits, spaces, _ and -, at most 64")
        return (value,)

    def choices_in(self, status: Status) -> tuple[str, ...]:
        """The texts that can be given now; none if any name can."""
        return self.choices or tuple(map(str, _sequence(status, self.listed)))


@dataclass(frozen=True)
class Reading:
    """Something to be shown, and how often subscribers get it at most.

    Args:
        name: address below the root.
        text: what it is.
        types: OSC types of its values; a final `*` repeats the one before.
        hz: most often a second; it is only sent when it has changed.
        keys: of the status, whose values stand in a row; the name by default.
        unit: of the values.
    """

    name: str
    text: str
    types: str
    hz: float = 5.0
    keys: tuple[str, ...] = ()
    unit: str = ""

    def values(self, status: Status) -> tuple[Argument, ...] | None:
        """Its values by their types, or None while they are not known or unfit."""
        found: list[Argument] = []
        for key in self.keys or (self.name,):
            if key not in status:
                return None
            found += _sequence(status, key)
        types = self.types
        if types.endswith("*"):
            types = types[:-1] + types[-2] * (len(found) - len(types) + 1)
        if len(types) != len(found):
            return None
        try:
            return tuple(map(typed, types, found))
        except (TypeError, ValueError):
            return None


_EFFECT = "effects/list"
# What a MIDI message can be bound to: controls, and commands that need no argument.
_BINDABLE = (
    *CONTROLS,
    *("play", "pause", "stop", "next", "record/start", "record/stop", "effects/next"),
)
COMMANDS: tuple[Command, ...] = (
    Command("play", "Begin, or go on after a pause."),
    Command("pause", "Fade out and wait."),
    Command("stop", "Fade out and end."),
    Command("next", "On to the next song."),
    Command("go", "On to a place of the song.", "s", choices=tuple("ABCDE")),
    Command("preset/load", "Take a preset's values.", "s", listed="preset/list"),
    Command("record/start", "Begin a recording.", "s", optional=True),
    Command("record/stop", "End the recording."),
    Command("keep", "Save what was just heard.", "f", 1.0, 43_200.0, "s"),
    Command("effects/next", "On to the next effect."),
    Command(
        "effects/only",
        "Stay with one effect; without a name, with none.",
        "s",
        optional=True,
        listed=_EFFECT,
    ),
    Command("midi/learn", "Bind the next MIDI message.", "s", choices=_BINDABLE),
    Command("midi/forget", "Bind none to it any more.", "s", choices=_BINDABLE),
    Command("sleep", "Fade out and end; 0: never.", "f", 0.0, 720.0, "min"),
)

READINGS: tuple[Reading, ...] = (
    Reading(
        "status",
        "State, uptime in s, underruns, load 0..1, device.",
        "sfifs",
        1.0,
        ("state", "uptime", "underruns", "load", "device"),
    ),
    Reading(
        "now",
        "Number, title, pattern, symbol and progress 0..1 of the song.",
        "isssf",
        2.0,
        ("song/number", "song/title", "song/pattern", "song/symbol", "song/progress"),
    ),
    Reading("playing", "Whether it plays.", "T"),
    Reading("device/losses", "How often the device went away.", "i", 1.0),
    Reading("device/away", "Time without a device.", "f", 1.0, unit="s"),
    Reading("song/title", "Title of the song.", "s"),
    Reading("song/pattern", "All symbols of the song.", "s"),
    Reading("song/symbol", "The symbol that sounds.", "s"),
    Reading("song/place", "Its number in the pattern, from 1.", "i"),
    Reading("song/progress", "How far the song is.", "f", 1.0),
    Reading("song/seconds", "Time since the song began.", "f", 1.0, unit="s"),
    Reading("song/length", "Length of the song.", "f", 1.0, unit="s"),
    Reading("headroom", "Music that is rendered ahead.", "f", 1.0, unit="s"),
    Reading("point", "The point of the latent space.", "f*", 2.0, unit="sigma"),
    Reading("meter/peak", "Peak, left and right.", "ff", 10.0, unit="dBFS"),
    Reading("meter/lufs", "Loudness, momentary, short-term.", "ff", 10.0, unit="LUFS"),
    Reading("meter/true-peak", "True peak of the last 3 s.", "f", 10.0, unit="dBTP"),
    Reading("record/active", "Whether it is recorded.", "T"),
    Reading("record/seconds", "Length of the recording.", "f", 1.0, unit="s"),
    Reading("record/name", "File name of the recording.", "s"),
    Reading("preset/name", "The preset last loaded.", "s"),
    Reading("preset/list", "Presets that can be loaded.", "s*"),
    Reading("effects/list", "Effects that can be chosen.", "s*"),
    Reading("effects/now", "The effects that sound.", "s*"),
    Reading("sleep/remaining", "Time until it ends.", "f", 1.0, unit="min"),
    Reading("model/name", "The model that plays.", "s"),
)

COMMANDS_BY_NAME: Mapping[str, Command] = MappingProxyType(
    {command.name: command for command in COMMANDS}
)
READINGS_BY_NAME: Mapping[str, Reading] = MappingProxyType(
    {reading.name: reading for reading in READINGS}
)


def control_type(control: Control) -> str:
    """OSC type of a control's value."""
    if control.choices:
        return "s"
    return "T" if isinstance(control.default, bool) else "f"


def reading_types(reading: Reading, n_values: int) -> str:
    """OSC types of a reading that has so many values."""
    types = reading.types.rstrip("*")
    return (types + types[-1] * (n_values - len(types)))[:n_values]


def _sequence(status: Status, key: str) -> Sequence[Argument]:
    value = status.get(key, ())
    return (value,) if isinstance(value, bool | float | int | str) else value


def typed(kind: str, value: Argument) -> Argument:
    """A plain Python value of an OSC type; numpy's numbers become Python's.

    Raises:
        TypeError, ValueError: the value is not a number where the type is.
    """
    if kind == "s":
        text = str(value)[:_LONGEST_TEXT]
        return "".join(c if c.isprintable() else "?" for c in text)
    if kind in "TF":
        return bool(value)
    number = float(value)
    if math.isnan(number):
        number = 0.0
    if math.isinf(number):
        number = math.copysign(_BEYOND, number)
    if kind == "i":
        return int(min(max(number, -(2.0**31)), 2.0**31 - 1))
    return min(max(number, -_LARGEST), _LARGEST)
