"""The wiggler: circles at right angles that move the timbre on five time scales."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.compose.wiggler import PERIOD, RATES, draw_wiggler, followed, radii
from engine.control.controls import snapshot_of
from engine.graph import build
from tests.support.songs import settings

seeds = st.integers(0, 1000)
spreads = st.floats(0.0, 1.0, allow_subnormal=False)
amounts = st.floats(0.0, 2.0, allow_subnormal=False)
turns = np.linspace(0.0, PERIOD, 401)


@given(seed=seeds)
def test_its_planes_stand_at_right_angles(seed: int) -> None:
    wiggler = draw_wiggler(32, np.random.default_rng(seed))
    vectors = np.concatenate([wiggler.sine, wiggler.cosine]) / np.sqrt(32)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(10), atol=1e-12)


@given(seed=seeds, amount=amounts, spread=spreads)
def test_it_keeps_its_distance_from_the_path(
    seed: int, amount: float, spread: float
) -> None:
    wiggler = draw_wiggler(32, np.random.default_rng(seed))
    radius = np.linalg.norm(wiggler.offset(turns, amount, spread), axis=1)
    wanted = amount * np.sqrt(32) * (1.0 + 0.25 * spread)
    np.testing.assert_allclose(radius, wanted, rtol=1e-9, atol=1e-9)


@given(seed=seeds, amount=amounts)
def test_without_spread_it_is_one_slow_circle(seed: int, amount: float) -> None:
    wiggler = draw_wiggler(32, np.random.default_rng(seed))
    offsets = wiggler.offset(turns, amount, 0.0)
    angle = 2.0 * np.pi * turns[:, None]
    circle = np.sin(angle) * wiggler.sine[0] + np.cos(angle) * wiggler.cosine[0]
    np.testing.assert_allclose(offsets, amount * circle, atol=1e-9)


@given(seed=seeds, start=st.floats(0.0, PERIOD), spread=spreads)
def test_it_moves_without_jumps_and_comes_round(
    seed: int, start: float, spread: float
) -> None:
    wiggler = draw_wiggler(32, np.random.default_rng(seed))
    step = 1e-5
    near = np.array([start, start + step, start + PERIOD])
    offsets = wiggler.offset(near, 1.0, spread)
    fastest = 2.0 * np.pi * np.linalg.norm(radii(spread) * RATES) * np.sqrt(32)
    assert np.linalg.norm(offsets[1] - offsets[0]) <= 1.001 * fastest * step
    np.testing.assert_allclose(offsets[2], offsets[0], atol=1e-9)


def test_each_circle_turns_at_its_own_rate_and_they_fall_gently() -> None:
    wiggler = draw_wiggler(32, np.random.default_rng(0))
    grid = np.arange(0.0, PERIOD, PERIOD / 4096)
    offsets = wiggler.offset(grid, 1.0, 1.0)
    for k, rate in enumerate(RATES):
        spectrum = np.abs(np.fft.rfft(offsets @ wiggler.sine[k]))
        assert int(np.argmax(spectrum)) == round(rate * PERIOD)
    found = radii(1.0)
    assert np.all(np.diff(found) < 0.0)
    assert found[-1] >= 0.5 * found[0]


def test_circles_that_frames_cannot_follow_do_not_alias() -> None:
    assert followed(0.0).tolist() == [1.0] * 5
    np.testing.assert_allclose(followed(0.5 / RATES[2])[2:], 0.0, atol=1e-12)
    np.testing.assert_allclose(followed(0.25 / RATES[2])[:3], 1.0, atol=1e-12)
    wiggler = draw_wiggler(32, np.random.default_rng(1))
    per_frame = 0.5 / RATES[3]
    offsets = wiggler.offset(per_frame * np.arange(400.0), 1.0, 1.0, per_frame)
    for k in (3, 4):
        np.testing.assert_allclose(offsets @ wiggler.sine[k], 0.0, atol=1e-9)


def test_it_goes_on_over_a_change_of_rate() -> None:
    """The turns of a stream are continuous, so is each circle."""
    music = build(settings(1, {"wiggle/rate": 0.3, "hop": 0.25})).music
    at = 100 * music.sample_rate  # three periods of the slowest circle later
    before = music._transport_at(at).turns
    music.replan(at, snapshot_of({"wiggle/rate": 0.9, "hop": 0.25}))
    after = music._transport_at(at).turns
    assert after == pytest.approx(before % PERIOD)
    wiggler = draw_wiggler(32, np.random.default_rng(2))
    ends = wiggler.offset(np.array([0.3 * 100.0, after]), 1.0, 1.0)
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-6)


def test_too_few_latents_are_refused() -> None:
    with pytest.raises(ValueError, match="10 latents"):
        draw_wiggler(9, np.random.default_rng(0))
