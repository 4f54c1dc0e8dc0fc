import json
from dataclasses import replace

import numpy as np
import pytest

from model.prior import Prior
from model.training.fit_prior import fit_prior
from tests.support.latents import two_clouds


def test_stored_and_read_again_it_draws_the_same() -> None:
    rng = np.random.default_rng(2)
    fitted = fit_prior(two_clouds(2000, rng), rng, n_components=4)
    again = Prior.from_json(json.loads(json.dumps(fitted.to_json())))
    ours = fitted.sample(500, np.random.default_rng(3))
    theirs = again.sample(500, np.random.default_rng(3))
    assert np.allclose(ours, theirs, atol=1e-2)


def test_draws_move_around_examples_and_repeat_none() -> None:
    rng = np.random.default_rng(6)
    points = two_clouds(5000, rng)
    fitted = fit_prior(points, rng, n_components=6)
    assert fitted.examples is not None
    drawn = fitted.sample(500, rng)
    apart = np.linalg.norm(drawn[:, None] - fitted.examples[None], axis=2).min(axis=1)
    assert apart.max() < 1.0
    assert np.median(apart) > 1e-3
    assert len(np.unique(drawn, axis=0)) == 500


def test_a_hole_within_a_component_is_mostly_left_empty() -> None:
    rng = np.random.default_rng(7)
    points = rng.choice([-2.0, 2.0], (6000, 1)) + 0.1 * rng.standard_normal((6000, 2))
    fitted = fit_prior(points.astype(np.float32), rng, n_components=1)
    mixture = replace(fitted, examples=None, component_of=None)
    in_hole = [
        np.mean(np.abs(prior.sample(4000, rng)[:, 0]) < 0.7)
        for prior in (fitted, mixture)
    ]
    assert in_hole[1] > 0.2
    assert in_hole[0] < 0.5 * in_hole[1]


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
    stored = fit_prior(points, rng, n_components=1).to_json()
    stored[key] = value
    with pytest.raises(ValueError, match="prior"):
        Prior.from_json(stored)
