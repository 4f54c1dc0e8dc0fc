"""The one table of controls, and the store that every surface writes to.

A control's name is its OSC address below `/latent/`, its preset key, and, with
dashes for slashes, its flag. A new control is one line in `TABLE` and the code that
reads it: flags, OSC, layouts, presets and lists follow from the table. Surfaces call
`Controls.set` from their own threads; the producer and the callback read
`Controls.snapshot`, an immutable mapping that is replaced, never changed.
"""

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from effects.base.errors import InputError
from engine.control.harmony import CHORDS, KEYS, SCALES

Value: TypeAlias = float | bool | str
Snapshot: TypeAlias = Mapping[str, Value]

# When a change is heard: `block` acts after the ring, in the next block; `plan`
# renders the unheard part again; `song` waits for the next song; `bed` changes how
# effects follow one another from half a second ahead on.
Acts: TypeAlias = Literal["block", "plan", "song", "bed"]


@dataclass(frozen=True)
class Control:
    """One control: its name, its values, and when a change is heard.

    Attributes:
        name: path such as `wiggle/amount`.
        default: number, switch (bool) or one of the choices.
        text: one sentence on what it does.
        acts: when a change is heard; see `Acts`.
        low: least number.
        high: greatest number.
        unit: of the number.
        curve: of a fader over the range.
        choices: the texts that it can have; empty for numbers and switches.
    """

    name: str
    default: Value
    text: str
    acts: Acts
    low: float = 0.0
    high: float = 1.0
    unit: str = ""
    curve: Literal["linear", "log"] = "linear"
    choices: tuple[str, ...] = ()

    def check(self, value: object) -> Value:
        """Return `value` typed and clamped to the range.

        Numbers count as switches (0 is off) and, for a choice, as its index.

        Raises:
            InputError: the wrong type, NaN, infinite, or an unknown choice.
        """
        if self.choices:
            return self._choice(value)
        if isinstance(value, bool | int | float) and not isinstance(
            self.default, bool | str
        ):
            number = as_float(value)
            if not math.isfinite(number):
                raise InputError(f"{self.name}: {number} is not a finite number")
            return float(min(max(number, self.low), self.high))
        if isinstance(self.default, bool) and isinstance(value, bool | int | float):
            if not math.isfinite(as_float(value)):
                raise InputError(f"{self.name}: {value!r:.60} is neither on nor off")
            return bool(value)
        wanted = "on or off" if isinstance(self.default, bool) else "a number"
        raise InputError(f"{self.name}: {value!r:.60} is not {wanted}")

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers, neither switches nor choices."""
        return not self.choices and not isinstance(self.default, bool | str)

    def to_norm(self, value: Value) -> float:
        """Return the position 0..1 of a value on the range, for faders."""
        if self.choices:
            return self.choices.index(str(value)) / max(1, len(self.choices) - 1)
        if isinstance(value, bool):
            return float(value)
        number = float(value)
        if self.curve == "log":
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)

    def from_norm(self, position: float) -> Value:
        """Return the value at position 0..1 of the range; positions are clamped.

        Raises:
            InputError: the position is not a finite number.
        """
        if not math.isfinite(position):
            raise InputError(f"norm/{self.name}: {position} is not a finite number")
        position = min(max(position, 0.0), 1.0)
        if self.choices:
            return self.choices[round(position * (len(self.choices) - 1))]
        if isinstance(self.default, bool):
            return position >= 0.5
        if self.curve == "log":
            return float(self.low * (self.high / self.low) ** position)
        return self.low + position * (self.high - self.low)

    def _choice(self, value: object) -> str:
        if isinstance(value, str) and value in self.choices:
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            pass
        elif 0 <= value < len(self.choices):  # false for NaN
            return self.choices[int(value)]
        listed = ", ".join(self.choices)
        raise InputError(f"{self.name}: {value!r:.60} is none of {listed}")


def as_float(value: float) -> float:
    """A number as a float; whole numbers that are too large for one are infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _rank(criterion: str, more: str) -> Control:
    text = f"Ranking weight: prefer sounds that are {more} (below 0: less so)."
    return Control(f"rank/{criterion}", 0.0, text, "plan", -1.0, 1.0)


