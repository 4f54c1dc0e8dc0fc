"""The prior: the distribution over latent space from which sounds are drawn.

The latents of a VAE only resemble N(0, I): between the clusters of its clips lie
holes, and a point drawn there decodes to a blur (Dai and Wipf, "Diagnosing and
enhancing VAE models", ICLR 2019, fit a second VAE for that reason). A mixture of
Gaussians with full covariances follows the aggregate posterior closely, but chords
lie finer than its components. So a point is drawn as in the smoothed bootstrap
with shrinkage (Silverman, "Density estimation", 1986, section 6.4.1): one example out
of some thousands is moved at random along its component, which keeps the component's
mean and covariance. Drawing takes a few lines of numpy;
`model.training.fit_prior` fits the numbers.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Latents = NDArray[np.float32]  # (n, n_latents)

DIGITS = 5  # significant digits kept in model.json
SMOOTHING = 0.3  # share of a component's standard deviation that an example moves by
STEPS = 16.0  # in which examples are stored, to a latent's standard deviation


@dataclass(frozen=True)
class Prior:
    """A mixture of Gaussians over latents, and examples of what it was fitted to.

    Attributes:
        weights: shape (k,), sums to 1.
        means: shape (k, n_latents).
        factors: shape (k, n_latents, n_latents), lower Cholesky factors of the
            components' covariances.
        examples: points that draws start from, shape (n, n_latents). None for a model
            that has none: its draws come from the mixture alone.
        component_of: number of each example's component, shape (n,), or None.
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    factors: NDArray[np.float64]
    examples: NDArray[np.float64] | None = None
    component_of: NDArray[np.uint8] | None = None

    @property
    def n_latents(self) -> int:
        """Number of dimensions of a point."""
        return int(self.means.shape[1])

    def sample(self, n: int, rng: np.random.Generator) -> Latents:
        """Draw `n` points, float32 of shape (n, n_latents)."""
        if self.examples is None or self.component_of is None:
            component = rng.choice(len(self.weights), size=n, p=self.weights)
            kept, smoothing = np.zeros((n, self.n_latents)), 1.0
        else:
            chosen = rng.integers(len(self.examples), size=n)
            component = self.component_of[chosen].astype(np.intp)
            centred = self.examples[chosen] - self.means[component]
            kept, smoothing = np.sqrt(1.0 - SMOOTHING**2) * centred, SMOOTHING
        points = rng.standard_normal((n, self.n_latents))
        for k in np.flatnonzero(np.bincount(component)):
            rows = component == k
            points[rows] = smoothing * points[rows] @ self.factors[k].T + self.means[k]
        drawn: Latents = (points + kept).astype(np.float32)
        return drawn

    def to_json(self) -> dict[str, Any]:
        """Return what model.json holds; factors as rows of the lower triangle."""
        rows, columns = np.tril_indices(self.n_latents)
        stored: dict[str, Any] = {
            "kind": "gaussian-mixture",
            "weights": _rounded(self.weights),
            "means": _rounded(self.means),
            "factors": _rounded(self.factors[:, rows, columns]),
        }
        if self.examples is not None and self.component_of is not None:
            stored["examples"] = _as_text(_steps(self.examples))
            stored["component_of"] = _as_text(self.component_of)
        return stored

    @staticmethod
    def from_json(stored: dict[str, Any]) -> "Prior":
        """Make the prior that a model.json describes.

        Args:
            stored: as `to_json` returns it.

        Raises:
            KeyError: a part is missing.
            TypeError: a part is of another type.
            ValueError: the numbers are no mixture of Gaussians.
        """
        if stored.get("kind") != "gaussian-mixture":
            raise ValueError(f"prior of unknown kind {stored.get('kind')!r}")
        weights = np.asarray(stored["weights"], np.float64)
        means = np.asarray(stored["means"], np.float64)
        packed = np.asarray(stored["factors"], np.float64)
        if weights.ndim != 1 or means.ndim != 2 or not len(weights) == len(means):
            raise ValueError("prior with mismatched weights and means")
        k, d = means.shape
        if packed.shape != (k, d * (d + 1) // 2):
            raise ValueError("prior with mismatched factors")
        if not all(np.all(np.isfinite(a)) for a in (weights, means, packed)):
            raise ValueError("prior with NaN or infinite numbers")
        if np.any(weights < 0.0) or not abs(weights.sum() - 1.0) < 1e-2:
            raise ValueError("prior whose weights do not sum to 1")
        factors = np.zeros((k, d, d))
        rows, columns = np.tril_indices(d)
        factors[:, rows, columns] = packed
        weights = weights / weights.sum()
        if "examples" not in stored:
            return Prior(weights, means, factors)
        examples = _from_text(stored["examples"], np.int8).astype(np.float64) / STEPS
        component_of = _from_text(stored["component_of"], np.uint8)
        if not len(component_of) or len(examples) != d * len(component_of):
            raise ValueError("prior with mismatched examples")
        if component_of.max() >= k:
            raise ValueError("prior with examples of no component")
        return Prior(weights, means, factors, examples.reshape(-1, d), component_of)


def stored_grid(points: Latents) -> NDArray[np.float64]:
    """Round points (n, n_latents) to the eight bits that model.json has for each."""
    return _steps(points).astype(np.float64) / STEPS


def _steps(points: NDArray[Any]) -> NDArray[np.int8]:
    return np.clip(np.round(points * STEPS), -127, 127).astype(np.int8)


def _rounded(values: NDArray[np.float64]) -> Any:
    flat = [float(f"{v:.{DIGITS}g}") for v in values.ravel()]
    return np.array(flat).reshape(values.shape).tolist()


def _as_text(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")


def _from_text(text: object, dtype: type[np.generic]) -> NDArray[Any]:
    try:
        content = base64.b64decode(str(text).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("prior with damaged examples") from None
    return np.frombuffer(content, dtype)
