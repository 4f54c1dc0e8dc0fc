"""No two purposes of chance draw the same numbers."""

from itertools import combinations

import numpy as np
import pytest

from effects.base.streams import Purpose, stream

KEYS: tuple[tuple[int | str, ...], ...] = (
    (),
    (0,),
    (0, 0),
    (1,),
    (0, 1),
    (1, 0),
    (2**32,),
    (2**63, 1),
    (-1,),
    ("",),
    ("rain",),
    ("rain", 0),
    (0, "rain"),
)


def test_all_pairs_of_purposes_and_keys_draw_differently() -> None:
    draws = {
        (purpose, keys): tuple(stream(purpose, *keys).integers(2**63, size=2).tolist())
        for purpose in Purpose
        for keys in KEYS
    }
    for one, other in combinations(draws, 2):
        assert draws[one] != draws[other], (one, other)


@pytest.mark.parametrize("purpose", Purpose)
def test_a_stream_begins_anew_whenever_it_is_asked_for(purpose: Purpose) -> None:
    one, other = (stream(purpose, 7, "dark", 3).random(8) for _ in range(2))
    assert np.array_equal(one, other)


def test_neighbouring_keys_are_not_alike() -> None:
    rows = np.array([stream(Purpose.SONG_POOL, 1, i).random(512) for i in range(64)])
    correlation = np.corrcoef(rows) - np.eye(64)
    assert np.abs(correlation).max() < 0.25
