from pathlib import Path

import numpy as np
import pytest

from effects.base.errors import InputError
from effects.generators import GENERATORS
from effects.generators.features import FEATURES
from effects.shelf.library import Library
from effects.shelf.loops import Loop
from effects.shelf.similarity import modulation_features, similarity_matrix

RATE = 16_000
NAMES = ("rain-light", "rain", "rain-heavy", "waves", "night")


def _loop(name: str, seed: int = 0) -> Loop:
    return Loop(name, GENERATORS[name].render(RATE, seed, seconds=20.0), RATE)


def test_kinds_of_rain_are_nearer_to_one_another_than_to_the_sea() -> None:
    matrix = similarity_matrix(np.stack([modulation_features(_loop(n)) for n in NAMES]))
    assert np.allclose(matrix, matrix.T)
    assert np.allclose(np.diag(matrix), 1.0)
    for i in range(3):
        others = [j for j in range(len(NAMES)) if j != i]
        assert max(others, key=lambda j: matrix[i, j]) < 3
    rain = matrix[:3, :3][~np.eye(3, dtype=bool)]
    assert rain.mean() > 1.3 * matrix[:3, 3:].mean()


@pytest.mark.parametrize("name", ["rain-heavy", "waves"])
def test_the_table_of_the_bundled_sounds_is_theirs(name: str) -> None:
    loop = Loop(name, GENERATORS[name].render(48_000), 48_000)
    assert np.allclose(modulation_features(loop), FEATURES[name], atol=0.3)
    assert set(FEATURES) == set(GENERATORS)


def test_the_shelf_knows_what_is_alike_without_rendering(tmp_path: Path) -> None:
    library = Library(tmp_path / "data", tmp_path / "cache")
    names = library.names()
    matrix = library.similarity(names)
    assert matrix.shape == (len(names), len(names))
    assert not (tmp_path / "cache").exists()
    latents = {name: np.full(4, float(i)) for i, name in enumerate(names)}
    both = library.similarity(names, latents)
    assert np.allclose(np.diag(both), 1.0)
    heard = 2.0 * both - matrix  # the latents' own share: the next is nearer
    assert heard[0, 1] > heard[0, 2] > heard[0, -1]
    with pytest.raises(InputError, match="no such"):
        library.similarity(["rain", "nothing"])


def test_another_rendering_of_a_sound_is_the_nearest() -> None:
    loops = [_loop(name) for name in NAMES] + [_loop("waves", seed=9)]
    matrix = similarity_matrix(np.stack([modulation_features(x) for x in loops]))
    assert np.argmax(matrix[5][:5]) == NAMES.index("waves")


@pytest.mark.parametrize("rate_hz", [1.0, 4.0, 14.0])
def test_a_modulation_shows_in_its_range_of_rates(rate_hz: float) -> None:
    rng = np.random.default_rng(1)
    time_s = np.arange(20 * RATE) / RATE
    depth = 1.0 + 0.8 * np.sin(2 * np.pi * rate_hz * time_s)
    noise = rng.standard_normal((len(time_s), 1)) * np.ones((1, 2))
    plain = modulation_features(Loop("", noise.astype(np.float32), RATE))
    moved = (noise * depth[:, None]).astype(np.float32)
    gained = modulation_features(Loop("", moved, RATE)) - plain
    ranges = gained[5:].reshape(5, 5)[:4].mean(axis=0)
    expected = int(np.searchsorted([0.15, 0.6, 2.4, 9.0], rate_hz))
    assert int(np.argmax(ranges)) == expected
    assert ranges[expected] > 10.0
