"""A chosen mix: effects that play together, each at a level of its own.

As a text, in commands and journals, it is `rain:0,fire:-6`: names with their levels in
dB against the bed's own level; a name alone stands at 0 dB.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from effects.base.errors import InputError

MAX_EFFECTS = 4  # the loops of all of them are held in memory at once
LOWEST_DB, HIGHEST_DB = -40.0, 12.0


@dataclass(frozen=True)
class MixedEffect:
    """An effect of a mix.

    Attributes:
        name: of the effect.
        level_db: against the level that it has alone.
    """

    name: str
    level_db: float = 0.0

    @property
    def gain(self) -> float:
        """The level as a linear gain; exactly 1 at 0 dB."""
        return float(10.0 ** (self.level_db / 20.0))


Mix = tuple[MixedEffect, ...]


def mix_from(text: str) -> Mix:
    """Read a mix from its text; an empty text is no mix.

    >>> mix_from("rain:0, fire:-6")[1]
    MixedEffect(name='fire', level_db=-6.0)

    Raises:
        InputError: it is not such a text, too long, or names an effect twice.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if len(parts) > MAX_EFFECTS:
        raise InputError(f"a mix has at most {MAX_EFFECTS} effects")
    mix = tuple(map(_mixed, parts))
    names = [effect.name for effect in mix]
    if len(set(names)) < len(names):
        raise InputError("a mix names each effect once")
    return mix


def mix_text(mix: Iterable[MixedEffect]) -> str:
    """The text of a mix, as `mix_from` reads it.

    >>> mix_text(mix_from("fire : -6, rain"))
    'fire:-6,rain:0'
    """
    return ",".join(f"{effect.name}:{effect.level_db:g}" for effect in mix)


def _mixed(text: str) -> MixedEffect:
    name, colon, level = (part.strip() for part in text.rpartition(":"))
    if not colon:
        return MixedEffect(level) if level else _refuse(text)
    try:
        level_db = float(level)
    except ValueError:
        level_db = math.nan
    if not name or not math.isfinite(level_db):
        return _refuse(text)
    return MixedEffect(name, min(max(level_db, LOWEST_DB), HIGHEST_DB))


def _refuse(text: str) -> MixedEffect:
    raise InputError(f"{text!r:.60}: not NAME:DB, as in rain:0,fire:-6")
