"""Measures of a timbre space, by which models are compared.

Everything is measured through the exported folder, as playing uses it, on clips
that training left out.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model import guard
from model.config import AXIS, N_LATENTS, SAMPLE_RATE
from model.inference import TimbreModel
from model.prior import Latents
from model.spectrum import CLIP_LENGTH, analyse, bin_power, surroundings
from model.training.prior_gap import prior_gap

AUDIBLE = 0.3  # timbre value under which detail is not counted
N_COMPARED = 64  # principal components in which the prior is compared with data
ACTIVE_NATS = 0.05  # KL of a latent that is in use
N_PCA = 20_000  # training clips at most that the PCA is fitted to
HEARD_DB = 60.0  # bands further under the peak than this are not heard
HEARD_FRAMES = 4

Timbres = NDArray[np.float32]


def evaluate(
    model: TimbreModel,
    train: NDArray[Any],
    test: NDArray[Any],
    test_groups: NDArray[np.str_],
    rng: np.random.Generator,
    stage: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Take all measures on a held-out split.

    Args:
        model: the exported model.
        train: timbres of training, (n, n_bands), to which PCA is fitted.
        test: timbres that training left out, (m, n_bands).
        test_groups: song or patch of each test clip, shape (m,).
        rng: draws prior samples and divides the test clips.
        stage: called with the name of each measure before it is taken.

    Returns:
        Figures by name; levels in dB, shares within 0..1.
    """
    tell = stage if stage is not None else _silent
    tell("principal components")
    chosen = np.sort(rng.choice(len(train), min(len(train), N_PCA), replace=False))
    pca = fit_pca(train[chosen], N_COMPARED)
    data = test.astype(np.float32)
    tell("reconstructions")
    figures = measure_audio(model, data)
    figures["rmse_pca_db"] = rmse_db(reconstruct(pca, data, N_LATENTS), data)
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
    compared = pca.transform(data), pca.transform(samples)
    figures |= prior_gap(compared[0], test_groups, compared[1], rng)
    figures["latents"] = latent_use(model, data)
    figures["active_latents"] = figures["latents"]["active"]
    tell("guard")
    figures["guard"] = guard_share(model, rng)
    return figures


def measure_audio(model: TimbreModel, timbres: Timbres) -> dict[str, Any]:
    """Take the measures that need no training data, on clips of any audio.

    Args:
        model: the exported model.
        timbres: shape (n, n_bands).

    Returns:
        `n_clips`; `rmse_db` and `detail_*_db` in dB; `detail_reconstruction`, the share
        of the clips' tonal detail that reconstructions keep.
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

    Mean |x - its moving mean over a third of an octave|, over bands above `AUDIBLE`.
    """
    counted = timbres > AUDIBLE
    if not counted.any():
        return 0.0
    standing_out = np.abs(timbres - surroundings(timbres.astype(np.float64)))
    return AXIS.range_db * float(standing_out[counted].mean())


def latent_use(model: TimbreModel, timbres: Timbres) -> dict[str, Any]:
    """Measure how much of the model's information each latent carries.

    Returns:
        `kl_nats`: KL of each latent from N(0, 1), largest first; `active`: how many
        are above `ACTIVE_NATS`; `evenness`: entropy of the KL's distribution over
        latents, as a share of that of an even one.
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
    """Measure how often the guard acts.

    Returns:
        `touched`: share of `n` prior samples that the guard moves; `left_over`: share
        of them that are over a limit even then.
    """
    limits = model.statistics["limits"]
    anchor = np.asarray(model.statistics["anchor"], np.float32)
    z = model.sample(n, rng)
    drawn, moved = guard.draw_back(model, z, anchor, limits)
    left = guard.exceeds(model, drawn[moved], limits).sum() if moved.any() else 0
    return {"touched": float(moved.mean()), "left_over": float(left) / n}


def heard_round_trip(
    model: TimbreModel, timbres: Timbres, rng: np.random.Generator
) -> dict[str, float]:
    """Measure the error of timbres that are synthesised and analysed again.

    The mean absolute difference in dB over the bands within `HEARD_DB` of the peak,
    with the analysis averaged over `HEARD_FRAMES` frames.

    Args:
        model: the exported model.
        timbres: shape (n, n_bands).
        rng: draws the phases.

    Returns:
        `without_vae_db`, the error of synthesis and analysis alone, and
        `with_vae_db`, that of the timbres decoded from their latents.
    """
    decoded = model.decode(model.encode(timbres)[0])
    return {
        "without_vae_db": _heard_error(timbres, timbres, rng),
        "with_vae_db": _heard_error(decoded, timbres, rng),
    }


def fit_pca(timbres: NDArray[Any], n_components: int) -> Any:
    """Fit scikit-learn's PCA to timbres (n, n_bands); n components at most."""
    from sklearn.decomposition import PCA

    pca = PCA(min(n_components, *timbres.shape), svd_solver="covariance_eigh")
    return pca.fit(timbres.astype(np.float32))


def reconstruct(pca: Any, timbres: Timbres, n_components: int) -> Timbres:
    """Rebuild timbres from their first `n_components` principal components alone."""
    coordinates = pca.transform(timbres)[:, :n_components]
    rebuilt = pca.mean_ + coordinates @ pca.components_[:n_components]
    clipped: Timbres = np.clip(rebuilt, 0.0, 1.0).astype(np.float32)
    return clipped


def _between(z: Latents, rng: np.random.Generator) -> Latents:
    """Draw points on straight lines between pairs of points, as songs pass them."""
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
    """Synthesise two seconds of a timbre with random phases, and analyse them."""
    n_fft = 2 * CLIP_LENGTH
    power = bin_power(AXIS.to_power(timbre), n_fft, SAMPLE_RATE)
    draws = rng.standard_normal((2, len(power)))
    spectrum = np.sqrt(power / 2.0) * (draws[0] + 1j * draws[1]) / np.sqrt(2.0)
    audio = np.fft.irfft(spectrum, n_fft) * n_fft
    return analyse(audio[:CLIP_LENGTH].astype(np.float32))


def _silent(what: str) -> None:
    del what
