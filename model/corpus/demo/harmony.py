"""Chords of ambient music, as frequencies."""

import numpy as np
from numpy.typing import NDArray

# Semitones above the root. Consonant and open chords come up more often.
CHORDS: dict[str, tuple[int, ...]] = {
    "drone": (0,),
    "octaves": (0, 12),
    "fifth": (0, 7),
    "open fifth": (0, 7, 12),
    "fifths": (0, 7, 14),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "major 7": (0, 4, 7, 11),
    "minor 7": (0, 3, 7, 10),
    "minor 9": (0, 3, 7, 10, 14),
    "major 9": (0, 4, 7, 11, 14),
    "add 9": (0, 4, 7, 14),
    "quartal": (0, 5, 10, 15),
    "quintal": (0, 7, 14, 21),
    "lydian": (0, 4, 6, 7, 11),
    "cluster": (0, 1, 2),
    "tritone": (0, 6, 11),
}
WEIGHTS = (3, 2, 4, 4, 3, 3, 3, 2, 3, 3, 3, 3, 2, 3, 3, 2, 1, 1, 1)


def draw_chord(
    rng: np.random.Generator, register: float
) -> tuple[str, NDArray[np.float64]]:
    """Name and frequencies (Hz) of a random chord in any key and voicing.

    Args:
        rng: for the draws.
        register: the root lies within an octave about this MIDI note.
    """
    share = np.array(WEIGHTS) / sum(WEIGHTS)
    name = list(CHORDS)[rng.choice(len(WEIGHTS), p=share)]
    root = register + rng.uniform(-6.0, 6.0)
    root = round(root) + rng.normal(0.0, 0.03)  # tempered, as tuned by ear
    tones = np.array(CHORDS[name], np.float64)
    if rng.random() < 0.35:  # wide: every other tone above the root an octave up
        tones[1::2] += 12.0
    if rng.random() < 0.4:  # the root doubled below
        tones = np.append(tones, -12.0)
    return name, 440.0 * 2.0 ** ((root + tones - 69.0) / 12.0)
