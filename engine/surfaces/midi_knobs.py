"""What a knob, fader, wheel or encoder means: positions, steps, and soft takeover.

A knob stands where it was left, whatever the control has become meanwhile. It takes
over only when it comes by the control's value; until then it moves nothing. An encoder
without ends sends steps instead, in one of three notations.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engine.control.controls import Control, Value

# Message -> the attributes with its number and its value.
KINDS = {
    "control_change": ("control", "value"),
    "note_on": ("note", "velocity"),
    "pitchwheel": ("", "pitch"),
}
STEPS = 127.0  # from one end of a control to the other
NEAR = 1.5 / 127.0  # a knob so near to the control's position takes over
_FINE = 4  # steps at once of an encoder that is turned slowly


class Mode(StrEnum):
    """What the values of a control change mean."""

    UNKNOWN = ""  # learned, and not decided yet
    ABSOLUTE = "absolute"  # 0..127: where it stands
    TWOS = "twos"  # steps in two's complement: 1, 2.. up, 127, 126.. down
    OFFSET = "offset"  # steps from 64: 65, 66.. up, 63, 62.. down
    SIGN = "sign"  # steps with a sign: 1, 2.. up, 65, 66.. down


@dataclass(frozen=True)
class MidiSource:
    """The knob, key or wheel that a message comes from."""

    message: str
    channel: int
    number: int


@dataclass(frozen=True)
class MidiInput:
    """A message that was read.

    Attributes:
        source: where it comes from.
        value: 0..127; of a wheel -8192..8191.
    """

    source: MidiSource
    value: int

    @property
    def position(self) -> float:
        """Position 0..1; the middle, 64 or a wheel at rest, is exactly 0.5."""
        if self.source.message == "pitchwheel":
            return 0.5 + self.value / (16_384 if self.value < 0 else 16_382)
        above = self.value - 64
        return 0.5 + above / (128 if above < 0 else 126)


def read(message: Any) -> MidiInput | None:
    """Read a message, as `mido` has them; None for types that are not used."""
    if message.type == "note_off":
        return MidiInput(MidiSource("note_on", message.channel, message.note), 0)
    if message.type not in KINDS:
        return None
    number_name, value_name = KINDS[message.type]
    number = getattr(message, number_name) if number_name else 0
    source = MidiSource(message.type, message.channel, number)
    return MidiInput(source, getattr(message, value_name))


def steps_of(mode: Mode, value: int) -> int:
    """Steps up, or below 0 down, that a value of a relative mode stands for."""
    if mode is Mode.TWOS:
        return value if value < 64 else value - 128
    if mode is Mode.OFFSET:
        return value - 64
    return value if value < 64 else 64 - value


def mode_of(mode: Mode, before: int | None, value: int) -> Mode:
    """What a knob sends, as far as its values tell.

    A knob never sends one value twice, and does not jump from one end to the other;
    an encoder does both. Until a second value has come, a small step and a knob near
    an end look alike.

    Args:
        mode: known so far.
        before: its value before this one, if there was one.
        value: of 0..127.
    """
    if mode in (Mode.TWOS, Mode.OFFSET):
        # A step of more than half the range in one notation is a small one in another.
        is_other = _is_up(value) if mode is Mode.OFFSET else 64 < value <= 64 + _FINE
        return Mode.SIGN if is_other else mode
    if mode is not Mode.UNKNOWN:
        return mode
    is_low, is_high = _is_up(value), value > 127 - _FINE
    is_near_middle = 0 < abs(value - 64) <= _FINE
    if not (is_low or is_high or is_near_middle):
        return Mode.ABSOLUTE
    if before is None:
        return Mode.UNKNOWN
    if is_near_middle:
        if _is_up(before):
            return Mode.SIGN
        return Mode.OFFSET if value == before else Mode.ABSOLUTE
    ends = {_is_up(before), before > 127 - _FINE}
    crosses = ends == {True, False} and _is_up(before) != is_low
    return Mode.TWOS if value == before or crosses else Mode.ABSOLUTE


def _is_up(value: int) -> bool:
    return 0 < value <= _FINE


class Takeover:
    """Soft takeover of one control by one knob."""

    def __init__(self) -> None:
        self._last: float | None = None  # position of the knob before
        self._set: Value | None = None  # what it has set the control to

    def moves(self, control: Control, value: Value, position: float) -> bool:
        """Whether the knob at a position moves the control, which has a value now."""
        last, self._last = self._last, position
        if value == self._set:
            return True
        at = control.to_norm(value)
        if abs(position - at) <= NEAR:
            return True
        return last is not None and (last - at) * (position - at) <= 0.0

    def has_set(self, value: Value) -> None:
        """Remember the value in force after the knob has moved the control."""
        self._set = value


def stepped(control: Control, value: Value, steps: int) -> Value:
    """The value of a control so many steps of an encoder farther."""
    if isinstance(control.default, bool):
        return steps > 0
    if control.choices:
        at = control.choices.index(str(value)) + steps
        return control.choices[min(max(at, 0), len(control.choices) - 1)]
    return control.from_norm(control.to_norm(value) + steps / STEPS)
