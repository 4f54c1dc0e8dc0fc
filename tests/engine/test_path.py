import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.compose.path import SYMBOLS, lay_out

patterns = st.text(SYMBOLS, min_size=1, max_size=30)


@given(
    pattern=patterns,
    duration=st.floats(1.0, 10_000.0, allow_subnormal=False),
    seed=st.integers(0, 99),
)
def test_the_path_visits_its_points_in_order(
    pattern: str, duration: float, seed: int
) -> None:
    path = lay_out(pattern, duration, np.random.default_rng(seed))
    assert np.all(np.diff(path.times) > 0)
    assert path.times[0] > 0
    assert path.times[-1] < duration
    shares = path.weights(path.times)
    visited = [SYMBOLS[i] for i in np.argmax(shares, axis=1)]
    assert "".join(visited) == pattern
    np.testing.assert_allclose(shares.max(axis=1), 1.0, atol=1e-9)


@given(pattern=patterns, seed=st.integers(0, 99))
def test_between_points_the_path_moves_straight_and_without_jumps(
    pattern: str, seed: int
) -> None:
    path = lay_out(pattern, 60.0, np.random.default_rng(seed))
    shares = path.weights(np.linspace(-5.0, 65.0, 7001))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-9)
    assert shares.min() >= -1e-12
    shortest = np.diff(path.times).min(initial=60.0)
    assert np.abs(np.diff(shares, axis=0)).max() <= 2.0 * 0.01 / shortest + 1e-9
    assert np.count_nonzero(shares > 1e-12, axis=1).max() <= 2


def test_unknown_symbols_are_refused() -> None:
    with pytest.raises(ValueError, match="ABCDE"):
        lay_out("ABX", 10.0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="''"):
        lay_out("", 10.0, np.random.default_rng(0))
