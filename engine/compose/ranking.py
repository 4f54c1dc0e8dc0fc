"""Ranking: a weighted sum of quantiles, and how much of it counts as the top."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

TOP_SHARE = 0.12  # of the candidates, at full weight of the ranking


def quantiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the values below each one, 0..1; equal values share their mean.

    >>> quantiles(np.array([3.0, 1.0, 2.0])).tolist()
    [1.0, 0.0, 0.5]
    """
    if len(values) < 2:
        return np.zeros(len(values))
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, side="left")
    up_to = np.searchsorted(ordered, values, side="right")
    return np.asarray((below + up_to - 1) / 2.0 / (len(values) - 1))


def rank(
    features: Mapping[str, NDArray[np.float64]], weights: Mapping[str, float]
) -> NDArray[np.float64]:
    """Score of each sound, higher is better; zero where nothing has a weight.

    Args:
        features: criterion to values, shape (n,) each.
        weights: criterion to weight, -1..1; those without a feature do not count.
    """
    n = len(next(iter(features.values())))
    scores = np.zeros(n)
    for name, values in features.items():
        weight = weights.get(name, 0.0)
        if weight:
            scores += weight * quantiles(values)
    return scores


def n_top(scores: NDArray[np.float64], least: int = 1) -> int:
    """How many sounds are the top of a ranking.

    All of them when nothing has a weight; the more the scores differ, the fewer.

    Args:
        scores: shape (n,).
        least: number that there are at least, if there are so many sounds.
    """
    share = 1.0 - (1.0 - TOP_SHARE) * min(1.0, float(np.ptp(scores)))
    return int(np.clip(round(share * len(scores)), min(least, len(scores)), None))
