"""The prior: where clips lie in latent space, and points drawn from there.

A VAE's latents only resemble N(0, I): between the clusters of its clips lie
holes, and a point drawn there decodes to mush (Dai and Wipf, "Diagnosing and
enhancing VAE models", ICLR 2019, fit a second VAE for that reason). A mixture of
Gaussians with full covariances follows the aggregate posterior closely, but chords
lie finer than its components. So a point is drawn as in the smoothed bootstrap
with shrinkage (Silverman, "Density estimation", 1986, section 6.4.1): an example out
of some thousands is moved by chance along its component, which keeps the component's
mean and covariance. It stays a few lines of numpy.
"""

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Latents = NDArray[np.float32]  # (n, n_latents)

RIDGE = 1e-3  # least variance of a component: latents have variance about 1
DIGITS = 5  # significant digits kept in model.json
N_EXAMPLES = 6144
SMOOTHING = 0.3  # standard deviation of the chance that moves an example, of 1
STEPS = 16.0  # of a stored example to a latent's standard deviation


@dataclass(frozen=True)
class Prior:
    """Mixture of Gaussians over latents.

    Attributes:
        weights: shape (k,), sums to 1.
        means: shape (k, n_latents).
        factors: shape (k, n_latents, n_latents), lower Cholesky factors of the
            components' covariances.
        examples: points that draws start from, shape (n, n_latents); with none, they
            are of the mixture itself.
        component_of: component of each example, shape (n,).
    """

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    factors: NDArray[np.float64]
    examples: NDArray[np.float64] | None = None
    component_of: NDArray[np.uint8] | None = None

    @property
    def n_latents(self) -> int:
        """Dimensions of a point."""
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
        for k in np.unique(component):
            rows = component == k
            points[rows] = smoothing * points[rows] @ self.factors[k].T + self.means[k]
        drawn: Latents = (points + kept).astype(np.float32)
        return drawn

    def log_density(self, z: Latents) -> NDArray[np.float64]:
        """Natural logarithm of the mixture's density, shape (n,).

        Args:
            z: points, shape (n, n_latents).
        """
        joint = np.log(self.weights) + _log_components(z, self.means, self.factors)
        top = joint.max(axis=1)
        density: NDArray[np.float64] = top + np.log(
            np.exp(joint - top[:, None]).sum(axis=1)
        )
        return density

    def to_json(self) -> dict[str, Any]:
        """Numbers for model.json; factors as rows of the lower triangle."""
        rows, columns = np.tril_indices(self.n_latents)
        stored: dict[str, Any] = {
            "kind": "gaussian-mixture",
            "weights": _rounded(self.weights),
            "means": _rounded(self.means),
            "factors": _rounded(self.factors[:, rows, columns]),
        }
        if self.examples is not None and self.component_of is not None:
            steps = np.clip(np.round(self.examples * STEPS), -127, 127)
            stored["examples"] = _as_text(steps.astype(np.int8))
            stored["component_of"] = _as_text(self.component_of)
        return stored

    @staticmethod
    def from_json(stored: dict[str, Any]) -> "Prior":
        """The prior of a model.json.

        Raises:
            ValueError: numbers that are no mixture of Gaussians.
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


def standard_normal(n_latents: int) -> Prior:
    """N(0, I) as a mixture of one."""
    one = np.ones(1)
    return Prior(one, np.zeros((1, n_latents)), np.eye(n_latents)[None])


def fit(
    points: Latents,
    rng: np.random.Generator,
    *,
    n_components: int = 8,
    n_iterations: int = 40,
    tolerance: float = 1e-3,
) -> Prior:
    """Fit a mixture to points by expectation maximisation, and choose examples.

    Args:
        points: shape (n, n_latents): draws from the posteriors of clips, means
            with their noise, so that the components cover what decoding has seen.
        rng: picks the starting points, and the examples.
        n_components: fewer are used when there are under 20 points per latent
            dimension for each, which would fit covariances to chance.
        n_iterations: at most.
        tolerance: ends when the mean log density gains less, in nats.

    Returns:
        The fitted prior.
    """
    mixture = _fit_mixture(points, rng, n_components, n_iterations, tolerance)
    chosen = rng.permutation(len(points))[:N_EXAMPLES]
    stored = np.clip(np.round(points[chosen] * STEPS), -127, 127)
    examples: NDArray[np.float64] = stored.astype(np.float64) / STEPS
    joint = np.log(mixture.weights) + _log_components(
        examples.astype(np.float32), mixture.means, mixture.factors
    )
    component_of = joint.argmax(axis=1).astype(np.uint8)
    return replace(mixture, examples=examples, component_of=component_of)


def _fit_mixture(
    points: Latents,
    rng: np.random.Generator,
    n_components: int,
    n_iterations: int,
    tolerance: float,
) -> Prior:
    n, d = points.shape
    k = int(np.clip(n // (20 * d), 1, n_components))
    responsibility = _hard_assignment(points, _spread_starts(points, k, rng))
    previous = -np.inf
    pooled = np.cov(points.T.astype(np.float64)).reshape(d, d)
    prior = standard_normal(d)
    for _ in range(n_iterations):
        prior = _maximise(points, responsibility, pooled)
        joint = np.log(prior.weights) + _log_components(
            points, prior.means, prior.factors
        )
        top = joint.max(axis=1, keepdims=True)
        responsibility = np.exp(joint - top)
        total = responsibility.sum(axis=1, keepdims=True)
        responsibility /= total
        likelihood = float(np.mean(top + np.log(total)))
        if likelihood - previous < tolerance:
            break
        previous = likelihood
    return prior


def _maximise(
    points: Latents, responsibility: NDArray[np.float64], pooled: NDArray[np.float64]
) -> Prior:
    d = points.shape[1]
    x = points.astype(np.float64)
    mass = responsibility.sum(axis=0)
    keep = mass > d  # a component that lost its points goes
    responsibility, mass = responsibility[:, keep], mass[keep]
    means = (responsibility.T @ x) / mass[:, None]
    factors = np.empty((len(mass), d, d))
    for i in range(len(mass)):
        centred = x - means[i]
        covariance = (centred * responsibility[:, i, None]).T @ centred
        # d points' worth of the whole cloud's shape steadies small components.
        covariance = (covariance + 0.5 * d * pooled) / (mass[i] + 0.5 * d)
        factors[i] = np.linalg.cholesky(covariance + RIDGE * np.eye(d))
    return Prior(mass / mass.sum(), means, factors)


def _log_components(
    z: Latents, means: NDArray[np.float64], factors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log density of each point under each component, shape (n, k)."""
    k, d = means.shape
    inverses = np.linalg.inv(factors)
    log_scale = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
    log_density = np.empty((len(z), k))
    for i in range(k):
        whitened = (z - means[i]) @ inverses[i].T
        log_density[:, i] = -0.5 * np.einsum("nd,nd->n", whitened, whitened)
    log_density -= log_scale + 0.5 * d * np.log(2.0 * np.pi)
    return log_density


def _spread_starts(
    points: Latents, k: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Starting centres far from one another (k-means++, Arthur 2007)."""
    x = points.astype(np.float64)
    centres = [x[rng.integers(len(x))]]
    nearest = np.full(len(x), np.inf)
    for _ in range(k - 1):
        nearest = np.minimum(nearest, ((x - centres[-1]) ** 2).sum(axis=1))
        total = nearest.sum()
        chance = nearest / total if total > 0.0 else np.full(len(x), 1.0 / len(x))
        centres.append(x[rng.choice(len(x), p=chance)])
    return np.stack(centres)


def _hard_assignment(
    points: Latents, centres: NDArray[np.float64]
) -> NDArray[np.float64]:
    x = points.astype(np.float64)
    distance = -2.0 * x @ centres.T + (centres**2).sum(axis=1)  # less |x|^2
    assignment: NDArray[np.float64] = np.zeros(distance.shape)
    assignment[np.arange(len(points)), np.argmin(distance, axis=1)] = 1.0
    return assignment


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
