"""Tuning: since bands are log-spaced, to transpose a sound is to shift its bands.

A sound's detuning and tonal centre are read from its spectrum, with a confidence;
confident sounds are drawn to the key, noise is left alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.compose.chords import degrees, move
from engine.control.controls import Snapshot
from engine.control.harmony import KEYS, SCALES
from model.config import Axis
from model.spectrum import surroundings

PEAK_DB = 6.0  # a partial stands so far above its third of an octave
SURE = 0.25  # confidence from which a sound is drawn to key with full strength
UNSURE = 0.1  # and below which it is left alone; noise has under 0.01
_HARMONICS = 6


@dataclass(frozen=True)
class Tuning:
    """Key, scale and chords that sounds are drawn to.

    Attributes:
        tonic: pitch class of the key, 0 is C.
        scale: name in `SCALES`.
        a4: Hz.
        strength: 0 leaves all as it is, 1 tunes fully.
        chords: name in `chords.CHORDS`, or "off".
        pedal: share of each chord's power that stays on the tonic.
    """

    tonic: int
    scale: str
    a4: float
    strength: float
    chords: str = "off"
    pedal: float = 0.0

    @classmethod
    def of(cls, controls: Snapshot) -> "Tuning":
        """The tuning that the controls ask for."""
        return cls(
            KEYS.index(str(controls["tuning/key"])),
            str(controls["tuning/scale"]),
            float(controls["tuning/a4"]),
            float(controls["tuning/strength"]),
            str(controls["tuning/chords"]),
            float(controls["tuning/pedal"]),
        )


@dataclass(frozen=True)
class Pitch:
    """What a sound is tuned to.

    Attributes:
        root_cents: tonal centre in cents above C, 0..1200, at the a4 it was asked for.
        confidence: 0 for noise, up to 1.
    """

    root_cents: float
    confidence: float


def find_pitch(power: NDArray[np.float64], axis: Axis, a4: float = 440.0) -> Pitch:
    """Tonal centre of a sound.

    Its partials vote: each for the pitch class of which it would be the first,
    second, ... sixth harmonic, with less weight the higher. The root is the fullest
    place on the circle of pitch classes, refined by the partials that agree with it.

    Args:
        power: band powers, shape (n_bands,).
        axis: the bands.
        a4: Hz.
    """
    cents, weight = _partials(power, axis, a4)
    if len(cents) == 0:
        return Pitch(0.0, 0.0)
    harmonic = np.arange(1, _HARMONICS + 1)
    votes = (cents[:, None] - 1200.0 * np.log2(harmonic)) % 1200.0
    vote_weight = weight[:, None] * (1.0 / harmonic)
    grid = np.arange(0.0, 1200.0, 10.0)
    apart = (votes.ravel()[None, :] - grid[:, None] + 600.0) % 1200.0 - 600.0
    fullness = np.exp(-0.5 * (apart / 20.0) ** 2) @ vote_weight.ravel()
    root = float(grid[np.argmax(fullness)])
    offset = (votes - root + 600.0) % 1200.0 - 600.0
    agreeing = vote_weight * (np.abs(offset) < 40.0)
    root += float((agreeing * offset).sum() / max(agreeing.sum(), 1e-12))
    tonal_share = min(1.0, weight.sum())
    agreement = min(1.0, agreeing.sum() / max(weight.sum(), 1e-12))
    return Pitch(root % 1200.0, tonal_share * agreement)


@dataclass(frozen=True, eq=False)
class Transpositions:
    """Bands by which sounds are transposed; up is positive.

    Attributes:
        shifts: to the nearest note of the key, shape (n,); 0 for sounds without a clear
            root.
        moves: from there to their degrees of the chord plan, shape (n,), at most half
            an octave; 0 without chords, and for sounds without a clear root.
        tonics: from there to the tonic instead, shape (n,), alike.
    """

    shifts: NDArray[np.float64]
    moves: NDArray[np.float64]
    tonics: NDArray[np.float64]


def transpositions(
    power: NDArray[np.float64], tuning: Tuning, axis: Axis
) -> Transpositions:
    """Transpositions of A..E, by which their roots come to lie in key and chords.

    Args:
        power: band powers, shape (n, n_bands); n is 5 if there are chords.
        tuning: key, scale and chords.
        axis: the bands.
    """
    drawn = [_drawn(sound, tuning, axis) for sound in power]
    cents = np.zeros((3, len(power)))
    cents[0] = [d.pull * d.apart for d in drawn]
    if tuning.chords != "off" and tuning.strength > 0.0:
        tonic = 100.0 * tuning.tonic
        goals = degrees(tuning.chords, SCALES[tuning.scale]) + tonic
        for i, (d, goal) in enumerate(zip(drawn, goals, strict=True)):
            if d.pull > 0.0:
                notes = _notes(tuning)
                cents[1, i] = move(d.note, float(goal), d.pull, notes)
                cents[2, i] = move(d.note, tonic, d.pull, notes)
    return Transpositions(*(cents / 1200.0 * axis.bands_per_octave))


@dataclass(frozen=True)
class _Drawn:
    """A sound in its key: the note nearest to its root, and how hard it is drawn."""

    note: float  # cents above C
    apart: float  # cents from the root to it
    pull: float  # 0..1


def _drawn(sound: NDArray[np.float64], tuning: Tuning, axis: Axis) -> _Drawn:
    pitch = find_pitch(sound, axis, tuning.a4)
    sure = np.clip((pitch.confidence - UNSURE) / (SURE - UNSURE), 0.0, 1.0)
    notes = _notes(tuning)
    apart = (notes - pitch.root_cents + 600.0) % 1200.0 - 600.0
    nearest = int(np.argmin(np.abs(apart)))
    return _Drawn(
        float(notes[nearest]), float(apart[nearest]), tuning.strength * float(sure)
    )


def _notes(tuning: Tuning) -> NDArray[np.float64]:
    return np.array(SCALES[tuning.scale]) + 100.0 * tuning.tonic


def shift_bands(power: NDArray[np.float64], bands: float) -> NDArray[np.float64]:
    """Band powers moved up by a number of bands, fractions included.

    What is moved in from beyond an end is the end's own level.

    Args:
        power: shape (..., n_bands).
        bands: how far; negative moves down.
    """
    if bands == 0.0:
        return power
    n = power.shape[-1]
    source = np.clip(np.arange(n) - bands, 0.0, n - 1.0)
    below = np.minimum(source.astype(np.intp), n - 2)
    fraction = source - below
    shifted: NDArray[np.float64] = (
        power[..., below] * (1.0 - fraction) + power[..., below + 1] * fraction
    )
    return shifted


def dissolved(
    power: NDArray[np.float64], moves: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Band powers between chords: not in between, but some of each.

    Args:
        power: shape (n_bands,).
        moves: bands by which each chord moves them, shape (n,).
        shares: of the power that each chord has, shape (n,).
    """
    mixed = np.zeros_like(power)
    for bands in np.unique(moves):
        mixed += float(shares[moves == bands].sum()) * shift_bands(power, float(bands))
    return mixed


