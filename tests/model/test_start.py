"""Training that starts from a model instead of from random weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from effects.base.errors import InputError
from engine.cli.train import epochs_within
from model.corpus.corpus import Corpus
from model.inference import TimbreModel
from model.training import start
from model.training.export import export
from model.training.fit import TrainSettings, fit
from model.training.network_size import FEW
from model.training.start import Start, choose_start, start_weights, trial_epochs
from model.training.train import train
from model.training.vae import VAEConfig, build
from tests.support.timbres import (
    TINY,
    harmonic_split,
    harmonic_timbres,
    quick_measures,
    tiny_model,
    tiny_settings,
)


@pytest.mark.parametrize("arch", ["dense", "seed"])
def test_weights_come_back_as_they_were_exported(tmp_path: Path, arch: str) -> None:
    torch.manual_seed(5)
    config = replace(TINY, arch=arch)
    network = build(config)
    timbres = harmonic_timbres(100, np.random.default_rng(2))
    rng = np.random.default_rng(3)
    export(network, timbres, tmp_path / "m", rng, name="m", about={})
    weights = start_weights(tmp_path / "m", config)
    assert set(weights) == set(network.state_dict())
    for name, value in network.state_dict().items():  # which the export rounded
        assert torch.equal(weights[name], value), name


def test_training_that_starts_from_a_model_is_ahead(tmp_path: Path) -> None:
    corpus = harmonic_split()
    settings = tiny_settings(epochs=12)
    network, alone = fit(corpus, tmp_path / "a", settings)
    rng = np.random.default_rng(3)
    export(network, corpus.train, tmp_path / "m", rng, name="m", about={})
    weights = start_weights(tmp_path / "m", settings.vae)
    _, history = fit(
        corpus, tmp_path / "b", replace(settings, epochs=1), weights=weights
    )
    assert history[0]["rmse_db"] < 0.75 * alone[0]["rmse_db"]


def test_the_card_names_the_model_that_was_started_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_measures(monkeypatch)
    origin = tiny_model(tmp_path / "origin")
    corpus = Corpus.create(tmp_path / "corpus")
    timbres = harmonic_timbres(80, np.random.default_rng(1)).astype(np.float32)
    rows = [
        {"group": f"g{k // 4}", "source": "s", "licence": "CC0-1.0"} for k in range(80)
    ]
    corpus.append(timbres, rows)
    train(
        tmp_path / "corpus",
        tmp_path / "m",
        tiny_settings(epochs=1),
        start=tmp_path / "origin",
    )
    about = TimbreModel.load(tmp_path / "m").metadata["about"]
    assert origin.hash in about["training"]["start"]
    assert about["settings"]["start"] == origin.hash


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    tiny_model(tmp_path / "m")
    with pytest.raises(InputError, match="width 99"):
        start_weights(tmp_path / "m", replace(TINY, width=99))


def test_the_better_start_is_chosen_and_stays_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that knows this music stands in for the bundled one."""
    corpus = harmonic_split(300)
    settings = tiny_settings(epochs=25)
    network, _ = fit(corpus, tmp_path / "a", settings)
    rng = np.random.default_rng(3)
    export(network, corpus.train, tmp_path / "m", rng, name="m", about={})
    monkeypatch.setattr(start, "BUNDLED", tmp_path / "m")
    shown: list[str] = []

    def trial(name: str) -> None:
        shown.append(name)

    found = choose_start(corpus, tmp_path / "work", settings, trial)
    assert shown == ["random", "bundled"]
    assert found.folder == tmp_path / "m"
    assert found.errors_db[1] < found.errors_db[0]
    again = choose_start(corpus, tmp_path / "work", settings, trial)
    assert (again, shown) == (found, ["random", "bundled"])


def test_a_network_of_another_kind_starts_from_random_weights(tmp_path: Path) -> None:
    settings = replace(tiny_settings(), vae=replace(TINY, arch="seed"))
    found = choose_start(harmonic_split(200), tmp_path, settings)
    assert found == Start()
    assert found.settings(settings, 200) == settings


def test_a_start_from_a_model_has_the_size_of_its_network(tmp_path: Path) -> None:
    other = VAEConfig(width=20, hidden=28, encoder_blocks=3, decoder_blocks=2)
    for config in (TINY, other, replace(TINY, sources=2)):
        torch.manual_seed(5)
        timbres = harmonic_timbres(100, np.random.default_rng(2))
        rng = np.random.default_rng(3)
        export(build(config), timbres, tmp_path / "m", rng, name="m", about={})
        origin = Start(tmp_path / "m")
        settings = origin.settings(TrainSettings(), 100)
        assert settings.vae == config
        assert settings.start == TimbreModel.load(tmp_path / "m").hash
        assert set(origin.weights(settings) or ()) == set(build(config).state_dict())
        assert settings.learning_rate > 1.2 * TrainSettings().learning_rate


def test_few_clips_get_a_small_network_and_more_steps() -> None:
    whole = TrainSettings(min_epoch=7168)
    few, many = Start().settings(whole, FEW), Start().settings(whole, FEW + 1)
    assert many == whole
    assert few.vae.width < 0.5 * whole.vae.width
    assert few.min_epoch > 2 * whole.min_epoch
    assert replace(few, vae=whole.vae, min_epoch=whole.min_epoch) == whole
    assert Start().settings(tiny_settings(), 800) == tiny_settings()  # small already
    seed = replace(whole, vae=VAEConfig(arch="seed"))
    assert Start().settings(seed, 800) == seed


def test_a_start_from_a_small_network_takes_as_many_steps(tmp_path: Path) -> None:
    tiny_model(tmp_path / "m")
    whole = TrainSettings(min_epoch=7168)
    few = Start(tmp_path / "m").settings(whole, FEW)
    many = Start(tmp_path / "m").settings(whole, FEW + 1)
    assert few.min_epoch == Start().settings(whole, FEW).min_epoch
    assert many.min_epoch == whole.min_epoch


def test_as_many_epochs_as_there_is_time_for() -> None:
    assert epochs_within(100.0, [2.0]) == 50
    assert epochs_within(1.0, [2.0]) == 1
    for whole_s in (30.0, 100.0, 1000.0):
        for each in ([2.0, 1.0], [1.0, 2.0]):
            epochs = epochs_within(whole_s, each)
            took = trial_epochs(epochs) * sum(each) + epochs * max(each)
            assert 0.85 * whole_s < took < 1.05 * whole_s
