"""The five sounds of a song are of one family, and two songs are of two."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from engine import api
from engine.app import app
from engine.compose import centres, pool, preset
from engine.compose import grammar as grammars
from engine.compose.centres import RUN_SONGS, song_centre
from engine.compose.composer import compose, rank_weights, song_pattern
from engine.compose.distance import apart_db, coarse_spectra, mean_apart_db
from engine.compose.face import FACE_DB, MOTION_OCTAVES, five_sounds
from engine.compose.likeness import text_of
from engine.control.controls import defaults, snapshot_of
from engine.graph import build
from engine.offline import played_session
from engine.offline.song_card import settings_from_card
from model.config import AXIS
from model.inference import TimbreModel
from tests.support.songs import face_db, hear, radio_spectra, settings, songs_apart_db

PRESETS = sorted(preset._bundled())
LEAST_APART_DB = 10.5  # between songs of a radio that follow each other


@pytest.fixture(scope="module")
def model() -> TimbreModel:
    return TimbreModel.load()


@pytest.mark.parametrize("name", PRESETS)
def test_a_song_has_a_face_and_the_next_another(name: str, model: TimbreModel) -> None:
    controls = snapshot_of(preset.load(name).controls)
    songs = radio_spectra(model, controls, 5, 16)
    inside = float(np.mean([mean_apart_db(song) for song in songs]))
    apart = songs_apart_db(songs)
    across = apart[np.triu_indices(len(songs), 1)]
    following = np.diag(apart, 1)
    assert 5.0 <= inside <= 10.5  # 5 to 7 as heard, where noise fills the gaps
    assert np.mean(across) >= 10.0
    assert np.mean(following) >= 10.0
    assert np.mean(across) >= 1.3 * inside


@pytest.mark.parametrize("motion", [-1.0, 0.0, 1.0])
def test_motion_says_how_far_sounds_lie_apart(
    motion: float, model: TimbreModel
) -> None:
    weights = rank_weights(snapshot_of({"rank/motion": motion}))
    for seed in range(4):
        sounds = five_sounds(model, seed, 0, weights)
        apart = mean_apart_db(coarse_spectra(sounds.power, AXIS))
        # A neighbourhood may be too narrow for the most of motion.
        wanted = FACE_DB * 2.0 ** (MOTION_OCTAVES * motion)
        assert apart == pytest.approx(wanted, rel=0.16)


def test_centres_keep_away_from_those_heard_shortly_before(model: TimbreModel) -> None:
    for name in ("shoreline", "glass"):
        weights = rank_weights(snapshot_of(preset.load(name).controls))
        latents = np.stack(
            [
                song_centre(model, 3, index, weights, is_endless=True)
                for index in range(2 * RUN_SONGS + 4)
            ]
        )
        spectra = coarse_spectra(AXIS.to_power(model.decode(latents)), AXIS)
        for i in range(1, len(spectra)):
            before = spectra[max(0, i - 3) : i]
            # Where the ranking's upper half holds none at APART_DB, the farthest.
            assert apart_db(before, spectra[i]).min() >= LEAST_APART_DB, (name, i)


def test_no_song_is_around_one_of_the_purest_sounds(model: TimbreModel) -> None:
    for name in PRESETS:
        weights = rank_weights(snapshot_of(preset.load(name).controls))
        candidates = pool.centre_pool(model, 6, 0, "", name)
        weight = min(0.0, dict(weights).get("dissonance", 0.0))
        n = int(0.05 * (1.0 + weight) * len(candidates.z))
        purest = np.argsort(candidates.features["dissonance"])[:n]
        for index in range(RUN_SONGS):
            centre = song_centre(model, 6, index, weights, preset=name)
            row = int(np.flatnonzero((candidates.z == centre).all(axis=1))[0])
            assert row not in purest, (name, index)


def test_the_purest_can_be_asked_for(model: TimbreModel) -> None:
    weights = rank_weights(snapshot_of({"rank/dissonance": -1.0}))
    candidates = pool.centre_pool(model, 6, 0)
    purest = np.argsort(candidates.features["dissonance"])[:19]
    found = [song_centre(model, 6, index, weights) for index in range(RUN_SONGS)]
    rows = [int(np.flatnonzero((candidates.z == z).all(axis=1))[0]) for z in found]
    assert set(rows) & set(purest.tolist())


def test_a_song_is_computed_from_its_index_alone(model: TimbreModel) -> None:
    weights = rank_weights(defaults())
    in_order = [five_sounds(model, 8, i, weights, "", True).points for i in range(26)]
    for index in (25, 12, 3, 23, 0):
        for cached in (five_sounds, pool.centre_pool, pool.neighbour_pool):
            cached.cache_clear()
        centres._centres.cache_clear()
        again = five_sounds(model, 8, index, weights, "", True).points
        np.testing.assert_array_equal(again, in_order[index])


def test_a_radio_begins_as_the_song_of_its_seed(model: TimbreModel) -> None:
    weights = rank_weights(defaults())
    song = five_sounds(model, 4, 0, weights)
    first_of_radio = five_sounds(model, 4, 0, weights, is_endless=True)
    np.testing.assert_array_equal(song.points, first_of_radio.points)


def test_a_likeness_is_the_centre_of_its_songs(model: TimbreModel) -> None:
    weights = rank_weights(defaults())
    point = model.sample(1, np.random.default_rng(1))[0]
    like = five_sounds(model, 2, 0, weights, text_of(point)).points
    free = five_sounds(model, 2, 0, weights).points
    away = [float(np.linalg.norm(z - point, axis=1).mean()) for z in (like, free)]
    assert away[0] < 0.6 * away[1]


def test_tuning_and_wiggle_leave_the_choice_of_sounds(model: TimbreModel) -> None:
    grammar = grammars.load("seed")

    def points(controls: Mapping[str, object]) -> NDArray[np.float32]:
        snapshot = snapshot_of(controls)
        return compose(model, grammar, snapshot, seed=6, index=2, duration=60.0).points

    usual = points({})
    for controls in (
        {"tuning/key": "G", "tuning/chords": "fifths", "tuning/strength": 0.2},
        {"wiggle/amount": 1.5, "wiggle/spread": 0.0, "dynamics": 1.0},
    ):
        np.testing.assert_array_equal(points(controls), usual)
    assert not np.array_equal(points({"rank/pitch": 1.0}), usual)


def test_in_the_audio_sounds_of_a_song_lie_as_near_as_sections_of_real_music() -> None:
    chosen = ("deep", "meditative", "shoreline", "dark")
    found = []
    for name in chosen:
        controls = preset.load(name).controls
        found.append(face_db(hear(settings(11, controls, seconds=60.0))))
    assert 4.5 <= np.median(found) <= 7.5
    assert max(found) <= 10.0


def test_the_pattern_depends_on_the_preset_too() -> None:
    grammar = grammars.load("seed")
    seeds = range(100)
    patterns = {
        name: [song_pattern(grammar, seed, 0, name) for seed in seeds]
        for name in PRESETS
    }
    for i, one in enumerate(PRESETS):
        assert patterns[one] == [song_pattern(grammar, s, 0, one) for s in seeds]
        for other in PRESETS[:i]:
            same = np.equal(patterns[one], patterns[other]).sum()
            assert same <= 10, "equal by more than chance, which is 1 of 76"


def test_a_rendered_song_has_the_pattern_of_its_preset() -> None:
    for name in ("dark", "bright"):
        made = api.compose(seed=9, minutes=0.1, preset=name, effects=False)
        grammar = grammars.load(preset.load(name).grammar)
        assert made.pattern == song_pattern(grammar, 9, 0, name)
        again = build(settings_from_card(made.card))
        assert again.music.now(0).pattern == made.pattern


def test_a_journal_keeps_the_preset() -> None:
    made = api.compose(seed=9, minutes=0.1, preset="glass", effects=False)
    header = app._header(build(made.settings))
    again = build(played_session._settings(header, None, None))
    assert again.music.now(0).pattern == made.pattern
