"""A narrow decoder that learns the sounds of a wide one."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from effects.base.errors import InputError, RunError
from effects.base.streams import Purpose, stream
from engine.cli.main import main
from model.corpus.corpus import Corpus
from model.inference import TimbreModel
from model.timbre_map import load_map, spectra_of
from model.training import comparison
from model.training import distil as distilling
from model.training.distil import DistilSettings, compare, distil, draw_points
from model.training.export import export
from model.training.fit import TrainSettings, fit
from model.training.start import Start
from model.training.train import train
from model.training.vae import VAEConfig, build
from tests.support.disk import disk_full_after
from tests.support.timbres import (
    harmonic_split,
    harmonic_timbres,
    quick_measures,
    tiny_model,
    tiny_settings,
)

QUICK = DistilSettings(width=12, steps=60, n_points=1024)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick_measures(monkeypatch)
    monkeypatch.setattr(distilling, "N_STATISTICS", 400)
    monkeypatch.setattr(distilling, "MOST_APART_DB", 100.0)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained for a moment, of width 24."""
    folder = tmp_path_factory.mktemp("distil")
    corpus = harmonic_split()
    network, _ = fit(corpus, folder / "work", tiny_settings(epochs=8))
    rng = np.random.default_rng(3)
    about = {"command": "latent train", "licence": "MIT"}
    export(network, corpus.train, folder / "m", rng, name="m", about=about)
    return folder / "m"


def test_the_sounds_are_nearly_the_same_at_the_same_points(
    origin: Path, tmp_path: Path
) -> None:
    one, many = (
        distil(origin, tmp_path / str(steps), DistilSettings(12, steps, 4096))
        for steps in (1, 400)
    )
    model = TimbreModel.load(origin)
    assert compare(model, many, 9)["rmse_db"] < 0.4 * compare(model, one, 9)["rmse_db"]
    told = many.metadata["about"]["distilled"]
    assert told["rmse_db"] == pytest.approx(compare(model, many, 9)["rmse_db"], rel=0.2)
    assert 0.5 < told["detail"] < 1.1
    assert f"- rmse db: {told['rmse_db']}" in (tmp_path / "400/CARD.md").read_text()


def test_prior_and_encoder_stay_what_they_are(origin: Path, tmp_path: Path) -> None:
    made = distil(origin, tmp_path / "copy", QUICK)
    encoders = [(f / "encoder.onnx").read_bytes() for f in (tmp_path / "copy", origin)]
    assert encoders[0] == encoders[1]
    model = TimbreModel.load(origin)
    ours, theirs = (m.sample(50, stream(Purpose.MODEL_SOUNDS)) for m in (model, made))
    assert np.array_equal(ours, theirs)
    assert made.statistics["anchor"] == model.statistics["anchor"]
    assert made.statistics["features"] != model.statistics["features"]
    assert (made.name, model.name) == ("copy", "m")
    assert not made.metadata["figures"]  # they were those of the model
    assert [p.name for p in tmp_path.iterdir()] == ["copy"]


def test_the_map_has_the_sounds_of_the_copy(origin: Path, tmp_path: Path) -> None:
    made = distil(origin, tmp_path / "m", QUICK)
    theirs = load_map(TimbreModel.load(origin), origin)
    ours = load_map(made, tmp_path / "m")
    assert len(ours.z) == len(theirs.z)
    decoded = spectra_of(made.decode(ours.z), made.axis)
    assert np.allclose(ours.spectra, decoded, atol=0.11)  # dB


def test_a_seed_gives_one_decoder_and_another_seed_another(
    origin: Path, tmp_path: Path
) -> None:
    decoders = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        settings = DistilSettings(width=12, steps=5, n_points=600, seed=seed)
        distil(origin, tmp_path / name, settings)
        decoders.append((tmp_path / name / "decoder.onnx").read_bytes())
    assert decoders[0] == decoders[1] != decoders[2]


def test_training_starts_from_a_narrow_decoder(origin: Path, tmp_path: Path) -> None:
    distil(origin, tmp_path / "m", DistilSettings(12, 400, 4096))
    start = Start(tmp_path / "m")
    settings = start.settings(TrainSettings(), 100)
    assert settings.vae == VAEConfig("dense", 24, 24, 1, 1, decoder_width=12)
    network = build(settings.vae)
    network.load_state_dict(start.weights(settings) or {})
    z = torch.zeros(1, settings.vae.n_latents)
    with torch.no_grad():
        assert network.decode(z).std() > 0.02  # a spectrum, no random weights


