"""A narrow decoder that learns the sounds of a wide one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from effects.base.errors import InputError
from effects.base.streams import Purpose, stream
from engine.cli.main import main
from model.inference import TimbreModel
from model.timbre_map import load_map, spectra_of
from model.training.distil import DistilSettings, apart, distil, points
from model.training.export import export
from model.training.fit import TrainSettings, fit
from model.training.start import Start
from model.training.vae import VAEConfig, build
from tests.support.timbres import harmonic_split, quick_measures, tiny_settings

QUICK = DistilSettings(width=12, steps=400, points=4096)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained for a moment."""
    folder = tmp_path_factory.mktemp("distil")
    corpus = harmonic_split()
    network, _ = fit(corpus, folder / "work", tiny_settings(epochs=8))
    rng = np.random.default_rng(3)
    about = {"command": "latent train", "licence": "MIT"}
    export(network, corpus.train, folder / "m", rng, name="m", about=about)
    return folder / "m"


def test_the_sounds_are_nearly_the_same_at_the_same_points(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_measures(monkeypatch)
    one, many = (
        distil(origin, tmp_path / str(steps), DistilSettings(12, steps, 4096))
        for steps in (1, 400)
    )
    model = TimbreModel.load(origin)
    assert apart(model, many, 9)["rmse_db"] < 0.4 * apart(model, one, 9)["rmse_db"]
    told = many.metadata["about"]["distilled"]
    assert told["rmse_db"] == pytest.approx(apart(model, many, 9)["rmse_db"], rel=0.2)
    assert 0.5 < told["detail"] < 1.1
    assert f"- rmse db: {told['rmse_db']}" in (tmp_path / "400/CARD.md").read_text()


def test_prior_and_encoder_stay_what_they_are(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_measures(monkeypatch)
    made = distil(origin, tmp_path / "m", QUICK)
    encoders = [(f / "encoder.onnx").read_bytes() for f in (tmp_path / "m", origin)]
    assert encoders[0] == encoders[1]
    model = TimbreModel.load(origin)
    ours, theirs = (m.sample(50, stream(Purpose.MODEL_SOUNDS)) for m in (model, made))
    assert np.array_equal(ours, theirs)
    for name in ("limits", "anchor"):
        assert made.statistics[name] == model.statistics[name]
    assert made.statistics["features"] != model.statistics["features"]
    assert made.hash != model.hash
    assert not made.metadata["figures"]  # they were those of the model
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m"]


def test_the_map_has_the_sounds_of_the_copy(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_measures(monkeypatch)
    made = distil(origin, tmp_path / "m", QUICK)
    theirs = load_map(TimbreModel.load(origin), origin)
    ours = load_map(made, tmp_path / "m")
    assert len(ours.z) == len(theirs.z)
    decoded = spectra_of(made.decode(ours.z), made.axis)
    assert np.allclose(ours.spectra, decoded, atol=0.11)  # dB


def test_the_same_seed_gives_the_same_decoder(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_measures(monkeypatch)
    settings = DistilSettings(width=12, steps=20, points=1024)
    decoders = []
    for name in ("a", "b"):
        distil(origin, tmp_path / name, settings)
        decoders.append((tmp_path / name / "decoder.onnx").read_bytes())
    assert decoders[0] == decoders[1]


def test_training_starts_from_a_narrow_decoder(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_measures(monkeypatch)
    distil(origin, tmp_path / "m", QUICK)
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
    z = points(model, 4000, np.random.default_rng(1))
    assert z.shape == (4000, model.n_latents)
    assert z.dtype == np.float32
    lengths = np.linalg.norm(z, axis=1)
    drawn = np.linalg.norm(model.sample(4000, np.random.default_rng(2)), axis=1)
    assert np.quantile(lengths, 0.95) > np.quantile(drawn, 0.95)
    assert np.quantile(lengths, 0.05) < np.quantile(drawn, 0.05)


def test_a_model_is_not_replaced_by_its_copy(origin: Path) -> None:
    before = (origin / "decoder.onnx").read_bytes()
    with pytest.raises(InputError, match="give another folder"):
        distil(origin, origin, QUICK)
    assert (origin / "decoder.onnx").read_bytes() == before


def test_a_decoder_that_is_no_wider_is_refused(origin: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of width 24, no wider than 24"):
        distil(origin, tmp_path / "m", DistilSettings(width=24))
    assert not list(tmp_path.iterdir())


def test_the_command_says_how_far_the_copy_is(
    origin: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    quick_measures(monkeypatch)
    arguments = ["model", "distil", str(origin), "--out", str(tmp_path / "m")]
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--width", "12", "--steps", "5", "--points", "600"])
    assert end.value.code == 0
    assert "dB from the model's own sounds" in capsys.readouterr().err
    card = (tmp_path / "m" / "CARD.md").read_text()
    assert "`latent train && latent model distil --width 12 --steps 5`" in card
