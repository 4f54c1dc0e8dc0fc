"""How likely clips are to be rejected, learned from the decisions so far.

A logistic regression on the scores of the tests for transients, on the places in latent
space, and on the nearness to some landmarks there: whole regions are bad as often as
whole sides.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_EACH = 3  # kept and rejected clips without which nothing is learned
STRENGTH = 0.3  # inverse of the regularisation
SCORE_WEIGHT = 2.0  # scores count for more than a single latent
HIGHEST_SCORE = 3.0  # over the limit; beyond, a score says nothing more
N_LANDMARKS = 128
NEAR = 0.5  # radius around a landmark, over the median distance
NEARNESS_WEIGHT = 1.0  # of all landmarks together, as of a latent
LARGEST = 4_000  # decisions that are learned from: the latest

Features = NDArray[np.float32]


def features_for(
    scores: NDArray[np.float32], latents: NDArray[np.float32] | None
) -> Features:
    """What the classifier sees of clips, each column of about the size that it counts.

    Args:
        scores: of all clips over their limits, shape (n, k).
        latents: of all clips, shape (n, d), or None.
    """
    capped = np.minimum(scores, HIGHEST_SCORE)
    parts = [SCORE_WEIGHT * _standardised(capped)]
    if scores.shape[1]:
        parts.append(SCORE_WEIGHT * _standardised(capped.max(axis=1, keepdims=True)))
    if latents is not None and len(latents):
        places = _standardised(latents)
        parts += [places, NEARNESS_WEIGHT * _standardised(_nearness(places))]
    found: Features = np.concatenate(parts, axis=1).astype(np.float32)
    return found


def likelihood(
    features: Features, decided: NDArray[np.intp], rejected: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Likelihood of each clip's rejection, 0..1, shape (n,).

    Args:
        features: of all clips, as `features_for` returns them.
        decided: numbers of the clips that were decided, shape (m,).
        rejected: which of them were rejected, shape (m,); some, and not all.
    """
    decided, rejected = decided[-LARGEST:], rejected[-LARGEST:]
    fitted = classifier().fit(features[decided], rejected)
    weights, bias = fitted.coef_[0].astype(np.float32), np.float32(fitted.intercept_[0])
    line = np.clip(features @ weights + bias, -30.0, 30.0)
    likely: NDArray[np.float32] = 1.0 / (1.0 + np.exp(-line))
    return likely


def classifier() -> Any:
    """One of scikit-learn's, not yet fitted."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=STRENGTH, max_iter=300)


def _nearness(places: Features) -> Features:
    """Nearness of places (n, d) to landmarks among them, shape (n, N_LANDMARKS)."""
    landmarks = places[:: max(1, len(places) // N_LANDMARKS)][:N_LANDMARKS]
    squares = np.sum(places**2, axis=1)[:, None] + np.sum(landmarks**2, axis=1)
    squares -= 2.0 * places @ landmarks.T
    np.maximum(squares, 0.0, out=squares)
    radius = NEAR * np.sqrt(np.median(squares)) + 1e-6
    near: Features = np.exp(-0.5 * squares / radius**2).astype(np.float32)
    return near


def _standardised(values: NDArray[np.float32]) -> NDArray[np.float32]:
    if not len(values):
        return values
    centred = values - values.mean(axis=0)
    found: NDArray[np.float32] = centred / (values.std(axis=0) + 1e-6)
    return found
