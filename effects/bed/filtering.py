"""The filter of the bed, band by band: a low-pass, and ducking under the music.

Sounds from far off have lost their treble. Steady noise above the music's own treble is
heard in front of the music, not behind it. Safe in the callback: numpy only, arrays of
fixed size.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from effects.audio.k_weighting import k_weighting
from effects.audio.levels import db_to_power
from effects.audio.third_octaves import CENTRES_HZ, Bands
from effects.bed.masking import TINY, duck_into

NO_CUTOFF_HZ = 20_000.0  # from here on there is no low-pass

# Drips and crickets are nearly all treble, and would be gone: of the loudness that the
# low-pass takes, what is above the first is given back, up to the second.
LOST_DB, MOST_BACK_DB = 8.0, 8.0

_LOUD = k_weighting(CENTRES_HZ)  # weight of a band's power in the loudness


@dataclass(frozen=True)
class BedFilter:
    """How the bed is filtered.

    Attributes:
        ducking_db: by how much a band is turned down at most where partials stand.
        cutoff_hz: of the low-pass, at which it takes 3 dB; from `NO_CUTOFF_HZ` on
            there is none.
    """

    ducking_db: float = 0.0
    cutoff_hz: float = NO_CUTOFF_HZ


def low_pass(cutoff_hz: float) -> Bands:
    """Linear gains of the low-pass at the centres of the bands, shape (N_BANDS,).

    The amplitude of a Butterworth filter of second order: 12 dB an octave. Above the
    highest centre, 11 kHz, it falls no further.

    >>> gains = low_pass(56.0 * 2**3)  # the tenth centre
    >>> [f"{20 * np.log10(gains[i]):.1f}" for i in (3, 9, 15)]
    ['-0.0', '-3.0', '-24.1']
    """
    gains: Bands = 1.0 / np.sqrt(1.0 + (CENTRES_HZ / cutoff_hz) ** 4)
    return gains


def _loudness(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """K-weighted mean square of bands, shape (..., N_BANDS) to (...)."""
    # A sum row by row: to the bit, it is the same in any batch.
    return np.asarray((power * _LOUD).sum(axis=-1) + TINY)


def gains_into(
    gains: NDArray[np.float64],
    music: NDArray[np.float64],
    bed: NDArray[np.float64],
    bed_filter: BedFilter,
) -> NDArray[np.bool_]:
    """Callback: linear gain of the bed in each band beside these partials.

    What is ducked is what the low-pass leaves of the bed, before its level is turned.
    A bed that loses much of its loudness gets some of it back.

    Args:
        gains: filled; shape (..., N_BANDS), as the two that follow.
        music: mean square of the music's partials.
        bed: mean square of the bed; overwritten by what the filter leaves.
        bed_filter: in force.

    Returns:
        Where any band has a gain other than 1, shape (...).
    """
    if bed_filter.cutoff_hz >= NO_CUTOFF_HZ:
        return duck_into(gains, music, bed, bed_filter.ducking_db)
    before = _loudness(bed)
    low = low_pass(bed_filter.cutoff_hz)
    np.multiply(bed, low * low, out=bed)
    lost_db = 10.0 * np.log10(before / _loudness(bed))
    back = db_to_power(np.clip(lost_db - LOST_DB, 0.0, MOST_BACK_DB))[..., None]
    np.multiply(bed, back, out=bed)
    filtered = duck_into(gains, music, bed, bed_filter.ducking_db)
    np.multiply(gains, low * np.sqrt(back), out=gains)
    filtered.fill(True)
    return filtered
