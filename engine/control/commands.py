"""The tables of commands and readings: what a surface can do and show.

Controls come from their own table; this is the rest of what OSC, MIDI, media keys,
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
from engine.control.controls import CONTROLS, Control
from engine.control.status import RecordingStatus, SessionStatus, SongStatus

ROOT = "/latent/"
NORM = "norm/"  # before a control: the same control as a position 0..1
FORMER_READINGS: Mapping[str, str] = MappingProxyType(
    {"sleep/remaining": "sleep-remaining"}
)

Argument: TypeAlias = float | bool | str

_NAME = re.compile(r"\w[\w -]{0,63}")
_POINT = re.compile(r"[\w-]{4,90}={0,2}", re.ASCII)  # base64 for URLs
_LARGEST = 3.0e38  # a little below the largest 32-bit float
_INFINITY = 200.0  # sent for infinity: silence in dB is below any level, here -200
_LONGEST_TEXT = 200


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
            if isinstance(value, str) or not math.isfinite(value):
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

    def choices_in(self, status: SessionStatus | None) -> tuple[str, ...]:
        """Return the texts that can be given now; none if any name can."""
        if self.listed is None or status is None:
            return self.choices
        return self.listed(status)


@dataclass(frozen=True)
class Reading:
    """A part of the status that is shown, and how often subscribers get it at most.

    Attributes:
        name: address below the root.
        text: one sentence on what it is.
        types: OSC types of its values; a final `*` repeats the one before.
        of: takes its values from the status; None while they are not known.
        hz: most often a second; it is sent only when it has changed.
        unit: of the values.
    """

    name: str
    text: str
    types: str
    of: Callable[[SessionStatus], Sequence[Argument] | None]
    hz: float = 5.0
    unit: str = ""

    def values(self, status: SessionStatus | None) -> tuple[Argument, ...] | None:
        """Return its values by their types, or None if they are unknown or unfit."""
        found = self.of(status) if status is not None else None
        if found is None:
            return None
        types = self.types
        if types.endswith("*"):
            types = types[:-1] + types[-2] * (len(found) - len(types) + 1)
        if len(types) != len(found):
            return None
        try:
            return tuple(map(typed, types, found))
        except (TypeError, ValueError):
            return None


def _song(
    values: Callable[[SongStatus], Sequence[Argument]],
) -> Callable[[SessionStatus], Sequence[Argument] | None]:
    """Make a reading of the song, unknown before the first."""
    return lambda status: None if status.song is None else values(status.song)


def _recording(
    values: Callable[[RecordingStatus], Sequence[Argument]],
) -> Callable[[SessionStatus], Sequence[Argument] | None]:
    """Make a reading of the recording, unknown while there is none."""
    return lambda status: None if status.recording is None else values(status.recording)


def _check_point(text: str) -> None:
    """Refuse a text that holds no point; whose model it is of is seen later."""
    if not _POINT.fullmatch(text):
        raise InputError("takes a point, as the reading song/sounds gives it")


# What a MIDI message can be bound to: controls, and commands that need no argument.
_BINDABLE = (
    *CONTROLS,
    *("play", "pause", "stop", "next", "record/start", "record/stop", "effects/next"),
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

READINGS: tuple[Reading, ...] = (
    Reading(
        "status",
        "State, uptime in s, underruns, load 0..1, device.",
        "sfifs",
        lambda s: (s.state, s.uptime_s, s.underruns, s.load, s.device),
        1.0,
    ),
    Reading(
        "now",
        "Number, title, pattern, symbol and progress 0..1 of the song.",
        "isssf",
        _song(lambda s: (s.number, s.title, s.pattern, s.symbol, s.progress)),
        2.0,
    ),
    Reading("playing", "Whether it plays.", "T", lambda s: (not s.is_paused,)),
    Reading(
        "device/losses",
        "How often the device went away.",
        "i",
        lambda s: (s.device_losses,),
        1.0,
    ),
    Reading(
        "device/away", "Time without a device.", "f", lambda s: (s.away_s,), 1.0, "s"
    ),
    Reading("song/title", "Title of the song.", "s", _song(lambda s: (s.title,))),
    Reading(
        "song/pattern", "All symbols of the song.", "s", _song(lambda s: (s.pattern,))
    ),
    Reading(
        "song/symbol", "The symbol that sounds.", "s", _song(lambda s: (s.symbol,))
    ),
    Reading(
        "song/place",
        "Number of that symbol in the pattern, from 1.",
        "i",
        _song(lambda s: (s.place,)),
    ),
    Reading(
        "song/progress",
        "How far the song is.",
        "f",
        _song(lambda s: (s.progress,)),
        1.0,
    ),
    Reading(
        "song/seconds",
        "Time since the song began.",
        "f",
        _song(lambda s: (s.seconds,)),
        1.0,
        "s",
    ),
    Reading(
        "song/length",
        "Length of the song.",
        "f",
        _song(lambda s: (s.length,)),
        1.0,
        "s",
    ),
    Reading(
        "song/seed",
        "Seed of the stream of songs.",
        "i",
        _song(lambda s: (s.seed,)),
    ),
    Reading(
        "song/key",
        "Key and scale of the song.",
        "s",
        _song(lambda s: (s.key,)),
    ),
    Reading(
        "song/chord",
        "Degree of the key on which the sound stands, from 1, and its root; "
        "0 without chords.",
        "is",
        _song(lambda s: s.chord),
    ),
    Reading(
        "song/sounds",
        "The points of its sounds A to E, each as a text.",
        "s*",
        _song(lambda s: s.sounds),
        1.0,
    ),
    Reading(
        "song/like",
        "The point that its sounds lie near; empty without one.",
        "s",
        _song(lambda s: (s.like,)),
    ),
    Reading(
        "headroom",
        "Music that is rendered ahead.",
        "f",
        lambda s: (s.headroom_s,),
        1.0,
        "s",
    ),
    Reading(
        "point",
        "The point of the latent space.",
        "f*",
        _song(lambda s: s.point),
        2.0,
        "sigma",
    ),
    Reading(
        "meter/peak",
        "Sample peak, left and right.",
        "ff",
        lambda s: s.peak_db,
        10.0,
        "dBFS",
    ),
    Reading(
        "meter/lufs",
        "Loudness, momentary, short-term.",
        "ff",
        lambda s: (s.momentary_lufs, s.short_term_lufs),
        10.0,
        "LUFS",
    ),
    Reading(
        "meter/true-peak",
        "True peak of the last 3 s.",
        "f",
        lambda s: (s.true_peak_db,),
        10.0,
        "dBTP",
    ),
    Reading(
        "record/active",
        "Whether it is recorded.",
        "T",
        lambda s: (s.recording is not None,),
    ),
    Reading(
        "record/seconds",
        "Length of the recording.",
        "f",
        _recording(lambda r: (r.seconds,)),
        1.0,
        "s",
    ),
    Reading(
        "record/name",
        "File name of the recording.",
        "s",
        _recording(lambda r: (r.name,)),
    ),
    Reading("preset/name", "The preset last loaded.", "s", lambda s: (s.preset,)),
    Reading("preset/list", "Presets that can be loaded.", "s*", lambda s: s.presets),
    Reading("effects/list", "Effects that can be chosen.", "s*", lambda s: s.effects),
    Reading("effects/now", "The effects that sound.", "s*", lambda s: s.sounding),
    Reading(
        "effects/chosen",
        "The effects that were asked for, with their levels.",
        "s",
        lambda s: (s.chosen,),
    ),
    Reading(
        "sleep-remaining",
        "Time until it ends.",
        "f",
        lambda s: (s.sleep_min,),
        1.0,
        "min",
    ),
    Reading(
        "listeners", "Listeners to the streams.", "i", lambda s: (s.listeners,), 1.0
    ),
    Reading("model/name", "The model that plays.", "s", lambda s: (s.model,)),
)

COMMANDS_BY_NAME: Mapping[str, Command] = MappingProxyType(
    {command.name: command for command in COMMANDS}
)
READINGS_BY_NAME: Mapping[str, Reading] = MappingProxyType(
    {reading.name: reading for reading in READINGS}
)


def control_type(control: Control) -> str:
    """Return the OSC type of a control's value: `f`, `s`, or `T` for a switch."""
    if control.choices:
        return "s"
    return "T" if isinstance(control.default, bool) else "f"


def reading_types(reading: Reading, n_values: int) -> str:
    """Return the OSC types of a reading that has so many values."""
    types = reading.types.rstrip("*")
    return (types + types[-1] * (n_values - len(types)))[:n_values]


def typed(kind: str, value: Argument) -> Argument:
    """Return a value as plain Python of an OSC type, also where numpy made it.

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
        number = math.copysign(_INFINITY, number)
    if kind == "i":
        return int(min(max(number, -(2.0**31)), 2.0**31 - 1))
    return min(max(number, -_LARGEST), _LARGEST)
