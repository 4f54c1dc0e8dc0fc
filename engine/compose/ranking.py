"""Ranking: a weighted sum of quantiles."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


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
