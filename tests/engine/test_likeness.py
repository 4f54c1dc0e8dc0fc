"""Songs that start from a sound: nearer to it than others, and the same again."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from effects.base.errors import InputError
from engine.api import compose, from_card
from engine.compose import grammar as grammars
from engine.compose.composer import compose as compose_song
from engine.compose.likeness import CLIPS, STEPS, hear, point_of, text_of
from engine.control.controls import defaults
from engine.graph import Settings, build
from engine.offline.song_card import MAX_TEXT
from engine.offline.song_card_file import write_beside
from model.inference import TimbreModel

RATE = 44_100


@pytest.fixture(scope="module")
def model() -> TimbreModel:
    return TimbreModel.load(None)


@pytest.fixture
def organ(tmp_path: Path) -> Path:
    seconds = np.arange(6 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 146.83 * k * seconds) / k for k in (1, 2, 3, 4, 6, 8))
    hiss = np.random.default_rng(0).standard_normal(len(seconds))
    path = tmp_path / "organ.wav"
    sf.write(path, (0.08 * tone + 1e-4 * hiss).astype(np.float32), RATE)
    return path


def test_a_point_comes_back_from_its_text() -> None:
    point = np.random.default_rng(1).normal(0.0, 1.5, 32).astype(np.float32)
    text = text_of(point)
    assert len(text) == 44
    np.testing.assert_allclose(point_of(text, 32), point, atol=0.5001 / STEPS)


@pytest.mark.parametrize("text", ["", "hello", "é" * 44, "A" * 40, "!" * 44])
def test_a_text_that_is_no_point_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="likeness"):
        point_of(text, 32)


def test_the_sounds_of_a_song_lie_near_what_it_starts_from(
    model: TimbreModel, organ: Path
) -> None:
    like = hear(model, organ)
    point = point_of(like, model.n_latents)
    seed_grammar = grammars.load("seed")

    def distances(text: str) -> list[float]:
        songs = [
            compose_song(
                model, seed_grammar, defaults(), seed=seed, index=0, duration=60.0,
                like=text,
            )
            for seed in range(4)
        ]  # fmt: skip
        return [
            float(np.linalg.norm(row - point)) for song in songs for row in song.points
        ]

    near, anywhere = distances(like), distances("")
    assert max(near) < np.median(anywhere)
    assert np.mean(near) < 0.6 * np.mean(anywhere)


def test_a_song_like_a_sound_still_has_five_sounds(
    model: TimbreModel, organ: Path
) -> None:
    song = compose_song(
        model,
        grammars.load("seed"),
        defaults(),
        seed=3,
        index=0,
        duration=60.0,
        like=hear(model, organ),
    )
    timbres = model.decode(song.points)
    apart = np.abs(timbres[:, None] - timbres[None]).mean(axis=2) * 100.0
    assert apart[~np.eye(5, dtype=bool)].min() > 0.5  # dB, on average over all bands


def test_what_is_rendered_is_heard_nearer_to_the_sound(
    model: TimbreModel, organ: Path, tmp_path: Path
) -> None:
    point = point_of(hear(model, organ), model.n_latents)

    def heard(seed: int, like: Path | None) -> float:
        # Untuned, as tuning transposes what the sound has at another pitch.
        song = compose(
            seed, 0.4, controls={"tuning/strength": 0.0}, effects=False, like=like
        )
        path = tmp_path / "song.wav"
        sf.write(path, song.render(), RATE)
        return float(np.linalg.norm(point_of(hear(model, path), 32) - point))

    nearer = [heard(seed, organ) / heard(seed, None) for seed in (5, 6, 7)]
    assert max(nearer) < 1.0
    assert np.mean(nearer) < 0.9


def test_a_stream_goes_over_to_songs_near_a_point(
    model: TimbreModel, organ: Path
) -> None:
    like = hear(model, organ)
    point = point_of(like, model.n_latents)
    music = build(Settings(seed=4, sample_rate=24_000, effects=None)).music
    before = music.now(0)
    at = 5 * 24_000
    music.command(at, "like", (like,))
    along = music.now(at + 24_000 * 30)
    assert (before.like, along.like) == ("", like)
    assert music.now(at - 1).points is before.points, "what plays is the same song"
    assert along.index == 1

    def away(points: NDArray[np.float32]) -> float:
        return float(np.linalg.norm(points - point, axis=1).mean())

    assert away(along.points) < 0.6 * away(before.points)
    later = at + 24_000 * 900
    music.command(later, "like", ())
    assert music.now(later - 1).like == like
    freed = music.now(later + 24_000 * 30)
    assert freed.like == ""
    assert away(freed.points) > 1.5 * away(along.points)


def test_a_stream_does_not_go_over_to_what_is_no_point() -> None:
    music = build(Settings(seed=4, sample_rate=24_000, effects=None)).music
    with pytest.raises(InputError, match="likeness"):
        music.command(0, "like", ("nowhere",))
    assert music.now(24_000 * 60).like == ""


def test_a_card_gives_the_song_again_without_the_sound(
    organ: Path, tmp_path: Path
) -> None:
    song = compose(seed=9, minutes=0.1, effects=False, like=organ)
    path = write_beside(song.card, tmp_path / "song.flac")
    organ.unlink()
    assert len(path.read_bytes()) < MAX_TEXT
    np.testing.assert_array_equal(from_card(path).render(), song.render())


def test_silence_is_refused(model: TimbreModel, tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    sf.write(path, np.zeros(CLIPS * RATE, np.float32), RATE)
    with pytest.raises(InputError, match="silent"):
        hear(model, path)
