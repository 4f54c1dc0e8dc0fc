"""The wiggle reaches about equally far to the ear, wherever a song lies."""

import numpy as np
import pytest

from effects.base.streams import Purpose, stream
from engine.compose import preset
from engine.compose.composer import rank_weights
from engine.compose.face import FiveSounds, five_sounds
from engine.compose.reach import LEAST, MOST, reach_db, reaching, wanted_db
from engine.compose.wiggler import draw_wiggler
from engine.control.controls import snapshot_of
from model.inference import TimbreModel

SEEDS = range(40, 46)
TURNS = np.linspace(0.1, 10.1, 48, endpoint=False)  # others than it looks at


@pytest.fixture(scope="module")
def model() -> TimbreModel:
    return TimbreModel.load()


def songs(model: TimbreModel, name: str) -> list[FiveSounds]:
    weights = rank_weights(snapshot_of(preset.load(name).controls))
    return [five_sounds(model, seed, 0, weights, preset=name) for seed in SEEDS]


def test_songs_differ_less_than_their_places_in_timbre_space(
    model: TimbreModel,
) -> None:
    before, after = [], []
    for name in ("dark", "airy", "meditative"):
        for seed, sounds in zip(SEEDS, songs(model, name), strict=True):
            drawn = draw_wiggler(model.n_latents, stream(Purpose.SONG_WIGGLE, seed, 0))
            wanted = wanted_db(model, sounds)
            before.append(reach_db(model, sounds, drawn, TURNS) / wanted)
            made = reaching(model, sounds, drawn)
            after.append(reach_db(model, sounds, made, TURNS) / wanted)
    assert np.std(after) < 0.6 * np.std(before)
    assert np.mean(after) == pytest.approx(1.0, abs=0.07)


def test_circles_stay_circles_within_bounds(model: TimbreModel) -> None:
    drawn = draw_wiggler(model.n_latents, np.random.default_rng(3))
    for sounds in songs(model, "drift"):
        made = reaching(model, sounds, drawn)
        times = np.linalg.norm(made.sine, axis=1) / np.linalg.norm(drawn.sine, axis=1)
        assert np.ptp(times) < 1e-9
        assert LEAST <= times[0] <= MOST
        np.testing.assert_allclose(made.cosine, times[0] * drawn.cosine)
