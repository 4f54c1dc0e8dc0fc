import json
from dataclasses import replace

import numpy as np
import pytest

from model.prior import Latents, Prior, fit, standard_normal


def two_clouds(n: int, rng: np.random.Generator) -> Latents:
    """Two flat, tilted clouds far from each other, shape (n, 3)."""
    shape = np.array([[1.0, 0.0, 0.0], [0.8, 0.2, 0.0], [0.0, 0.0, 0.5]])
    points = rng.standard_normal((n, 3)) @ shape.T
    points[: n // 4] += 6.0
    drawn: Latents = points.astype(np.float32)
    return drawn


def test_samples_have_the_statistics_of_what_was_fitted() -> None:
    rng = np.random.default_rng(0)
    points = two_clouds(4000, rng)
    drawn = fit(points, rng, n_components=6).sample(20_000, rng)
    assert np.allclose(drawn.mean(axis=0), points.mean(axis=0), atol=0.1)
    assert np.allclose(np.cov(drawn.T), np.cov(points.T), rtol=0.05, atol=0.1)
    assert np.mean(drawn[:, 2] > 3.0) == pytest.approx(0.25, abs=0.02)
    assert np.mean(np.abs(drawn[:, 2] - 3.0) < 0.5) < 0.005  # the hole stays empty


def test_density_prefers_what_was_fitted() -> None:
    rng = np.random.default_rng(1)
    points = two_clouds(4000, rng)
    fitted = fit(points, rng, n_components=6)
    held_out = two_clouds(1000, rng)
    normal = standard_normal(3).log_density(held_out).mean()
    assert fitted.log_density(held_out).mean() > normal + 2.0


def test_density_of_the_standard_normal_is_exact() -> None:
    z = np.array([[0.0, 0.0], [1.0, 2.0]], np.float32)
    expected = -np.log(2.0 * np.pi) - np.array([0.0, 2.5])
    assert np.allclose(standard_normal(2).log_density(z), expected)


def test_stored_and_read_again_it_draws_the_same() -> None:
    rng = np.random.default_rng(2)
    fitted = fit(two_clouds(2000, rng), rng, n_components=4)
    again = Prior.from_json(json.loads(json.dumps(fitted.to_json())))
    ours = fitted.sample(500, np.random.default_rng(3))
    theirs = again.sample(500, np.random.default_rng(3))
    assert np.allclose(ours, theirs, atol=1e-2)


def test_draws_move_around_examples_and_repeat_none() -> None:
    rng = np.random.default_rng(6)
    points = two_clouds(5000, rng)
    fitted = fit(points, rng, n_components=6)
    assert fitted.examples is not None
    drawn = fitted.sample(500, rng)
    apart = np.linalg.norm(drawn[:, None] - fitted.examples[None], axis=2).min(axis=1)
    assert apart.max() < 1.0
    assert np.median(apart) > 1e-3
    assert len(np.unique(drawn, axis=0)) == 500


def test_a_hole_within_a_component_is_mostly_left_empty() -> None:
    rng = np.random.default_rng(7)
    points = rng.choice([-2.0, 2.0], (6000, 1)) + 0.1 * rng.standard_normal((6000, 2))
    fitted = fit(points.astype(np.float32), rng, n_components=1)
    mixture = replace(fitted, examples=None, component_of=None)
    in_hole = [
        np.mean(np.abs(prior.sample(4000, rng)[:, 0]) < 0.7)
        for prior in (fitted, mixture)
    ]
    assert in_hole[1] > 0.2
    assert in_hole[0] < 0.5 * in_hole[1]


def test_few_points_make_few_components() -> None:
    rng = np.random.default_rng(4)
    few = rng.standard_normal((70, 32)).astype(np.float32)
    fitted = fit(few, rng)
    assert len(fitted.weights) == 1
    assert np.all(np.isfinite(fitted.sample(100, rng)))


def test_equal_points_do_not_break_it() -> None:
    rng = np.random.default_rng(5)
    drawn = fit(np.ones((500, 4), np.float32), rng).sample(100, rng)
    assert np.allclose(drawn, 1.0, atol=0.5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "flow"),
        ("weights", [0.5]),
        ("means", [[0.0, float("nan")]]),
        ("factors", [[1.0, 0.0]]),
        ("examples", "!"),
        ("examples", "AAA="),
        ("component_of", "/w=="),
    ],
)
def test_damaged_numbers_are_refused(key: str, value: object) -> None:
    rng = np.random.default_rng(8)
    points = rng.standard_normal((400, 2)).astype(np.float32)
    stored = fit(points, rng, n_components=1).to_json()
    stored[key] = value
    with pytest.raises(ValueError, match="prior"):
        Prior.from_json(stored)
