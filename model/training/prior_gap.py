"""How far the prior's samples lie from real clips.

They are compared in principal components: by the distance of their Gaussians, beside
that of two halves of the real clips, and by how well a small classifier tells them
apart.
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

MIN_CLIPS = 40  # under which nothing is said about their distribution
HIDDEN, EPOCHS, BATCH = 32, 40, 64  # of the classifier
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 0.1

Points = NDArray[np.float64]  # (n, n_components)


def prior_gap(
    points: Points,
    groups: NDArray[np.str_],
    samples: Points,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Compare the prior's samples with clips that training left out.

    Args:
        points: principal components of the clips, shape (n, n_components).
        groups: song or patch of each clip, shape (n,).
        samples: principal components of the prior's samples, (m, n_components), m >= n.
        rng: divides the clips in halves, and seeds the classifier.

    Returns:
        `prior_gap` and `halves_gap`, Frechet distances of the samples from the halves
        and of the halves from one another; `prior_gap_ratio` of the two; and
        `classifier_accuracy`. Empty for too few clips.
    """
    if len(points) < MIN_CLIPS or len(np.unique(groups)) < 2:
        return {}
    in_first = halves_by_group(groups, rng)
    half_a, half_b = points[in_first], points[~in_first]
    size = min(len(half_a), len(half_b))  # the distance depends on the set's size
    apart = frechet_distance(half_a[:size], half_b[:size])
    gap = 0.5 * (
        frechet_distance(half_a[:size], samples[:size])
        + frechet_distance(half_b[:size], samples[-size:])
    )
    return {
        "prior_gap": gap,
        "halves_gap": apart,
        "prior_gap_ratio": gap / max(apart, 1e-12),
        "classifier_accuracy": classifier_accuracy(points, samples, in_first, rng),
    }


def frechet_distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Frechet distance of the Gaussians of two sets of points (n, d).

    |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) (Dowson and Landau, 1982).
    """
    covariance_a, covariance_b = np.cov(a.T), np.cov(b.T)
    root_a = _symmetric_root(covariance_a)
    inner = linalg.eigvalsh(root_a @ covariance_b @ root_a)
    cross = 2.0 * np.sqrt(np.maximum(inner, 0.0)).sum()
    apart = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2)
    return float(apart + np.trace(covariance_a) + np.trace(covariance_b) - cross)


def halves_by_group(
    groups: NDArray[np.str_], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Divide clips in two about equal parts, no group in both; shape (n,)."""
    names, sizes = np.unique(groups, return_counts=True)
    order = rng.permutation(len(names))
    filled = np.cumsum(sizes[order])
    first = names[order[filled <= (len(groups) + 1) / 2]]
    return np.isin(groups, first if len(first) else names[order[:1]])


def classifier_accuracy(
    a: Points, b: Points, a_is_training: NDArray[np.bool_], rng: np.random.Generator
) -> float:
    """Held-out accuracy of a small network that tells `a` from `b`; 0.5 = never.

    One hidden layer, trained by Adam with weight decay. Both sets count the same,
    whatever their sizes.

    Args:
        a: points (n, d).
        b: points (m, d).
        a_is_training: which rows of `a` are for training; of `b`, every other.
        rng: picks rows, and seeds first weights and order.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    b_is_training = np.arange(len(b)) % 2 == 0

    def even(
        in_a: NDArray[np.bool_], in_b: NDArray[np.bool_]
    ) -> tuple[Points, NDArray[np.int_]]:
        """As many rows of each set, and which of the two each row is from."""
        n = int(min(in_a.sum(), in_b.sum()))
        rows_a = np.sort(rng.choice(np.flatnonzero(in_a), n, replace=False))
        rows_b = np.sort(rng.choice(np.flatnonzero(in_b), n, replace=False))
        return np.concatenate([a[rows_a], b[rows_b]]), np.repeat([0, 1], n)

    x, label = even(a_is_training, b_is_training)
    x_test, label_test = even(~a_is_training, ~b_is_training)
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    classifier = MLPClassifier(
        (HIDDEN,),
        alpha=WEIGHT_DECAY,
        batch_size=min(BATCH, len(x)),
        learning_rate_init=LEARNING_RATE,
        max_iter=EPOCHS,
        n_iter_no_change=EPOCHS,
        random_state=int(rng.integers(2**31)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it ends after EPOCHS
        classifier.fit((x - mean) / scale, label)
    return float(classifier.score((x_test - mean) / scale, label_test))


def _symmetric_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = linalg.eigh(matrix)
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root
