from pathlib import Path

import numpy as np
import pytest

from model.config import AXIS
from model.training import evaluate as measures
from model.training.prior_gap import (
    classifier_accuracy,
    frechet_distance,
    halves_by_group,
)
from tests.support.timbres import harmonic_split, harmonic_timbres, tiny_model


def test_detail_is_of_partials_and_not_of_slopes() -> None:
    slope = np.linspace(0.9, 0.4, AXIS.n_bands, dtype=np.float32)[None]
    assert measures.detail_db(slope) < 0.2
    comb = slope.copy()
    comb[:, ::20] += 0.1
    assert measures.detail_db(comb) > 0.8
    blurred = slope + 0.1 / 20
    assert measures.detail_db(blurred) < 0.2
    assert measures.detail_db(np.zeros((1, AXIS.n_bands), np.float32)) == 0.0


def test_principal_components_rebuild_what_they_span() -> None:
    rng = np.random.default_rng(0)
    base = rng.random((5, AXIS.n_bands)) * 0.2
    timbres = (0.3 + rng.random((300, 5)) @ base / 5).astype(np.float32)
    pca = measures.fit_pca(timbres, 8)
    assert measures.rmse_db(measures.reconstruct(pca, timbres, 5), timbres) < 0.01
    assert measures.rmse_db(measures.reconstruct(pca, timbres, 1), timbres) > 0.1


def test_frechet_distance_of_known_gaussians() -> None:
    rng = np.random.default_rng(1)
    a = rng.standard_normal((20_000, 3))
    b = 2.0 * rng.standard_normal((20_000, 3)) + np.array([1.0, 0.0, 0.0])
    # |m|^2 + tr(1 + 4 - 2 * 2) a dimension
    assert frechet_distance(a, b) == pytest.approx(4.0, abs=0.15)
    assert frechet_distance(a, a) == pytest.approx(0.0, abs=1e-9)


def test_classifier_tells_what_can_be_told() -> None:
    rng = np.random.default_rng(2)
    same, other = rng.standard_normal((2, 1500, 8))
    half = np.arange(1500) < 750
    assert 0.44 < classifier_accuracy(same, other, half, rng) < 0.56
    bent = other.copy()
    bent[:, 0] = np.abs(bent[:, 0]) + 0.5 * np.abs(bent[:, 1])
    assert classifier_accuracy(same, bent, half, rng) > 0.7


def test_halves_share_no_group() -> None:
    groups = np.repeat([f"song {i}" for i in range(40)], 3)
    first = halves_by_group(groups, np.random.default_rng(3))
    assert not set(groups[first]) & set(groups[~first])
    assert 40 <= first.sum() <= 80


def test_every_measure_is_taken(tmp_path: Path) -> None:
    corpus = harmonic_split(1200)
    model = tiny_model(tmp_path / "m")
    stages: list[str] = []
    figures = measures.evaluate(
        model,
        corpus.train,
        corpus.test,
        corpus.test_groups,
        np.random.default_rng(4),
        stages.append,
    )
    assert "prior gap" in stages
    for key in ("rmse_ratio", "detail_prior", "detail_between", "prior_gap_ratio"):
        assert np.isfinite(figures[key])
    # An untrained network is worse than PCA, and anyone can tell its samples.
    assert figures["rmse_ratio"] > 1.5
    assert figures["prior_gap_ratio"] > 2.0
    assert figures["classifier_accuracy"] > 0.9
    assert figures["guard"]["left_over"] == 0.0


def test_heard_round_trip_is_small_for_smooth_and_tonal_sounds(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m")
    timbres = harmonic_timbres(2, np.random.default_rng(5)).astype(np.float32)
    smooth = np.linspace(0.7, 0.3, AXIS.n_bands, dtype=np.float32)
    timbres[0] = smooth
    errors = measures.heard_round_trip(model, timbres, np.random.default_rng(6))
    assert errors["without_vae_db"] < 2.5
    assert errors["with_vae_db"] > errors["without_vae_db"]
