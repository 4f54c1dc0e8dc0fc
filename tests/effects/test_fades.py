import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effects.audio import fades


@given(n=st.integers(1, 3000), correlation=st.floats(-0.9, 1.0))
def test_crossfade_gains_hold_the_power_of_correlated_signals(
    n: int, correlation: float
) -> None:
    a, b = (g.astype(np.float64) for g in fades.crossfade_gains(n, correlation))
    assert np.allclose(a**2 + b**2 + 2 * correlation * a * b, 1.0, atol=1e-5)
    assert np.allclose(a, b[::-1], atol=1e-6)


def test_a_correlation_of_one_gives_straight_lines() -> None:
    falling, rising = fades.crossfade_gains(100, 1.0)
    assert np.allclose(np.diff(rising), 0.01, atol=1e-6)
    assert np.allclose(falling + rising, 1.0, atol=1e-6)


@pytest.mark.parametrize("correlation", [-0.95, 1.01, float("nan")])
def test_impossible_correlations_are_refused(correlation: float) -> None:
    with pytest.raises(ValueError, match="correlation"):
        fades.crossfade_gains(10, correlation)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8, 1.0])
def test_crossfade_keeps_the_level_whatever_the_signals_have_in_common(
    share: float,
) -> None:
    rng = np.random.default_rng(1)
    common, own_a, own_b = rng.standard_normal((3, 200_000, 2)).astype(np.float32)
    old = share**0.5 * common + (1 - share) ** 0.5 * own_a
    new = share**0.5 * common + (1 - share) ** 0.5 * own_b
    mixed = fades.crossfade(old.astype(np.float32), new.astype(np.float32))
    levels = 10 * np.log10(np.mean(mixed.reshape(10, -1) ** 2, axis=1))
    assert np.ptp(levels) < 0.25


def test_signals_in_opposition_do_not_blow_up() -> None:
    tone = np.ones((1000, 2), np.float32)
    assert np.max(np.abs(fades.crossfade(tone, -tone))) <= 1.0


@given(n=st.integers(0, 50), fade=st.integers(0, 60))
def test_fades_leave_the_rest_alone(n: int, fade: int) -> None:
    ones = np.ones((n, 2), np.float32)
    rising, falling = fades.fade_in(ones, fade), fades.fade_out(ones, fade)
    assert np.array_equal(rising, falling[::-1])
    assert np.array_equal(rising[fade:], ones[fade:])
    assert np.all(np.diff(rising[:, 0]) >= 0.0)
    assert np.all(ones == 1.0)
