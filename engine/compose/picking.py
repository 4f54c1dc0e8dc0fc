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
    motion: float = 0.0,
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
        motion: above 0, sounds that lie far apart; below 0, near ones; -1..1.
    """
    spread = float(np.ptp(scores))
    share = 1.0 - (1.0 - TOP_SHARE) * min(1.0, spread)
    n_top = int(np.clip(round(share * len(scores)), min(4 * n, len(scores)), None))
    top = np.argsort(-scores, kind="stable")[:n_top]
    smooth = _smoothed(timbres[top])
    chosen = [int(rng.integers(n_top))]
    apart = [_distances(smooth, chosen[0])]
    typical = float(np.median(apart[0]))
    while len(chosen) < n:
        nearest = np.min(apart, axis=0)
        far = np.flatnonzero(nearest > TOO_NEAR * typical)
        if len(far) == 0:
            chosen.append(int(np.argmax(nearest)))
        else:
            # Among a random handful, the one that fits the sounds so far best: or as
            # little as motion wants, of a larger handful.
            n_handful = min(len(far), 6 + round(18 * abs(motion)))
            handful = rng.choice(far, n_handful, replace=False)
            order = np.argsort(np.mean(apart, axis=0)[handful], kind="stable")
            chosen.append(
                int(handful[order[round(max(0.0, motion) * (n_handful - 1))]])
            )
        apart.append(_distances(smooth, chosen[-1]))
    return np.asarray(top[chosen], np.intp)


def _smoothed(timbres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over tenths of an octave."""
    starts = np.arange(0, timbres.shape[1], _SMOOTH_BANDS)
    return np.asarray(
        np.add.reduceat(timbres, starts, axis=1) / _SMOOTH_BANDS, np.float32
    )


def _distances(smooth: NDArray[np.float32], of: int) -> NDArray[np.float32]:
    """Mean absolute difference of all spectra from one of them, shape (m,)."""
    return np.asarray(np.abs(smooth - smooth[of]).mean(axis=1))
