"""Voices: partials that move as one, since they are harmonics of one fundamental."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.sound.partials import N_PLACES, place_hz

N_VOICES = 5
MOVEMENT_LENGTH = 1 << 17  # entries in `motion`'s table, which places have offsets into

_HARMONICS = 10
_IN_TUNE = 6  # places, 30 cents, by which a harmonic may be off

Values = NDArray[np.float32]
Places = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Voices:
    """Which voice each place of the grid belongs to, for one song.

    Attributes:
        of_place: number of the voice, shape (N_PLACES,).
        octaves: of each place above its voice's fundamental, shape (N_PLACES,).
        offsets: into the table, of each place, shape (N_PLACES,).
        phases: in turns at sample 0, shape (N_PLACES,).
        sides: 1 or -1, which way the side is turned against the mid.
    """

    of_place: Places
    octaves: Values
    offsets: Places
    phases: NDArray[np.float64]
    sides: Values


def find_voices(tonal: NDArray[np.float32], rng: np.random.Generator) -> Voices:
    """The voices of a song, from the partials of its sounds.

    Fundamentals are chosen one after another, each the place whose first harmonics
    hold most of what amplitude is left. A place belongs to the voice of whose
    harmonics it is nearest to one; where it is near none, its pitch class decides.

    Args:
        tonal: power at each place of each sound, shape (n, N_PLACES).
        rng: for phases and offsets.
    """
    hertz = place_hz()
    amplitude = np.sqrt(tonal / np.maximum(tonal.sum(axis=1, keepdims=True), 1e-20))
    left = amplitude.sum(axis=0).astype(np.float64)
    of_place = np.round(12.0 * np.log2(hertz / 440.0)).astype(np.intp) % 12 % N_VOICES
    octaves = np.clip(np.log2(hertz / 200.0), 0.0, 4.0)
    nearest = np.full(N_PLACES, float(_IN_TUNE))
    low, high = np.searchsorted(hertz, (50.0, 1000.0))
    per_octave = np.searchsorted(hertz, 2.0 * hertz[0])
    steps = np.round(per_octave * np.log2(np.arange(1, _HARMONICS + 1))).astype(int)
    for voice in range(N_VOICES):
        smooth = np.convolve(left, np.ones(2 * _IN_TUNE + 1), "same")
        score = np.zeros(high - low)
        for number, step in enumerate(steps, 1):
            score += smooth[low + step : high + step] / number**0.5
        root = low + int(np.argmax(score))
        for step in steps:
            around = np.arange(root + step - 8, min(root + step + 9, N_PLACES))
            distance = np.abs(around - root - step)
            nearer = around[distance < nearest[around]]
            nearest[nearer] = np.abs(nearer - root - step)
            of_place[nearer] = voice
            octaves[nearer] = step / per_octave
            left[around] = 0.0
    return Voices(
        of_place,
        (octaves - 1.5).astype(np.float32),
        rng.integers(0, MOVEMENT_LENGTH, N_PLACES).astype(np.intp),
        rng.random(N_PLACES),
        np.where(rng.random(N_PLACES) < 0.5, -1.0, 1.0).astype(np.float32),
    )
