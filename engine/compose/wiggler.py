"""The wiggler: coils the path into a helix, so that it never quite rests."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Wiggler:
    """Two vectors at right angles, turned by sine and cosine.

    Attributes:
        sine, cosine: shape (n_latents,), each of length sqrt(n_latents), so that an
            amount of 1 moves every latent by about one standard deviation.
    """

    sine: NDArray[np.float64]
    cosine: NDArray[np.float64]

    def offset(self, turns: NDArray[np.float64], amount: float) -> NDArray[np.float64]:
        """What to add to the path, shape (n, n_latents), after so many turns."""
        angle = 2.0 * np.pi * turns[:, None]
        return amount * (np.sin(angle) * self.sine + np.cos(angle) * self.cosine)


def draw_wiggler(n_latents: int, rng: np.random.Generator) -> Wiggler:
    """A wiggler of random direction; of one latent it can only sway.

    High-dimensional random vectors are nearly at right angles; the second is made
    exactly so, which turns a sway that chance might bring into a circle.
    """
    sine, cosine = rng.standard_normal((2, n_latents))
    sine /= np.linalg.norm(sine)
    if n_latents > 1:
        cosine -= (cosine @ sine) * sine
    cosine /= np.linalg.norm(cosine)
    length = np.sqrt(n_latents)
    return Wiggler(length * sine, length * cosine)