def _partials(
    power: NDArray[np.float64], axis: Axis, a4: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cents above C and share of the loudness of partials from 40 to 5000 Hz."""
    level_db = 10.0 * np.log10(power + 1e-12)
    floor = surroundings(level_db)
    inner = slice(1, -1)
    is_peak = (
        (level_db[inner] >= level_db[:-2])
        & (level_db[inner] > level_db[2:])
        & ((level_db - floor)[inner] > PEAK_DB)
    )
    peaks = np.flatnonzero(is_peak) + 1
    in_range = (axis.centres[peaks] > 40.0) & (axis.centres[peaks] < 5000.0)
    peaks = peaks[in_range]
    before, here, after = (level_db[peaks + i] for i in (-1, 0, 1))
    bend = before - 2.0 * here + after
    offset = np.where(bend < 0, 0.5 * (before - after) / np.minimum(bend, -1e-9), 0.0)
    octaves = (peaks + offset + 0.5) / axis.bands_per_octave
    hertz = axis.low_hz * 2.0**octaves
    amplitude = np.sqrt(power)
    weight = sum(amplitude[np.clip(peaks + i, 0, len(power) - 1)] for i in (-1, 0, 1))
    cents = 1200.0 * np.log2(hertz / a4) + 900.0  # A is nine semitones above C
    return cents, np.asarray(weight / amplitude.sum())
