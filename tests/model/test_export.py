import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from effects.base.errors import RunError
from model.config import AXIS, N_LATENTS
from model.inference import TimbreModel
from model.timbre_map import load_map, map_sounds
from model.training import export as export_module
from model.training.export import add_figures, add_map, export
from model.training.lay_out import lay_out
from model.training.model_card import model_card
from model.training.vae import build
from tests.support.timbres import TINY, harmonic_timbres, tiny_model


@pytest.mark.parametrize("arch", ["dense", "seed"])
def test_onnx_equals_torch_at_other_batch_sizes(
    tmp_path: Path, arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(  # what random weights have in common stays
        export_module, "standing_curve", lambda *_: np.zeros(AXIS.n_bands, np.float32)
    )
    torch.manual_seed(5)
    settings = dict(vars(TINY)) | {"arch": arch}
    network = build(type(TINY)(**settings))
    train = harmonic_timbres(300, np.random.default_rng(2))
    model = export(
        network, train, tmp_path / "m", np.random.default_rng(3), name="m", about={}
    )
    timbre = train[:7].astype(np.float32)
    mean, logvar = model.encode(timbre, refined=False)
    with torch.no_grad():
        raw_mean, raw_logvar = network.encode(torch.from_numpy(timbre))
        decoded = network.decode(raw_mean).clamp(0.0, 1.0).numpy()
    # 0.02 dB of 100: the weights were rounded to what the file holds.
    assert np.allclose(model.decode(mean), decoded, atol=2e-4)
    scale = np.exp(0.5 * (raw_logvar.numpy() - logvar))
    assert np.allclose(scale, scale[0], rtol=1e-3)  # one factor for each latent
    for n in (1, 3, 11):
        z = model.sample(n, np.random.default_rng(n))
        assert model.decode(z).shape == (n, AXIS.n_bands)


def test_latents_are_scaled_to_unit_variance(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m")
    train = harmonic_timbres(400, np.random.default_rng(2)).astype(np.float32)
    mean, logvar = model.encode(train, refined=False)
    noise = np.random.default_rng(9).standard_normal(mean.shape)
    points = mean + np.exp(0.5 * logvar) * noise
    assert np.allclose(points.mean(axis=0), 0.0, atol=0.25)
    assert np.allclose(points.std(axis=0), 1.0, atol=0.15)


def test_statistics_are_those_of_the_prior(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m")
    stored = model.statistics["features"]["weirdness"]
    weirdness = model.weirdness(model.sample(20_000, np.random.default_rng(8)))
    assert weirdness.mean() == pytest.approx(stored["mean"], rel=0.02)
    middle = stored["quantiles"][model.statistics["quantiles_at"].index(0.5)]
    assert np.median(weirdness) == pytest.approx(middle, rel=0.02)


def test_contract_of_the_files(tmp_path: Path) -> None:
    tiny_model(tmp_path / "m")
    decoder = onnx.load(str(tmp_path / "m" / "decoder.onnx"))
    encoder = onnx.load(str(tmp_path / "m" / "encoder.onnx"))

    def shapes(values: Any) -> dict[str, int]:
        return {v.name: v.type.tensor_type.shape.dim[1].dim_value for v in values}

    assert shapes(decoder.graph.input) == {"z": N_LATENTS}
    assert shapes(decoder.graph.output) == {"spectrum": AXIS.n_bands}
    assert shapes(encoder.graph.input) == {"spectrum": AXIS.n_bands}
    assert shapes(encoder.graph.output) == {"mean": N_LATENTS, "logvar": N_LATENTS}
    assert {p.name.split(".")[0] for p in (tmp_path / "m").iterdir()} == {
        "decoder",
        "encoder",
        "model",
        "map",
        "CARD",
    }
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    assert card["axis"]["n_bands"] == 1233
    assert card["sample_rate"] == 44_100


def test_large_weights_are_stored_in_half(tmp_path: Path) -> None:
    tiny_model(tmp_path / "m")
    decoder = onnx.load(str(tmp_path / "m" / "decoder.onnx"))
    for tensor in decoder.graph.initializer:
        size = int(np.prod(tensor.dims))
        if size >= 1024 and tensor.data_type == onnx.TensorProto.FLOAT:
            pytest.fail(f"{tensor.name} of {size} numbers is in single precision")


def test_card_says_what_is_known(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m")
    assert "MIT" in (tmp_path / "m" / "CARD.md").read_text()
    again = add_figures(tmp_path / "m", {"rmse_db": 4.321, "guard": {"touched": 0.01}})
    text = (tmp_path / "m" / "CARD.md").read_text()
    assert "4.32" in text
    assert "1.0%" in text
    assert again.metadata["figures"]["rmse_db"] == 4.321
    assert again.hash != model.hash
    assert "Not measured" in model_card(model.metadata)


def test_an_export_that_differs_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "PARITY", -1.0)
    with pytest.raises(RunError, match="differs"):
        tiny_model(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write the model"):
        tiny_model(tmp_path / "file" / "m")


def test_a_model_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    tiny_model(tmp_path / "m")
    newer = tiny_model(tmp_path / "m", arch="seed")
    assert TimbreModel.load(tmp_path / "m").hash == newer.hash


def test_an_exported_model_has_a_map_of_its_own(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "m")
    found = load_map(model, tmp_path / "m")
    stored = model.metadata["files"]["map.json"]
    assert (tmp_path / "m" / "map.json").stat().st_size == stored["bytes"]
    np.testing.assert_array_equal(found.z, map_sounds(model, len(found.z)))
    again = lay_out(model, len(found.z))
    np.testing.assert_allclose(again.places, found.places, atol=1e-4)
    (tmp_path / "m" / "map.json").unlink()
    add_map(tmp_path / "m", 150)
    assert len(load_map(TimbreModel.load(tmp_path / "m"), tmp_path / "m").z) == 200
