"""Fitting the prior of a model to where its clips lie in latent space."""

import warnings

import numpy as np
from numpy.typing import NDArray

from model.prior import Latents, Prior, stored_grid

N_COMPONENTS = 8
N_EXAMPLES = 6144
POINTS_A_DIMENSION = 20  # for each component; fewer fit covariances to chance
N_ITERATIONS = 200
# Added to the variances. On held-out latents 0.01 gives the highest density: by 0.02
# nats against 0.001, by 0.05 against 0.03.
RIDGE = 0.01


def fit_prior(
    points: Latents, rng: np.random.Generator, *, n_components: int = N_COMPONENTS
) -> Prior:
    """Fit a mixture of Gaussians to points, and choose the examples of the bootstrap.

    Args:
        points: shape (n, n_latents): draws from the posteriors of clips, means
            with their noise, so that the components cover what decoding has seen.
        rng: picks the starting points, and the examples.
        n_components: at most; fewer are fitted to few points.

    Returns:
        The fitted prior, with at most `N_EXAMPLES` examples.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    n, d = points.shape
    mixture = GaussianMixture(
        int(np.clip(n // (POINTS_A_DIMENSION * d), 1, n_components)),
        reg_covar=RIDGE,
        max_iter=N_ITERATIONS,
        # Starting from k-means itself would depend on the number of threads.
        init_params="k-means++",
        random_state=int(rng.integers(2**31)),
    )
    with warnings.catch_warnings():
        # Whatever the last step was, the mixture is a good one.
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(points.astype(np.float64))
    chosen = rng.permutation(n)[:N_EXAMPLES]
    examples = stored_grid(points[chosen])
    component_of: NDArray[np.uint8] = mixture.predict(examples).astype(np.uint8)
    return Prior(
        weights=mixture.weights_,
        means=mixture.means_,
        factors=np.linalg.cholesky(mixture.covariances_),
        examples=examples,
        component_of=component_of,
    )
