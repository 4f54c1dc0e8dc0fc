"""Measures of a timbre space, so that models compare by numbers, not by hopes.

Everything is measured through the exported folder, as playing uses it, on clips
that no training saw. numpy only.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, ndimage

from model import guard
from model.config import AXIS, SAMPLE_RATE
from model.inference import TimbreModel
from model.prior import Latents
from model.spectrum import CLIP_LENGTH, analyse, bin_power

DETAIL_BANDS = 41  # a third of an octave
AUDIBLE = 0.3  # timbre value under which detail is not counted
N_COMPONENTS = 32  # of the PCA that a VAE must beat
N_COMPARED = 64  # principal components in which the prior is compared with data
ACTIVE_NATS = 0.05  # KL of a latent that is in use
N_PCA = 20_000  # training clips at most that the PCA is fitted to
HEARD_DB = 60.0  # bands further under the peak than this are not heard
HEARD_FRAMES = 4
MIN_GAP = 40  # held-out clips under which the prior is not compared with them

Timbres = NDArray[np.float32]


Reporter = Callable[[str], None]  # told which measure is being taken


def evaluate(
    model: TimbreModel,
    train: NDArray[Any],
    test: NDArray[Any],
    test_groups: NDArray[np.str_],
    rng: np.random.Generator,
    report: Reporter | None = None,
) -> dict[str, Any]:
    """All measures on a held-out split.

    Args:
        model: the model folder.
        train: timbres that PCA is fitted to, (n, n_bands): those of training.
        test: timbres that no training saw, (m, n_bands).
        test_groups: song or patch of each test clip, shape (m,).
        rng: draws prior samples and divides the test clips.
        report: told what is going on.

    Returns:
        Figures by name; levels in dB, shares within 0..1.
    """
    tell = report if report is not None else _silent
    tell("principal components")
    pca = Pca.fit(train[_choice(len(train), N_PCA, rng)], N_COMPARED)
    data = test.astype(np.float32)
    tell("reconstructions")
    figures = measure_audio(model, data)
    figures["rmse_pca_db"] = rmse_db(pca.reconstruct(data, N_COMPONENTS), data)
    figures["rmse_ratio"] = figures["rmse_db"] / figures["rmse_pca_db"]
    tell("prior samples")
    z = model.sample(max(2000, len(data)), rng)
    samples = model.decode(z)
    between = model.decode(_between(z, rng))
    figures["detail_prior_db"] = detail_db(samples)
    figures["detail_prior"] = figures["detail_prior_db"] / figures["detail_data_db"]
    figures["detail_between_db"] = detail_db(between)
    figures["detail_between"] = figures["detail_between_db"] / figures["detail_data_db"]
    tell("prior gap")
    figures.update(_prior_gap(pca, data, test_groups, samples, rng))
    figures["latents"] = latent_use(model, data)
    figures["active_latents"] = figures["latents"]["active"]
    tell("guard")
    figures["guard"] = guard_share(model, rng)
    return figures


def measure_audio(model: TimbreModel, timbres: Timbres) -> dict[str, Any]:
    """What needs no training data: for the clips of any folder of audio.

    Args:
        model: the model folder.
        timbres: shape (n, n_bands).
    """
    decoded = model.decode(model.encode(timbres)[0])
    of_data, of_decoded = detail_db(timbres), detail_db(decoded)
    return {
        "n_clips": len(timbres),
        "rmse_db": rmse_db(decoded, timbres),
        "detail_data_db": of_data,
        "detail_reconstruction_db": of_decoded,
        "detail_reconstruction": of_decoded / max(of_data, 1e-9),
    }


def rmse_db(decoded: Timbres, timbres: Timbres) -> float:
    """Root mean square difference over all bands, in dB."""
    difference = decoded.astype(np.float64) - timbres
    return AXIS.range_db * float(np.sqrt(np.mean(difference**2)))


def detail_db(timbres: Timbres) -> float:
    """Tonal detail: how far partials stand out of their surroundings, in dB.

    Mean |x - its moving mean over 41 bands| over bands above 0.3.
    """
    smooth = ndimage.uniform_filter1d(timbres, DETAIL_BANDS, axis=-1, mode="nearest")
    counted = timbres > AUDIBLE
    if not counted.any():
        return 0.0
    return AXIS.range_db * float(np.abs(timbres - smooth)[counted].mean())


def latent_use(model: TimbreModel, timbres: Timbres) -> dict[str, Any]:
    """KL of each latent in nats, how many are active, and how evenly.

    `evenness` is the entropy of the KL's distribution over latents, as a share
    of the entropy of an even one.
    """
    mean, logvar = model.encode(timbres)
    kl = 0.5 * (mean**2 + np.exp(logvar) - 1.0 - logvar).mean(axis=0)
    share = kl / kl.sum()
    entropy = -float(np.sum(share * np.log(np.maximum(share, 1e-12))))
    return {
        "active": int(np.sum(kl > ACTIVE_NATS)),
        "kl_nats": [round(float(value), 3) for value in np.sort(kl)[::-1]],
        "evenness": entropy / float(np.log(len(kl))),
    }


def guard_share(
    model: TimbreModel, rng: np.random.Generator, n: int = 10_000
) -> dict[str, float]:
    """Share of random points that the guard moves, and that remain over."""
    limits = model.statistics["limits"]
    anchor = np.asarray(model.statistics["anchor"], np.float32)
    z = model.sample(n, rng)
    drawn, moved = guard.draw_back(model, z, anchor, limits)
    left = guard.exceeds(model, drawn[moved], limits).sum() if moved.any() else 0
    return {"touched": float(moved.mean()), "left_over": float(left) / n}


def heard_round_trip(
    model: TimbreModel, timbres: Timbres, rng: np.random.Generator
) -> dict[str, float]:
    """Error of a sound heard again: timbre to audio, and analysed once more.

    Mean absolute difference in dB over the bands within 60 dB of the peak, the
    analysis averaged over four frames; without the VAE, and through it.
    """
    decoded = model.decode(model.encode(timbres)[0])
    return {
        "without_vae_db": _heard_error(timbres, timbres, rng),
        "with_vae_db": _heard_error(decoded, timbres, rng),
    }


class Pca:
    """Principal components of timbres."""

    def __init__(
        self, mean: NDArray[np.float64], components: NDArray[np.float64]
    ) -> None:
        self.mean = mean  # (n_bands,)
        self.components = components  # (n_components, n_bands), orthonormal

    @staticmethod
    def fit(timbres: NDArray[Any], n_components: int) -> "Pca":
        """The first components of timbres (n, n_bands)."""
        x = timbres.astype(np.float32)
        mean = x.mean(axis=0, dtype=np.float64)
        centred = x - mean.astype(np.float32)
        covariance = (centred.T @ centred).astype(np.float64) / len(x)
        n_bands = len(mean)
        first = max(0, n_bands - n_components)
        _, vectors = linalg.eigh(covariance, subset_by_index=(first, n_bands - 1))
        return Pca(mean, vectors[:, ::-1].T.copy())

    def project(self, timbres: Timbres) -> NDArray[np.float64]:
        """Coordinates (n, n_components) of timbres (n, n_bands)."""
        coordinates: NDArray[np.float64] = (timbres - self.mean) @ self.components.T
        return coordinates

    def reconstruct(self, timbres: Timbres, n_components: int) -> Timbres:
        """Timbres from their first `n_components` coordinates alone."""
        first = self.components[:n_components]
        rebuilt = self.mean + ((timbres - self.mean) @ first.T) @ first
        return np.clip(rebuilt, 0.0, 1.0).astype(np.float32)


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
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    a_is_training: NDArray[np.bool_],
    rng: np.random.Generator,
) -> float:
    """Held-out accuracy of a small network that tells `a` from `b`; 0.5 = never.

    One hidden layer of 32, trained by Adam with weight decay. Both sets count
    the same, whatever their sizes.

    Args:
        a: points (n, d).
        b: points (m, d).
        a_is_training: which rows of `a` are for training; of `b`, every other.
        rng: first weights and order.
    """
    b_is_training = np.arange(len(b)) % 2 == 0
    n_train = min(a_is_training.sum(), b_is_training.sum())
    n_test = min((~a_is_training).sum(), (~b_is_training).sum())

    def both(in_a: NDArray[np.bool_], in_b: NDArray[np.bool_], n: int) -> Any:
        chosen_a = a[in_a][_choice(int(in_a.sum()), n, rng)]
        chosen_b = b[in_b][_choice(int(in_b.sum()), n, rng)]
        return np.concatenate([chosen_a, chosen_b]), np.repeat([0.0, 1.0], n)

    x, label = both(a_is_training, b_is_training, int(n_train))
    x_test, label_test = both(~a_is_training, ~b_is_training, int(n_test))
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    judge = _train_classifier((x - mean) / scale, label, rng)
    return float(np.mean((judge((x_test - mean) / scale) > 0.0) == label_test))


def _train_classifier(
    x: NDArray[np.float64], label: NDArray[np.float64], rng: np.random.Generator
) -> Any:
    d, hidden = x.shape[1], 32
    parameters = [
        rng.normal(0.0, d**-0.5, (d, hidden)),
        np.zeros(hidden),
        rng.normal(0.0, hidden**-0.5, hidden),
        np.zeros(1),
    ]
    first = [np.zeros_like(p) for p in parameters]
    second = [np.zeros_like(p) for p in parameters]
    step = 0
    for _ in range(40):
        order = rng.permutation(len(x))
        for start in range(0, len(x), 64):
            rows = order[start : start + 64]
            gradients = _classifier_gradients(parameters, x[rows], label[rows])
            step += 1
            for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
                m += 0.1 * (g - m)
                v += 0.001 * (g**2 - v)
                update = (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
                p -= 2e-3 * (update + 0.02 * p)
    w1, b1, w2, b2 = parameters
    return lambda points: np.maximum(points @ w1 + b1, 0.0) @ w2 + b2


def _classifier_gradients(
    parameters: list[NDArray[np.float64]],
    x: NDArray[np.float64],
    label: NDArray[np.float64],
) -> list[NDArray[np.float64]]:
    """Gradients of the mean logistic loss."""
    w1, b1, w2, b2 = parameters
    inner = np.maximum(x @ w1 + b1, 0.0)
    chance = 1.0 / (1.0 + np.exp(-np.clip(inner @ w2 + b2, -30.0, 30.0)))
    error = (chance - label) / len(x)
    back = np.outer(error, w2) * (inner > 0.0)
    return [x.T @ back, back.sum(axis=0), inner.T @ error, error.sum(keepdims=True)]


def _prior_gap(
    pca: Pca,
    data: Timbres,
    groups: NDArray[np.str_],
    samples: Timbres,
    rng: np.random.Generator,
) -> dict[str, float]:
    if len(data) < MIN_GAP or len(np.unique(groups)) < 2:
        return {}  # so few say nothing about a distribution
    points, drawn = pca.project(data), pca.project(samples)
    in_first = halves_by_group(groups, rng)
    half_a, half_b = points[in_first], points[~in_first]
    size = min(len(half_a), len(half_b))  # the measure depends on the set's size
    apart = frechet_distance(half_a[:size], half_b[:size])
    gap = 0.5 * (
        frechet_distance(half_a[:size], drawn[:size])
        + frechet_distance(half_b[:size], drawn[-size:])
    )
    return {
        "prior_gap": gap,
        "halves_gap": apart,
        "prior_gap_ratio": gap / max(apart, 1e-12),
        "classifier_accuracy": classifier_accuracy(points, drawn, in_first, rng),
    }


def _between(z: Latents, rng: np.random.Generator) -> Latents:
    """Points on straight lines between pairs of points, as songs pass them."""
    other = z[rng.permutation(len(z))]
    t = rng.random((len(z), 1)).astype(np.float32)
    return z + t * (other - z)


def _heard_error(heard: Timbres, wanted: Timbres, rng: np.random.Generator) -> float:
    errors = []
    for given, original in zip(heard, wanted, strict=True):
        power = np.mean(
            [AXIS.to_power(_heard(given, rng)) for _ in range(HEARD_FRAMES)], axis=0
        )
        again = AXIS.from_power(power)
        counted = original > original.max() - HEARD_DB / AXIS.range_db
        errors.append(np.abs(again - original)[counted].mean())
    return AXIS.range_db * float(np.mean(errors))


def _heard(timbre: Timbres, rng: np.random.Generator) -> Timbres:
    """Analysis of two seconds of the sound with random phases."""
    n_fft = 2 * CLIP_LENGTH
    power = bin_power(AXIS.to_power(timbre), n_fft, SAMPLE_RATE)
    draws = rng.standard_normal((2, len(power)))
    spectrum = np.sqrt(power / 2.0) * (draws[0] + 1j * draws[1]) / np.sqrt(2.0)
    audio = np.fft.irfft(spectrum, n_fft) * n_fft
    return analyse(audio[:CLIP_LENGTH].astype(np.float32))


def _symmetric_root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = linalg.eigh(matrix)
    root: NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


def _choice(n: int, at_most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(rng.choice(n, size=min(n, at_most), replace=False))


def _silent(what: str) -> None:
    del what
