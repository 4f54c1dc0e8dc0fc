"""Points of latent spaces, made for tests."""

import numpy as np

from model.prior import Latents


def two_clouds(n: int, rng: np.random.Generator) -> Latents:
    """Two flat, tilted clouds far from each other, shape (n, 3)."""
    shape = np.array([[1.0, 0.0, 0.0], [0.8, 0.2, 0.0], [0.0, 0.0, 0.5]])
    points = rng.standard_normal((n, 3)) @ shape.T
    points[: n // 4] += 6.0
    drawn: Latents = points.astype(np.float32)
    return drawn
