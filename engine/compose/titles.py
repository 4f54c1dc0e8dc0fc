"""Titles of songs: two words, a pure function of what a song is.

How bright its sounds are chooses the first list, its scale the second. Within these,
songs of one stream walk through all pairs in an order of the stream's own before one
comes again: 1,600 songs, more than five days of a radio.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType

from effects.base.streams import Purpose, stream

DARK_BELOW, BRIGHT_FROM = 3.7, 5.0  # octaves above 20 Hz, of `criteria.brightness`

_DARK = (
    *("Ashen", "Black", "Buried", "Cold", "Deep", "Dim", "Distant", "Drowned"),
    *("Dusky", "Empty", "Fallen", "Far", "Grey", "Heavy", "Hidden", "Hollow"),
    *("Inner", "Iron", "Last", "Late", "Long", "Lost", "Low", "Mossy"),
    *("Nether", "Old", "Patient", "Shadowed", "Silent", "Sleeping", "Slow", "Smoked"),
    *("Still", "Stone", "Sunken", "Under", "Veiled", "Velvet", "Wooden", "Worn"),
)
_MIDDLE = (
    *("Amber", "Autumn", "Blue", "Brown", "Calm", "Copper", "Drifting", "Faded"),
    *("Folded", "Gentle", "Green", "Half", "Idle", "Kept", "Linen", "Mild"),
    *("Milky", "Moving", "Near", "Northern", "Olive", "Paper", "Plain", "Quiet"),
    *("Red", "Rounded", "Second", "Sheltered", "Small", "Soft", "Southern", "Tidal"),
    *(
        "Turning",
        "Violet",
        "Wandering",
        "Warm",
        "Weathered",
        "Western",
        "Wide",
        "Woven",
    ),
)
_BRIGHT = (
    *("Airy", "Blank", "Bright", "Chalk", "Clear", "Crystal", "Early", "Eastern"),
    *("First", "Frosted", "Frozen", "Gilded", "Glass", "Glinting", "Golden", "High"),
    *("Icy", "Keen", "Light", "Lucid", "New", "Open", "Outer", "Pale"),
    *("Pearl", "Polished", "Quick", "Rising", "Salt", "Sheer", "Silken", "Silver"),
    *("Slender", "Sparse", "Thin", "Upper", "Vivid", "Waking", "White", "Winged"),
)
_MINOR = (
    *("Abbey", "Cave", "Cellar", "Cinder", "Clouds", "Crypt", "Dusk", "Echo"),
    *("Ember", "Eclipse", "Fathom", "Fen", "Fog", "Ghost", "Gorge", "Grove"),
    *("Hour", "Keel", "Lantern", "Marsh", "Mine", "Mist", "Moon", "Night"),
    *("Ravine", "Remains", "Requiem", "Ruin", "Shade", "Shadow", "Shroud", "Sleep"),
    *("Smoke", "Storm", "Tower", "Trench", "Vault", "Vigil", "Well", "Winter"),
)
_MODAL = (
    *("Arc", "Bay", "Birches", "Canal", "Coast", "Current", "Delta", "Dunes"),
    *("Estuary", "Ferry", "Field", "Fjord", "Forest", "Harbour", "Hills", "Island"),
    *("Lake", "Ledge", "Mirror", "Moor", "Orbit", "Passage", "Path", "Pier"),
    *("Pool", "Quay", "Rain", "Reeds", "River", "Room", "Shore", "Signal"),
    *("Slope", "Steppe", "Strait", "Tide", "Valley", "Water", "Weather", "Wind"),
)
_MAJOR = (
    *("Balcony", "Blossom", "Breeze", "Brook", "Canopy", "Clearing", "Cloud", "Court"),
    *("Cove", "Day", "Dawn", "Dew", "Fountain", "Garden", "Glade", "Glow"),
    *("Halo", "Horizon", "Lagoon", "Lawn", "Meadow", "Meridian", "Morning", "Noon"),
    *("Orchard", "Palm", "Pasture", "Petal", "Plateau", "Prairie", "Sail", "Sky"),
    *("Song", "Spring", "Summer", "Sun", "Terrace", "Veranda", "Vine", "Window"),
)
_SECOND: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("minor", "phrygian", "minor-pentatonic"), _MINOR),
        **dict.fromkeys(
            ("major", "lydian", "mixolydian", "pentatonic", "just"), _MAJOR
        ),
    }
)

N_PAIRS = len(_DARK) * len(_MINOR)  # of any two lists, all of which have one length


def song_title(
    seed: int, index: int, preset: str, scale: str, brightness: float
) -> str:
    """Title of a song.

    >>> song_title(7, 0, "dark", "phrygian", 3.0)
    'Stone Dusk'

    Args:
        seed: of the stream.
        index: of the song in it.
        preset: name that its pattern depends on.
        scale: of its key.
        brightness: of its sounds, octaves above 20 Hz.
    """
    first = _MIDDLE
    if brightness < DARK_BELOW:
        first = _DARK
    elif brightness >= BRIGHT_FROM:
        first = _BRIGHT
    second = _SECOND.get(scale, _MODAL)
    pair = _order(seed, preset)[index % N_PAIRS]
    return f"{first[pair // len(second)]} {second[pair % len(second)]}"


@lru_cache(maxsize=64)
def _order(seed: int, preset: str) -> tuple[int, ...]:
    """The order in which a stream walks through the pairs of two lists."""
    order = stream(Purpose.SONG_TITLE, seed, preset).permutation(N_PAIRS)
    return tuple(order.tolist())


def unused_title(
    taken: Iterable[str], seed: int, preset: str, scale: str, brightness: float
) -> str:
    """Title of a stream's first song, or where it is taken the next one that is not.

    Args:
        taken: titles, in any case.
        seed: of the stream.
        preset: as for `song_title`.
        scale: as for `song_title`.
        brightness: as for `song_title`.
    """
    used = {title.casefold() for title in taken}
    titles = (song_title(seed, i, preset, scale, brightness) for i in range(N_PAIRS))
    first = next(titles)
    for title in (first, *titles):
        if title.casefold() not in used:
            return title
    return f"{first} {len(used) + 1}"
