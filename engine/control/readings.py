"""The table of readings: what a surface shows besides controls.

Types are those of OSC, addresses lie below `ROOT`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from engine.control.commands import Argument
from engine.control.status import RecordingStatus, SessionStatus, SongStatus

_LARGEST = 3.0e38  # a little below the largest 32-bit float
_INFINITY = 200.0  # sent for infinity: silence in dB is below any level, here -200
_LONGEST_TEXT = 1200  # letters: a song card is a little shorter


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
        "song/card",
        "The card of the song, from which it is rendered again, as one line.",
        "s",
        _song(lambda s: (s.card,)),
        0.5,
    ),
    Reading(
        "verdict/now",
        "1 if the song was liked, -1 if not, 0 without a verdict.",
        "i",
        _song(lambda s: (s.verdict,)),
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
        lambda s: ((m := s.levels()).momentary_lufs, m.short_term_lufs),
        10.0,
        "LUFS",
    ),
    Reading(
        "meter/true-peak",
        "True peak of the last 3 s.",
        "f",
        lambda s: (s.levels().true_peak_db,),
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

READINGS_BY_NAME: Mapping[str, Reading] = MappingProxyType(
    {reading.name: reading for reading in READINGS}
)


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
