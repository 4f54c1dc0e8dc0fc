"""Picking a song's sounds around its centre: from the top, different, and fitting."""

import numpy as np
from numpy.typing import NDArray

from engine.compose.distance import apart_db
from engine.compose.ranking import n_top

TOO_NEAR = 0.35  # of the median distance from the centre: two such sounds are one
HANDFUL = 6  # sounds of which the best fitting is taken


def pick(
    scores: NDArray[np.float64],
    spectra: NDArray[np.float64],
    n: int,
    rng: np.random.Generator,
    motion: float = 0.0,
) -> NDArray[np.intp]:
    """Indices of `n` sounds, in the order A, B, ...; the first is sound 0, the centre.

    With a flat ranking the choice is among all; the more the scores differ, the
    closer to the top it stays. Each next sound is the nearest on average to those
    before, or with motion a farther one, among a random handful of those far enough
    from every one of them; when none is left, the farthest.

    Args:
        scores: higher is better, shape (m,).
        spectra: coarse spectra of the candidates, shape (m, 64).
        n: how many to pick; repeats begin when m < n.
        rng: for the draws.
        motion: from the nearest of the handful (0 and below) to the farthest (1).
    """
    order = 1 + np.argsort(-scores[1:], kind="stable")
    if not len(order):
        return np.zeros(n, np.intp)
    top = order[: n_top(scores[1:], 4 * n)]
    chosen = [0]
    apart = [apart_db(spectra[top], spectra[0])]
    typical = float(np.median(apart[0]))
    while len(chosen) < n:
        nearest = np.min(apart, axis=0)
        far = np.flatnonzero(nearest > TOO_NEAR * typical)
        if len(far):
            handful = rng.choice(far, min(len(far), HANDFUL), replace=False)
            fit = np.argsort(np.mean(apart, axis=0)[handful], kind="stable")
            best = int(handful[fit[round(max(0.0, motion) * (len(handful) - 1))]])
        else:
            best = int(np.argmax(nearest))
        chosen.append(int(top[best]))
        apart.append(apart_db(spectra[top], spectra[chosen[-1]]))
    return np.asarray(chosen, np.intp)
