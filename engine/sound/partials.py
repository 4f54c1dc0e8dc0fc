"""Band powers to partials: what stands out of its neighbourhood, gathered to places.

Every timbre is taken apart into a tonal part (what stands out of its neighbourhood in
the spectrum) and a noise part. The tonal part is gathered to the centres of its peaks,
and each centre to the nearest place of a fixed grid of frequencies. Partials live at
places for good, so their phases can be functions of place and time alone.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from effects.audio.k_weighting import k_weighting
from model.config import AXIS
from model.spectrum import surroundings

PLACES_PER_BAND = 2  # 4.9 cents apart
N_PLACES = PLACES_PER_BAND * (AXIS.n_bands - 1) + 1

# Peaks are gathered to places at least so far apart. Nearer partials would beat
# so slowly that the level goes up and down with them; and it is about the smallest
# difference of low frequencies that is heard as one of pitch.
NEAREST_HZ = 1.0

_TONAL_FROM_DB = 3.0
_TONAL_FULL_DB = 12.0
# Halfway between two places, a partial belongs to both: without a jump when chance in
# the last digit moves its centre, and rarely enough that few partials beat.
_SHARED = 0.2  # of the way from one place to the next

Powers = NDArray[np.float64]


@lru_cache(maxsize=1)
def place_hz() -> NDArray[np.float64]:
    """Frequencies of the places in Hz, shape (N_PLACES,); even ones are band centres.

    >>> bool(np.allclose(place_hz()[::PLACES_PER_BAND], AXIS.centres))
    True
    """
    octaves = np.arange(N_PLACES) / (PLACES_PER_BAND * AXIS.bands_per_octave)
    hertz: NDArray[np.float64] = AXIS.centres[0] * 2.0**octaves
    return hertz


@lru_cache(maxsize=1)
def place_weighting() -> NDArray[np.float64]:
    """K-weighting of power at each place, shape (N_PLACES,)."""
    return k_weighting(place_hz())


def split_tonal(band_power: Powers, clarity: float = 1.0) -> tuple[Powers, Powers]:
    """Noise and tonal part of band powers, shape (..., n_bands); they sum to the whole.

    A band is the more tonal the farther it stands above the mean level of its
    neighbourhood, in dB; `clarity` scales how much of that is taken out.
    """
    level_db = 10.0 * np.log10(band_power + 1e-20)
    prominence = level_db - surroundings(level_db)
    share = (prominence - _TONAL_FROM_DB) / (_TONAL_FULL_DB - _TONAL_FROM_DB)
    np.clip(share, 0.0, 1.0, out=share)
    # The skirts of a peak belong to it.
    widened = share.copy()
    np.maximum(widened[..., 1:], share[..., :-1], out=widened[..., 1:])
    np.maximum(widened[..., :-1], share[..., 1:], out=widened[..., :-1])
    tonal = clarity * widened * band_power
    return band_power - tonal, tonal


def peak_centres(
    tonal_bands: Powers,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres of the peaks of tonal band powers, and the power that each gathers.

    Each band's power goes to the peak on its side of the valley between two.

    Args:
        tonal_bands: shape (n_bands,).

    Returns:
        Places on the axis in bands, ascending, and powers; they sum to the bands' sum.
    """
    before, after = np.zeros_like(tonal_bands), np.zeros_like(tonal_bands)
    before[1:], after[:-1] = tonal_bands[:-1], tonal_bands[1:]
    peaks = np.flatnonzero(
        (tonal_bands > 0) & (tonal_bands >= before) & (tonal_bands > after)
    )
    if len(peaks) == 0:
        return np.zeros(0), np.zeros(0)
    # Between two peaks levels fall, then rise: the first of the lowest is the valley.
    valleys = np.flatnonzero((tonal_bands < before) & (tonal_bands <= after))
    first, last = np.searchsorted(valleys, peaks[[0, -1]])
    starts = np.concatenate([[0], valleys[first:last]])
    power = np.add.reduceat(tonal_bands, starts)
    moment = np.add.reduceat(tonal_bands * np.arange(len(tonal_bands)), starts)
    return moment / np.maximum(power, 1e-300), power


def gather(tonal_bands: Powers, nearest_hz: float = NEAREST_HZ) -> NDArray[np.float32]:
    """Power at each place with the peaks of tonal bands gathered there.

    Args:
        tonal_bands: of one sound or several, shape (..., n_bands).
        nearest_hz: by which places that are used lie apart at least; 0 is all places,
            for what needs the pitch and not the sound.

    Returns:
        Shape (..., N_PLACES), mean square; a sound's sum is its bands'.
    """
    *shape, n_bands = tonal_bands.shape
    # All sounds in one row, with a silent band between them that no peak reaches over.
    rows = np.zeros((*shape, n_bands + 1))
    rows[..., :n_bands] = tonal_bands
    centre, gathered = peak_centres(rows.ravel())
    sound = (centre / (n_bands + 1)).astype(np.intp)
    place = PLACES_PER_BAND * (centre - sound * (n_bands + 1))
    below = np.minimum(place.astype(np.intp), N_PLACES - 2)
    apart = _apart(nearest_hz)[below]
    below -= below % apart
    upper = np.clip(((place - below) / apart - 0.5) / _SHARED + 0.5, 0.0, 1.0)
    at = sound * N_PLACES + below
    power = np.zeros((*shape, N_PLACES), np.float32)
    flat = power.reshape(-1)
    np.add.at(flat, at, (gathered * (1.0 - upper)).astype(np.float32))
    np.add.at(flat, at + apart, (gathered * upper).astype(np.float32))
    return power


@lru_cache(maxsize=2)
def _apart(nearest_hz: float) -> NDArray[np.intp]:
    """Near each place, how many places those that are used lie apart: powers of two."""
    ratio = 2.0 ** (1.0 / (PLACES_PER_BAND * AXIS.bands_per_octave))
    step_hz = (ratio - 1.0) * place_hz()
    apart = (2.0 ** np.ceil(np.log2(np.maximum(nearest_hz / step_hz, 1.0)))).astype(
        np.intp
    )
    # It changes at multiples of the largest, so that no step is cut short.
    place = np.arange(N_PLACES)
    return np.asarray(apart[place - place % apart[0]])
