"""How far two sounds are apart: the difference of their spectra in dB, without level.

The spectra are taken in 64 bands as a listener's short memory has them: at the
resolution of a Hann window of 93 ms, relative to the sound's own power, and no deeper
than 50 dB under it. On this scale sections of one real ambient track lie about 5 dB
apart, and two tracks about 10.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model.config import SAMPLE_RATE, Axis

N_BANDS = 64
RANGE_HZ = (40.0, 16_000.0)
FLOOR_DB = -50.0  # of the sound's power
WINDOW = 4096  # samples at the model's rate

_LOBE = 6  # bins on either side of a partial that its window reaches

Values = NDArray[np.float64]


def coarse_spectra(power: Values, axis: Axis) -> Values:
    """Spectra that distances are taken of, in dB.

    Args:
        power: band powers, shape (..., n_bands).
        axis: the bands.

    Returns:
        Shape (..., 64).
    """
    bands = power @ _band_weights(axis)
    share = bands / (bands.sum(axis=-1, keepdims=True) + 1e-20)
    return np.asarray(10.0 * np.log10(share + 10.0 ** (FLOOR_DB / 10.0)))


def apart_db(one: Values, other: Values) -> Values:
    """RMS difference of coarse spectra over their last axis, dB; shapes broadcast."""
    return np.asarray(np.sqrt(np.square(one - other).mean(axis=-1)))


def mean_apart_db(spectra: Values) -> Values:
    """Mean distance of all pairs of n coarse spectra.

    Args:
        spectra: shape (..., n, 64), n at least 2.

    Returns:
        Shape (...,).
    """
    first, second = np.triu_indices(spectra.shape[-2], 1)
    pairs = apart_db(spectra[..., first, :], spectra[..., second, :])
    return np.asarray(pairs.mean(axis=-1))


@lru_cache(maxsize=2)
def _band_weights(axis: Axis) -> Values:
    """Share of each band of the axis in each coarse band, shape (n_bands, 64)."""
    low, high = RANGE_HZ
    edges = np.geomspace(low, high, N_BANDS + 2)
    bins = np.arange(WINDOW // 2 + 1)
    hertz = bins * SAMPLE_RATE / WINDOW
    rising = (hertz[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - hertz[:, None]) / np.diff(edges)[1:]
    triangles = np.clip(np.minimum(rising, falling), 0.0, 1.0)
    # A band narrower than the bins takes the bin that is nearest to its centre.
    empty = np.flatnonzero(triangles.sum(axis=0) == 0.0)
    nearest = np.argmin(np.abs(hertz[:, None] - edges[1:-1]), axis=0)
    triangles[nearest[empty], empty] = 1.0
    place = axis.centres * WINDOW / SAMPLE_RATE
    reached = place.astype(np.intp)[:, None] + np.arange(-_LOBE, _LOBE + 2)
    offset = reached - place[:, None]
    lobe = np.sinc(offset) + 0.5 * (np.sinc(offset - 1.0) + np.sinc(offset + 1.0))
    inside = (reached >= 0) & (reached < len(bins))
    weights = np.where(inside, np.square(lobe) / 1.5, 0.0)
    found = triangles[np.clip(reached, 0, len(bins) - 1)]
    return np.asarray(np.einsum("bk,bkc->bc", weights, found))
