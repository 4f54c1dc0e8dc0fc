"""Chord plans: which degree of the key each of a song's five sounds stands on.

A song's pattern then moves harmonically as its sections come and go, as in `A` on the
tonic and `B` on the fourth above. Degrees are counted in the seven of a mode; in a
scale with more or fewer notes, a degree is the note that lies nearest to where a major
scale has it.
"""

import numpy as np
from numpy.typing import NDArray

from engine.control.controls import Snapshot
from engine.control.harmony import CHORDS, KEYS, SCALES

# Share of the strength at which a sound has come all the way to its degree.
ARRIVED = 0.75

_MAJOR = (0.0, 200.0, 400.0, 500.0, 700.0, 900.0, 1100.0)


def degrees(plan: str, scale: tuple[float, ...]) -> NDArray[np.float64]:
    """Cents above the tonic on which A..E stand, shape (5,).

    Args:
        plan: name in `CHORDS`.
        scale: cents above the tonic, rising from 0.
    """
    wanted = [degree - 1 for degree in CHORDS[plan]]
    notes: NDArray[np.float64] = np.array(scale, np.float64)
    if len(scale) == len(_MAJOR):
        return np.asarray(notes[wanted])
    places = np.array(_MAJOR)[wanted]
    return np.asarray(notes[np.argmin(np.abs(notes - places[:, None]), axis=1)])


def chord_name(controls: Snapshot, symbol: str) -> tuple[int, str]:
    """Degree of the key on which a sound stands, from 1, and its root.

    Args:
        controls: in force.
        symbol: of the sound, `A` to `E`.

    Returns:
        0 and an empty text if sounds are not moved to chords.
    """
    plan = str(controls["tuning/chords"])
    if plan == "off" or not float(controls["tuning/strength"]):
        return 0, ""
    place = "ABCDE".index(symbol)
    above = degrees(plan, SCALES[str(controls["tuning/scale"])])[place]
    tonic = KEYS.index(str(controls["tuning/key"]))
    return CHORDS[plan][place], KEYS[(tonic + round(float(above) / 100.0)) % len(KEYS)]


def move(
    start: float, goal: float, strength: float, notes: NDArray[np.float64]
) -> float:
    """How far a note moves towards another, from note to note of its scale.

    With less than full strength it stops at a note on the way, so that whatever has
    moved lies in the scale.

    Args:
        start: cents above C.
        goal: the same; it is gone to in the nearest octave.
        strength: 0..1; from `ARRIVED` on, the goal is reached.
        notes: of the scale, cents above C.

    Returns:
        Cents, up is positive, from -600 to 600.
    """
    whole = (goal - start + 600.0) % 1200.0 - 600.0
    share = min(1.0, strength / ARRIVED)
    if share >= 1.0:
        return float(whole)
    place = start + share * whole
    apart = (notes - place + 600.0) % 1200.0 - 600.0
    return float(share * whole + apart[np.argmin(np.abs(apart))])
