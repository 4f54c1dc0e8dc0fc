"""What the controls of composition do to the audio, and how loud songs come out."""

from dataclasses import replace

import numpy as np
import pytest

from engine.compose import grammar as grammars
from engine.compose.composer import NOISE_MOST_DB, compose, song_noise_db
from engine.compose.criteria import CRITERIA
from engine.compose.loudness_plan import plan_levels
from engine.compose.path import lay_out
from engine.control.controls import Controls
from engine.graph import TARGET_LUFS
from engine.sound.decoding import decode
from model.inference import TimbreModel
from tests.support import audio
from tests.support.songs import RATE, audio_features, hear, settings

SECONDS = 16.0
NEUTRAL = range(1, 6)
# In spreads of neutral songs. What moves inside sounds does not follow the ranking of
# motion, which is of the distance between them.
LEAST_MOVED = {"motion": 0.5}


@pytest.fixture(scope="module")
def model() -> TimbreModel:
    return TimbreModel.load()


@pytest.fixture(scope="module")
def spreads(model: TimbreModel) -> dict[str, float]:
    """Standard deviation of each criterion among songs of a flat ranking."""
    songs = [
        audio_features(hear(settings(seed, seconds=SECONDS)), model) for seed in NEUTRAL
    ]
    return {
        name: float(np.std([song[name] for song in songs], ddof=1)) for name in CRITERIA
    }


@pytest.mark.parametrize("criterion", CRITERIA)
def test_ranking_moves_what_is_heard(
    criterion: str, model: TimbreModel, spreads: dict[str, float]
) -> None:
    low, high = (
        np.mean(
            [
                audio_features(
                    hear(
                        settings(seed, {f"rank/{criterion}": weight}, seconds=SECONDS)
                    ),
                    model,
                )[criterion]
                for seed in (101, 102, 103)
            ]
        )
        for weight in (-1.0, 1.0)
    )
    assert high - low > LEAST_MOVED.get(criterion, 1.0) * spreads[criterion]


@pytest.mark.parametrize("dynamics", [0.0, 1.0])
def test_planned_levels_meet_the_target(dynamics: float) -> None:
    rng = np.random.default_rng(1)
    loudness = np.array([-20.0, -31.0, -26.0, -60.0, -24.0])
    path = lay_out("ABABDBECCDDE", 120.0, rng)
    levels = plan_levels(loudness, path, 120.0, dynamics, (3.0, 8.0))
    assert np.ptp(levels) <= 18.0 * dynamics + 1e-9
    assert np.all(np.diff(levels[np.argsort(loudness)]) >= -1e-9)
    # The loudness of noise with that course, by another library.
    seconds = np.arange(120 * RATE) / RATE
    fade = np.sin(
        0.5 * np.pi * np.clip(np.minimum(seconds / 3, (120 - seconds) / 8), 0, 1)
    )
    course = 10.0 ** (path.weights(seconds) @ levels / 20.0) * fade
    noise = rng.standard_normal((len(seconds), 2)).astype(np.float32) * 0.01
    flat = audio.lufs(noise, RATE)
    faded = audio.lufs((noise * course[:, None]).astype(np.float32), RATE)
    assert faded - flat == pytest.approx(0.0, abs=0.15)


def test_songs_come_out_at_their_loudness() -> None:
    """Whatever the wiggle, the tuning and the dynamics."""
    for seed, controls in (
        (1, {"wiggle/amount": 1.2, "wiggle/rate": 0.2}),
        (2, {"dynamics": 1.0, "hop": 0.5}),
        (3, {"rank/volume": 1.0, "dynamics": 0.0, "tuning/strength": 1.0}),
    ):
        heard = hear(settings(seed, controls, seconds=40.0))
        lufs = audio.lufs(heard.samples, RATE)
        assert lufs == pytest.approx(TARGET_LUFS, abs=0.5), (seed, controls)


def test_songs_have_more_or_less_noise_beside_the_same_tones(
    model: TimbreModel,
) -> None:
    grammar, controls = grammars.load("seed"), Controls().snapshot
    song = compose(model, grammar, controls, seed=3, index=0, duration=60.0)
    points = song.points.astype(np.float64)
    plain, noisy = (
        decode(model, replace(song, noise_db=level), points, np.zeros(points.shape))
        for level in (0.0, 3.0)
    )
    np.testing.assert_allclose(noisy.noise, 10**0.3 * plain.noise)
    np.testing.assert_array_equal(noisy.tonal, plain.tonal)
    levels = [song_noise_db(seed, 0, "dark") for seed in range(200)]
    assert 1.5 < np.std(levels) < 3.0
    assert np.abs(levels).max() == NOISE_MOST_DB
