"""Titles for songs that nobody has named: two words, drawn by the song's seed."""

from collections.abc import Iterable

from effects.base.streams import Purpose, stream

_FIRST = (
    *("Amber", "Ashen", "Blue", "Bright", "Buried", "Calm", "Clear", "Cold"),
    *("Deep", "Distant", "Drifting", "Early", "Empty", "Far", "Fading", "First"),
    *("Folded", "Frozen", "Glass", "Golden", "Grey", "Half", "Hidden", "Hollow"),
    *("Idle", "Inner", "Last", "Late", "Long", "Low", "Milky", "Moving"),
    *("Northern", "Open", "Outer", "Pale", "Paper", "Patient", "Quiet", "Salt"),
    *("Second", "Silver", "Sleeping", "Slow", "Small", "Soft", "Still", "Sunken"),
    *("Thin", "Turning", "Under", "Veiled", "Violet", "Wandering", "Warm", "White"),
)
_SECOND = (
    *("Arc", "Bay", "Birches", "Canal", "Clouds", "Coast", "Current", "Dawn"),
    *("Delta", "Dunes", "Ember", "Estuary", "Field", "Fjord", "Fog", "Forest"),
    *("Garden", "Glacier", "Harbour", "Hills", "Horizon", "Hour", "Island", "Lake"),
    *("Lantern", "Light", "Marsh", "Meadow", "Meridian", "Mirror", "Moon", "Moss"),
    *("Night", "Orbit", "Orchard", "Path", "Plain", "Pool", "Rain", "Reeds"),
    *("River", "Room", "Shore", "Signal", "Sleep", "Slope", "Snow", "Steppe"),
    *("Stone", "Tide", "Tower", "Valley", "Water", "Weather", "Wind", "Winter"),
)


def title_for(seed: int, taken: Iterable[str] = ()) -> str:
    """A title drawn by a seed, and another one if it is taken.

    >>> title_for(7) == title_for(7)
    True
    >>> title_for(7, [title_for(7)]) == title_for(7)
    False
    """
    rng = stream(Purpose.ALBUM_TITLE, seed)
    used = {title.casefold() for title in taken}
    for _ in range(len(_FIRST) * len(_SECOND)):
        title = f"{_FIRST[rng.integers(len(_FIRST))]} "
        title += _SECOND[rng.integers(len(_SECOND))]
        if title.casefold() not in used:
            return title
    return f"{title} {len(used) + 1}"
