import numpy as np
import pytest
from scipy import stats

from model.training.fit_prior import fit_prior
from tests.support.latents import two_clouds


def test_samples_have_the_statistics_of_what_was_fitted() -> None:
    rng = np.random.default_rng(0)
    points = two_clouds(4000, rng)
    drawn = fit_prior(points, rng, n_components=6).sample(20_000, rng)
    assert np.allclose(drawn.mean(axis=0), points.mean(axis=0), atol=0.1)
    assert np.allclose(np.cov(drawn.T), np.cov(points.T), rtol=0.05, atol=0.1)
    assert np.mean(drawn[:, 2] > 3.0) == pytest.approx(0.25, abs=0.02)
    assert np.mean(np.abs(drawn[:, 2] - 3.0) < 0.5) < 0.005  # the hole stays empty


def test_the_mixture_is_dense_where_held_out_points_are() -> None:
    rng = np.random.default_rng(1)
    fitted = fit_prior(two_clouds(4000, rng), rng, n_components=6)
    held_out = two_clouds(1000, rng)
    components = zip(fitted.weights, fitted.means, fitted.factors, strict=True)
    density = sum(
        weight * stats.multivariate_normal.pdf(held_out, mean, factor @ factor.T)
        for weight, mean, factor in components
    )
    normal = stats.multivariate_normal.logpdf(held_out, np.zeros(3))
    assert np.log(density).mean() > normal.mean() + 2.0


def test_an_example_belongs_to_the_component_that_is_densest_there() -> None:
    rng = np.random.default_rng(9)
    fitted = fit_prior(two_clouds(4000, rng), rng, n_components=6)
    assert fitted.examples is not None
    assert fitted.component_of is not None
    components = zip(fitted.weights, fitted.means, fitted.factors, strict=True)
    joint = [
        np.log(weight)
        + stats.multivariate_normal.logpdf(fitted.examples, mean, factor @ factor.T)
        for weight, mean, factor in components
    ]
    assert np.array_equal(np.argmax(joint, axis=0), fitted.component_of)


def test_the_same_seed_fits_the_same_prior() -> None:
    points = two_clouds(2000, np.random.default_rng(2))
    first, again, other = (
        fit_prior(points, np.random.default_rng(seed)).to_json() for seed in (3, 3, 4)
    )
    assert first == again != other


def test_few_points_make_few_components() -> None:
    rng = np.random.default_rng(4)
    few = rng.standard_normal((70, 32)).astype(np.float32)
    fitted = fit_prior(few, rng)
    assert len(fitted.weights) == 1
    assert np.all(np.isfinite(fitted.sample(100, rng)))


def test_equal_points_do_not_break_it() -> None:
    rng = np.random.default_rng(5)
    drawn = fit_prior(np.ones((500, 4), np.float32), rng).sample(100, rng)
    assert np.allclose(drawn, 1.0, atol=0.5)