def test_points_are_within_reach_of_wiggled_paths(origin: Path) -> None:
    model = TimbreModel.load(origin)
    z = draw_points(model, 4000, np.random.default_rng(1))
    assert z.shape == (4000, model.n_latents)
    assert z.dtype == np.float32
    lengths = np.linalg.norm(z, axis=1)
    drawn = np.linalg.norm(model.sample(4000, np.random.default_rng(2)), axis=1)
    assert np.quantile(lengths, 0.95) > np.quantile(drawn, 0.95)
    assert np.quantile(lengths, 0.05) < np.quantile(drawn, 0.05)


def test_the_limits_let_the_anchor_through(origin: Path, tmp_path: Path) -> None:
    from model import guard

    made = distil(origin, tmp_path / "m", DistilSettings(8, 1, 600))
    anchor = np.asarray(made.statistics["anchor"], np.float32)[None]
    for name, values in guard.point_features(made, anchor).items():
        assert values[0] <= made.statistics["limits"][name]


def test_a_model_is_not_replaced_by_its_copy(origin: Path, tmp_path: Path) -> None:
    hidden = tmp_path / ".copy.distil"
    shutil.copytree(origin, hidden)
    (tmp_path / "link").symlink_to(hidden)
    before = (hidden / "decoder.onnx").read_bytes()
    for out in (hidden, tmp_path / "link", tmp_path / "copy"):
        with pytest.raises(InputError, match="give another folder"):
            distil(hidden, out, QUICK)
    assert (hidden / "decoder.onnx").read_bytes() == before


def test_a_decoder_that_is_no_wider_is_refused(origin: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of width 24, no wider than 24"):
        distil(origin, tmp_path / "m", DistilSettings(width=24))
    distil(origin, tmp_path / "m", QUICK)
    with pytest.raises(InputError, match="of width 12, no wider than 16"):
        distil(tmp_path / "m", tmp_path / "n", DistilSettings(width=16))
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_a_copy_that_is_too_far_leaves_the_one_that_is_there(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = distil(origin, tmp_path / "m", QUICK).hash
    monkeypatch.setattr(distilling, "MOST_APART_DB", 0.5)
    with pytest.raises(RunError, match="over 0: nothing was written"):
        distil(origin, tmp_path / "m", QUICK)
    monkeypatch.setattr(distilling, "MOST_APART_DB", 100.0)
    monkeypatch.setattr(comparison, "MOST_STANDING_DB", -100.0)
    with pytest.raises(RunError, match="nothing was written"):
        distil(origin, tmp_path / "m", QUICK)
    with disk_full_after(100_000), pytest.raises(RunError):
        distil(origin, tmp_path / "m", QUICK)
    assert TimbreModel.load(tmp_path / "m").hash == before
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_the_original_network_is_distilled_to_a_dense_decoder(tmp_path: Path) -> None:
    tiny_model(tmp_path / "seed", arch="seed")
    distil(tmp_path / "seed", tmp_path / "m", QUICK)
    operators = [n.op_type for n in onnx.load(tmp_path / "m/decoder.onnx").graph.node]
    assert "Gemm" in operators
    assert "ConvTranspose" not in operators


def test_a_corpus_measures_the_copy_if_the_model_is_of_it(
    origin: Path, tmp_path: Path
) -> None:
    corpus = Corpus.create(tmp_path / "corpus")
    timbres = harmonic_timbres(80, np.random.default_rng(1)).astype(np.float32)
    rows = [
        {"group": f"g{k // 4}", "source": "s", "licence": "CC0-1.0"} for k in range(80)
    ]
    corpus.append(timbres, rows)
    train(tmp_path / "corpus", tmp_path / "of it", tiny_settings(epochs=1))
    made = distil(
        tmp_path / "of it", tmp_path / "m", QUICK, corpus_dir=tmp_path / "corpus"
    )
    assert made.metadata["figures"]["rmse_db"] > 0.0
    with pytest.raises(InputError, match="not the corpus that m was trained on"):
        distil(origin, tmp_path / "n", QUICK, corpus_dir=tmp_path / "corpus")
    assert not (tmp_path / "n").exists()


def test_the_command_says_how_far_the_copy_is(
    origin: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    arguments = ["model", "distil", str(origin), "--out", ".", "--width", "12"]
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--steps", "5", "--points", "600"])
    assert end.value.code == 0
    assert "dB from the model's own sounds" in capsys.readouterr().err
    card = (tmp_path / "here" / "CARD.md").read_text()
    made_by = "`latent train && latent model distil --width 12 --steps 5 --points 600`"
    assert made_by in card
    assert "# Model card: here" in card
