"""Chords of ambient music, as frequencies."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from model.config import SAMPLE_RATE
from model.spectrum import CLIP_LENGTH

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
    "six nine": (0, 4, 7, 9, 14),
    "minor 11": (0, 3, 7, 10, 14, 17),
}
WEIGHTS = (3, 2, 4, 4, 3, 3, 3, 2, 3, 3, 3, 3, 2, 3, 3, 2, 1, 1, 1, 2, 2)
LINE_NOTES = (2, 4)  # of a line in a clip, least and most


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


def draw_line(
    rng: np.random.Generator, chord: NDArray[np.float64]
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Some tones of a chord, one after another: frequency and course of each.

    Args:
        rng: for the draws.
        chord: frequencies in Hz.

    Yields:
        Hz, and amplitude over a clip, shape (CLIP_LENGTH,): a soft attack and a decay.
    """
    seconds = np.arange(CLIP_LENGTH, dtype=np.float32) / SAMPLE_RATE
    n = int(rng.integers(LINE_NOTES[0], LINE_NOTES[1] + 1))
    attack, decay = rng.uniform(0.02, 0.25), rng.uniform(0.3, 1.5)
    for i in range(n):
        since = seconds - np.float32((i + rng.uniform(-0.2, 0.2)) * 2.0 / n)
        rise = np.clip(since / attack, 0.0, 1.0)
        fall = np.exp(-np.maximum(since - attack, 0.0) / decay)
        course = np.sin(0.5 * np.pi * rise) ** 2 * fall
        yield float(rng.choice(chord)), course.astype(np.float32)
