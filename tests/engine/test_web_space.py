"""The map's documents: places, sounds that are what they say, files that are heard."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from effects.audio.loudness import integrated_lufs
from effects.base.errors import InputError
from engine.compose.likeness import point_of, text_of
from engine.web.space import AUDITION_LUFS, AUDITION_S, Space
from model.config import SAMPLE_RATE
from model.inference import TimbreModel
from model.spectrum import analyse
from model.timbre_map import load_map


@pytest.fixture(scope="module")
def model() -> TimbreModel:
    return TimbreModel.load()


@pytest.fixture(scope="module")
def space(model: TimbreModel) -> Space:
    return Space(model)


def test_its_document_holds_every_sound(space: Space, model: TimbreModel) -> None:
    document, timbre_map = space.document(), load_map(model)
    places = np.frombuffer(base64.b64decode(document["places"]), "<i2")
    stored = places.reshape(-1, 2) / 32767.0
    np.testing.assert_allclose(stored, timbre_map.places, atol=1e-4)
    for name in ("pitch", "brightness", "weirdness"):
        assert len(base64.b64decode(document[name])) == document["points"] == 5000


def test_a_sound_says_where_it_lies(space: Space) -> None:
    found = space.sound(1234)
    assert found is not None
    assert space.place(found["like"]) == pytest.approx(found["place"], abs=0.05)
    assert space.sound(5000) is None


def test_what_is_auditioned_is_the_sound_of_the_point(
    space: Space, model: TimbreModel
) -> None:
    likes = [found["like"] for i in (11, 402, 2700) if (found := space.sound(i))]
    heard = []
    for like in likes:
        samples, rate = sf.read(io.BytesIO(space.audition(like)), dtype="float32")
        assert (rate, samples.shape) == (SAMPLE_RATE, (AUDITION_S * SAMPLE_RATE, 2))
        assert integrated_lufs(samples, rate) == pytest.approx(AUDITION_LUFS, abs=2.5)
        assert np.abs(samples).max() < 0.9
        assert np.abs(samples[[0, -1]]).max() < 1e-3
        heard.append(analyse(samples, model.axis))
    points = np.stack([point_of(like, model.n_latents) for like in likes])
    meant = model.decode(points)
    away = np.abs(np.stack(heard)[:, None] - meant[None]).mean(axis=2)
    assert away.argmin(axis=1).tolist() == [0, 1, 2]


def test_a_songs_ways_go_from_sound_to_sound(space: Space, model: TimbreModel) -> None:
    points = model.sample(5, np.random.default_rng(3))
    song = space.song([text_of(point) for point in points], "ABACCE")
    assert set(song["sounds"]) == set("ABCE")
    assert set(song["ways"]) == {"AB", "AC", "CE"}
    for pair, way in song["ways"].items():
        assert way[0] == pytest.approx(song["sounds"][pair[0]], abs=1e-3)
        assert way[-1] == pytest.approx(song["sounds"][pair[1]], abs=1e-3)
    assert space.song([], "") == {"sounds": {}, "ways": {}}


def test_a_sound_file_lies_where_what_it_resembles_lies(
    space: Space, model: TimbreModel, tmp_path: Path
) -> None:
    found = space.sound(77)
    assert found is not None
    path = tmp_path / "sound.mp3"  # the name that the server gives it
    path.write_bytes(space.audition(found["like"]))
    heard = space.heard(path)
    timbre_map = load_map(model)
    beside = timbre_map.nearest(np.array([heard["place"]], np.float32))[0]
    apart = np.abs(timbre_map.spectra - timbre_map.spectra[77]).mean(axis=1)
    assert apart[beside] < np.quantile(apart, 0.05)


@pytest.mark.parametrize("text", ["", "nowhere", "A" * 40, "../../etc/passwd"])
def test_what_is_no_point_is_refused(space: Space, text: str) -> None:
    for ask in (space.place, space.audition):
        with pytest.raises(InputError, match="likeness"):
            ask(text)
