"""The plan of an album: which songs, made from what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from msgspec import Meta

from effects.base.errors import InputError
from effects.base.streams import Purpose, stream
from engine.compose import preset as presets
from engine.control.controls import snapshot_of
from engine.control.harmony import KEYS
from engine.graph import RENDER_RATE, Settings

SONGS = (1, 999)
MINUTES = (0.05, 20.0)  # a song is held in memory while it is measured
FIFTHS_AROUND = 2  # songs leave their preset's key by so many fifths at most
BRIGHTNESS_AROUND = 0.25  # and its brightness by so much ranking weight

_FIFTH = 7  # semitones

Name: TypeAlias = Annotated[str, Meta(max_length=4096)]


@dataclass(frozen=True)
class AlbumPlan:
    """What an album is made from.

    Attributes:
        seed: of everything random.
        songs: how many are made, those set aside included.
        minutes: length of each.
        presets: names, taken in turn.
        effects: whether there is a bed.
        model: folder, or None for the bundled one.
        model_hash: of the model that its songs are made with; empty until one is.
        like: point that all sounds lie near, see `compose.likeness`, or empty.
    """

    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    songs: Annotated[int, Meta(ge=SONGS[0], le=SONGS[1])]
    minutes: Annotated[float, Meta(ge=MINUTES[0], le=MINUTES[1])]
    presets: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100)]
    effects: bool = True
    model: Name | None = None
    model_hash: Name = ""
    like: Name = ""


def check(plan: AlbumPlan) -> AlbumPlan:
    """Return the plan if it can be made.

    Raises:
        InputError: it cannot.
    """
    if not SONGS[0] <= plan.songs <= SONGS[1]:
        raise InputError(
            f"--songs {plan.songs}: choose from {SONGS[0]} to {SONGS[1]} songs"
        )
    if not MINUTES[0] <= plan.minutes <= MINUTES[1]:
        raise InputError(
            f"--minutes {plan.minutes:g}: choose from {MINUTES[0]} to {MINUTES[1]:g}"
        )
    for name in plan.presets:
        presets.load(name)
    return plan


def song_preset(plan: AlbumPlan, number: int) -> str:
    """Preset of song `number`, counted from 1."""
    return plan.presets[(number - 1) % len(plan.presets)]


def song_settings(plan: AlbumPlan, number: int) -> Settings:
    """Settings of song `number`: its preset's, with a key and a brightness of its own.

    They depend on the plan's seed and the song's number alone, so an album may be
    lengthened, and its songs made in any order.

    Args:
        plan: checked.
        number: from 1.
    """
    preset = presets.load(song_preset(plan, number))
    rng = stream(Purpose.ALBUM_SONG, plan.seed, number)
    values: dict[str, Any] = dict(preset.controls)
    home = KEYS.index(str(values.get("tuning/key", "D")))
    away = int(rng.integers(-FIFTHS_AROUND, FIFTHS_AROUND + 1))
    values["tuning/key"] = KEYS[(home + _FIFTH * away) % len(KEYS)]
    brighter = float(rng.uniform(-BRIGHTNESS_AROUND, BRIGHTNESS_AROUND))
    values["rank/brightness"] = round(
        float(values.get("rank/brightness", 0.0)) + brighter, 3
    )
    values["song/minutes"] = max(0.5, plan.minutes)  # one song a file
    return Settings(
        seed=int(rng.integers(2**31)),
        sample_rate=RENDER_RATE,
        duration=60.0 * plan.minutes,
        controls=snapshot_of(values),
        model=None if plan.model is None else Path(plan.model),
        effects=preset.effects if plan.effects else None,
        like=plan.like,
        grammar=preset.grammar,
        preset=preset.name,
    )
