"""Keys, scales and chord plans: the musical choices that controls offer."""

from collections.abc import Mapping
from types import MappingProxyType

KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

# Notes of each scale in cents above the tonic, rising. Just intonation is Ptolemy's
# intense diatonic.
SCALES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "chromatic": tuple(100.0 * i for i in range(12)),
        "major": (0, 200, 400, 500, 700, 900, 1100),
        "minor": (0, 200, 300, 500, 700, 800, 1000),
        "dorian": (0, 200, 300, 500, 700, 900, 1000),
        "phrygian": (0, 100, 300, 500, 700, 800, 1000),
        "lydian": (0, 200, 400, 600, 700, 900, 1100),
        "mixolydian": (0, 200, 400, 500, 700, 900, 1000),
        "pentatonic": (0, 200, 400, 700, 900),
        "minor-pentatonic": (0, 300, 500, 700, 1000),
        "just": (0, 203.91, 386.31, 498.04, 701.96, 884.36, 1088.27),
    }
)

# Degree of the key, 1 is the tonic, on which each of a song's sounds A to E stands.
CHORDS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "drone": (1, 1, 1, 1, 1),  # all on one root: colour without harmony
        "open": (1, 5, 1, 4, 5),  # tonic and its neighbours in the circle of fifths
        "plagal": (1, 4, 1, 6, 4),  # the tonic and what shares its notes below
        "thirds": (1, 3, 5, 6, 3),  # from third to third
        "fifths": (1, 5, 2, 6, 3),  # up the circle of fifths
        "falling": (1, 7, 6, 5, 4),  # stepwise down, as a lament
    }
)
