"""Picking the five sounds of a song: from the top, different, and fitting."""

import numpy as np
from numpy.typing import NDArray

TOP_SHARE = 0.12  # of the candidates, at full weight of the ranking
TOO_NEAR = 0.35  # of the median distance: two such sounds are one
_SMOOTH_BANDS = 12


def pick(
    scores: NDArray[np.float64],
    timbres: NDArray[np.float32],
    n: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Indices of `n` sounds, in the order A, B, ...

    With a flat ranking the choice is among all; the more the scores differ, the
    closer to the top it stays. The first is drawn, and each next one is the best
    fitting among those far enough from all before; when none is left, the farthest.

    Args:
        scores: higher is better, shape (m,).
        timbres: of the candidates, shape (m, n_bands).
        n: how many to pick; repeats begin when m < n.
        rng: for the draws.
    """
    spread = float(np.ptp(scores))
    share = 1.0 - (1.0 - TOP_SHARE) * min(1.0, spread)
    n_top = int(np.clip(round(share * len(scores)), min(4 * n, len(scores)), None))
    top = np.argsort(-scores, kind="stable")[:n_top]
    distance = _distances(timbres[top])
    typical = float(np.median(distance[distance > 0])) if n_top > 1 else 0.0
    chosen = [int(rng.integers(n_top))]
    while len(chosen) < n:
        nearest = distance[chosen].min(axis=0)
        far = np.flatnonzero(nearest > TOO_NEAR * typical)
        if len(far) == 0:
            chosen.append(int(np.argmax(nearest)))
            continue
        # Among a random handful, the one that fits the sounds so far best.
        handful = rng.choice(far, min(len(far), 6), replace=False)
        fit = distance[chosen][:, handful].mean(axis=0)
        chosen.append(int(handful[np.argmin(fit)]))
    return np.asarray(top[chosen], np.intp)


def _distances(timbres: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean absolute difference of smoothed spectra, shape (m, m)."""
    starts = np.arange(0, timbres.shape[1], _SMOOTH_BANDS)
    smooth = np.add.reduceat(timbres, starts, axis=1) / _SMOOTH_BANDS
    return np.asarray(np.abs(smooth[:, None] - smooth[None]).mean(axis=2), np.float64)