TABLE: tuple[Control, ...] = (
    Control("master/gain", 0.0, "Master gain.", "block", -60.0, 6.0, "dB"),
    Control("master/mute", False, "Silence the output.", "block"),
    Control(
        "tilt", 0.0, "Spectral tilt: treble up, bass down.", "block", -12, 12, "dB"
    ),
    Control("width", 1.0, "Stereo width: 0 mono, 1 as made.", "block", 0.0, 2.0),
    Control(
        "effects/gain",
        -6.0,
        "Level of the bed; 0 is -30 LUFS before its low-pass.",
        "block",
        -60.0,
        12.0,
        "dB",
    ),
    Control(
        "effects/cutoff",
        700.0,
        "Cutoff of the bed's low-pass, 12 dB an octave: lower is farther off; at 20000 "
        "there is none.",
        "block",
        100.0,
        20_000.0,
        "Hz",
        "log",
    ),
    Control(
        "effects/ducking",
        3.0,
        "By how much the bed is turned down where the music's partials stand.",
        "block",
        0.0,
        12.0,
        "dB",
    ),
    Control(
        "wiggle/amount",
        0.35,
        "Radius of the circles around the path, in latent standard deviations; in "
        "a song whose sounds change fast it is smaller, elsewhere larger.",
        "plan",
        0.0,
        2.0,
        "sigma",
    ),
    Control(
        "wiggle/rate",
        0.05,
        "Turns a second of the slowest circle; the fastest makes 47 meanwhile.",
        "plan",
        0.001,
        1.0,
        "Hz",
        "log",
    ),
    Control(
        "wiggle/spread",
        1.0,
        "From one slow circle (0) to five of all speeds (1).",
        "plan",
    ),
    _rank("pitch", "higher"),
    _rank("volume", "louder"),
    _rank("weirdness", "farther from the origin"),
    _rank("brightness", "brighter"),
    _rank("tonalness", "more tonal"),
    _rank("dissonance", "rougher"),
    _rank("motion", "farther apart"),
    Control("hop", 0.24, "Time between decoded latents.", "plan", 0.1, 2.0, "s", "log"),
    Control(
        "foreground/density",
        6.0,
        "Notes a minute in front of the held sounds; 0 is none.",
        "plan",
        0.0,
        60.0,
        "1/min",
    ),
    Control(
        "foreground/level",
        -5.0,
        "Level of a note at its height beside the held sounds.",
        "plan",
        -40.0,
        6.0,
        "dB",
    ),
    Control("foreground/space", 0.5, "Reverberation of the notes.", "plan"),
    Control(
        "arpeggio/rate",
        0.0,
        "Notes a second of a figure that runs through the chord; 0 is none.",
        "plan",
        0.0,
        6.0,
        "Hz",
    ),
    Control("arpeggio/share", 1.0, "Share of the songs that have one.", "plan"),
    Control(
        "arpeggio/level",
        -6.0,
        "Level of its notes at their height beside the held sounds.",
        "plan",
        -40.0,
        6.0,
        "dB",
    ),
    Control(
        "motion/depth",
        5.0,
        "How far sounds move inside: swells, sweeps, stereo; 0 is still.",
        "plan",
        0.0,
        12.0,
        "dB",
    ),
    Control(
        "motion/rate",
        1.0,
        "How fast they move.",
        "plan",
        0.1,
        10.0,
        "times",
        "log",
    ),
    Control("motion/own", 0.85, "Share that each partial moves by itself.", "plan"),
    Control("clarity", 0.8, "From smeared partials (0) to clear tones (1).", "plan"),
    Control(
        "dynamics", 0.5, "How much of the sounds' own level differences stays.", "plan"
    ),
    Control("tuning/strength", 0.8, "How far tonal sounds are drawn to key.", "plan"),
    Control("tuning/key", "D", "Tonic of the key.", "plan", choices=KEYS),
    Control(
        "tuning/scale", "dorian", "Scale of the key.", "plan", choices=tuple(SCALES)
    ),
    Control(
        "tuning/chords",
        "open",
        "Degrees of the key that the five sounds stand on.",
        "plan",
        choices=("off", *CHORDS),
    ),
    Control(
        "tuning/pedal",
        0.25,
        "Share of each chord that stays on the tonic, as a pedal point.",
        "plan",
    ),
    Control("tuning/a4", 440.0, "Concert pitch.", "plan", 400.0, 480.0, "Hz"),
    Control("hold", False, "Stay at this place of the song.", "plan"),
    Control("song/minutes", 5.0, "Length of a song.", "song", 0.5, 60.0, "min", "log"),
    Control(
        "effects/dwell",
        90.0,
        "How long an effect stays before the next.",
        "bed",
        10.0,
        3600.0,
        "s",
        "log",
    ),
    Control(
        "effects/crossfade",
        20.0,
        "Length of the transition between effects.",
        "bed",
        1.0,
        120.0,
        "s",
        "log",
    ),
    Control(
        "effects/density",
        0.5,
        "How much of the time a second, softer effect joins the first.",
        "bed",
    ),
)

CONTROLS: Mapping[str, Control] = MappingProxyType({c.name: c for c in TABLE})

# Names that controls had in earlier versions, and that are still understood.
FORMER_NAMES: Mapping[str, str] = MappingProxyType({"effects/room": "effects/ducking"})


def defaults() -> Snapshot:
    """Return the snapshot in which every control has its default."""
    return MappingProxyType({c.name: c.default for c in TABLE})


def snapshot_of(values: Mapping[str, object]) -> Snapshot:
    """Return the defaults with `values` in their place, checked and clamped.

    Raises:
        InputError: an unknown name or a value of the wrong kind.
    """
    return MappingProxyType({**defaults(), **_checked(values)})


class Controls:
    """The values in force. Any thread may set them; reading takes no lock."""

    def __init__(self, initial: Snapshot | None = None) -> None:
        self.on_change: Callable[[], None] = _nothing  # called after each change
        self._writers = threading.Lock()
        self._snapshot: Snapshot = snapshot_of(initial or {})

    @property
    def snapshot(self) -> Snapshot:
        """The values in force; the mapping is never changed afterwards."""
        return self._snapshot

    def set(self, name: str, value: object) -> Value:
        """Set one control and return the value now in force.

        Raises:
            InputError: an unknown name, or a value that is not of its kind;
                nothing has changed then.
        """
        return self.update({name: value})[FORMER_NAMES.get(name, name)]

    def update(self, values: Mapping[str, object]) -> Snapshot:
        """Set several controls at once, or none of them if one does not fit.

        Raises:
            InputError: an unknown name, or a value that is not of its kind.
        """
        checked = _checked(values)
        with self._writers:
            self._snapshot = MappingProxyType({**self._snapshot, **checked})
        self.on_change()
        return self._snapshot


def _nothing() -> None:
    """Do nothing on a change."""


def _checked(values: Mapping[str, object]) -> dict[str, Value]:
    checked = {}
    for given, value in values.items():
        name = FORMER_NAMES.get(given, given)
        if name not in CONTROLS:
            raise InputError(f"{given}: no such control; 'latent controls' lists them")
        checked[name] = CONTROLS[name].check(value)
    return checked
