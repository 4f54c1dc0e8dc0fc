"""Comparing a sound with the sounds of a model, and the command that prints it."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from effects.base.errors import InputError
from engine.cli.main import main
from model.config import SAMPLE_RATE
from model.guard import UNITS
from model.inference import TimbreModel
from model.percentiles import percentiles
from tests.support import signals


@pytest.fixture(scope="module")
def model() -> TimbreModel:
    return TimbreModel.load()


def test_the_models_own_sounds_are_spread_over_all_percentiles(
    model: TimbreModel,
) -> None:
    z = model.sample(400, np.random.default_rng(3))
    compared = [
        percentiles(model, *pair) for pair in zip(model.decode(z), z, strict=True)
    ]
    for name in UNITS:
        found = np.sort([features[name].percentile for features in compared])
        expected = 100.0 * (np.arange(400) + 0.5) / 400
        assert np.abs(found - expected).max() < 10.0, name


def test_a_louder_sound_has_a_higher_percentile_and_one_beyond_all_is_at_the_end(
    model: TimbreModel,
) -> None:
    z = np.zeros(model.n_latents, np.float32)
    timbre = model.decode(model.sample(1, np.random.default_rng(0)))[0]
    levels = [
        percentiles(model, np.clip(timbre + gain_db / 100.0, 0.0, 1.0), z)["loudness"]
        for gain_db in (-60.0, -6.0, 0.0, 6.0)
    ]
    assert [one.percentile for one in levels] == sorted(
        one.percentile for one in levels
    )
    assert levels[0].percentile == 0.0
    assert levels[3].percentile - levels[1].percentile > 5.0
    assert percentiles(model, timbre, z)["weirdness"].percentile == 0.0
    far = percentiles(model, timbre, z + 9.0)["weirdness"]
    assert far.percentile == 100.0
    assert far.value > far.limit


def test_encode_prints_the_percentile_of_each_feature(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, hertz in (("low", 110.0), ("high", 3_520.0)):
        sound = signals.chord([hertz, 1.5 * hertz], 3.0, SAMPLE_RATE, amplitude=0.05)
        soundfile.write(tmp_path / f"{name}.wav", sound, SAMPLE_RATE)
    printed = {}
    for name in ("low", "high"):
        with pytest.raises(SystemExit) as ended:
            main(["model", "encode", str(tmp_path / f"{name}.wav"), "--json"])
        assert ended.value.code == 0
        printed[name] = json.loads(capsys.readouterr().out)["features"]
        assert set(printed[name]) == set(UNITS)
    low, high = printed["low"]["sharpness"], printed["high"]["sharpness"]
    assert low["percentile"] < 50.0 < high["percentile"]
    assert low["value"] < high["value"]
    assert low["limit"] > 0.0
    with pytest.raises(SystemExit):
        main(["model", "encode", str(tmp_path / "high.wav")])
    shown = capsys.readouterr()
    assert len(shown.out.split()) == 32
    lines = shown.err.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == list(UNITS)
    assert f"more than {high['percentile']:.0f} % of the model's sounds" in lines[1]


def test_a_model_without_statistics_is_one_line(model: TimbreModel) -> None:
    bare = copy.copy(model)
    bare.metadata = {**model.metadata, "statistics": {}}
    with pytest.raises(InputError, match="holds no statistics"):
        percentiles(
            bare,
            np.zeros(bare.axis.n_bands, np.float32),
            np.zeros(bare.n_latents, np.float32),
        )
