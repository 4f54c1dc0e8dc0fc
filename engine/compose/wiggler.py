"""The wiggler: circles around the path on five time scales, so that it never rests.

A song's latent is the point on its path plus the sum of five circular movements. Each
turns in a plane of its own, at right angles to all others, so the distance from the
path is constant whatever the phases are: the timbre moves, its strangeness does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Turns of each circle for one of the slowest, and their radii before normalisation:
# from a movement of half a minute to one of half a second, falling gently.
RATES: tuple[float, ...] = (1.0, 2.9, 7.7, 19.0, 47.0)
RADII: tuple[float, ...] = (1.0, 0.85, 0.7, 0.6, 0.5)
PERIOD = 10.0  # turns of the slowest circle after which all five stand as at first

_NORM = 1.25  # length of all radii together at full spread; the slowest alone has 1


@dataclass(frozen=True)
class Wiggler:
    """Five planes, each given by two vectors at right angles.

    Attributes:
        sine, cosine: shape (5, n_latents); rows of length sqrt(n_latents) as drawn, so
            that at an amount of 1 one circle moves every latent by about one standard
            deviation.
    """

    sine: NDArray[np.float64]
    cosine: NDArray[np.float64]

    def offset(
        self,
        turns: NDArray[np.float64],
        amount: float,
        spread: float = 0.0,
        turns_per_frame: float = 0.0,
    ) -> NDArray[np.float64]:
        """What to add to the path after so many turns of the slowest circle.

        Args:
            turns: shape (n,); only their remainder by `PERIOD` counts.
            amount: radius of the slowest circle alone, in standard deviations.
            spread: 0 for the slowest circle alone, 1 for all five.
            turns_per_frame: turns from one decoded point to the next; circles too fast
                to be followed at that rate fade out, since they would alias.

        Returns:
            Shape (n, n_latents).
        """
        scale = amount * radii(spread) * followed(turns_per_frame)
        angle = 2.0 * np.pi * turns[:, None] * np.array(RATES)
        offset: NDArray[np.float64] = (np.sin(angle) * scale) @ self.sine
        offset += (np.cos(angle) * scale) @ self.cosine
        return offset


def radii(spread: float) -> NDArray[np.float64]:
    """Radius of each circle, shape (5,): length 1 at spread 0, 1.25 at spread 1."""
    shape = np.array(RADII)
    shape[1:] *= spread
    norm = 1.0 + (_NORM - 1.0) * spread
    return np.asarray(shape * (norm / np.linalg.norm(shape)))


def followed(turns_per_frame: float) -> NDArray[np.float64]:
    """Share of each circle that frames so far apart can follow, shape (5,).

    All of it up to a quarter of a turn a frame, nothing from half a turn on, where a
    movement begins to alias (the sampling theorem).
    """
    per_frame = np.array(RATES) * abs(turns_per_frame)
    return np.asarray(np.clip(2.0 - 4.0 * per_frame, 0.0, 1.0))


def draw_wiggler(n_latents: int, rng: np.random.Generator) -> Wiggler:
    """A wiggler with planes of random direction.

    Raises:
        ValueError: fewer latents than the planes have dimensions.
    """
    n_vectors = 2 * len(RATES)
    if n_latents < n_vectors:
        raise ValueError(f"needs {n_vectors} latents, got {n_latents}")
    # Gram and Schmidt's procedure; the sign of each column is made its own, so that
    # the planes do not depend on how a library computes them.
    columns, upper = np.linalg.qr(rng.standard_normal((n_latents, n_vectors)))
    vectors = (columns * np.sign(np.diag(upper))).T * np.sqrt(n_latents)
    return Wiggler(vectors[::2].copy(), vectors[1::2].copy())
