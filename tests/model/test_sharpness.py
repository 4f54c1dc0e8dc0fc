"""How much of what stands out a decoder has to exaggerate."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.config import AXIS, N_LATENTS
from model.inference import ONNX_FILES
from model.spectrum import sharpened, surroundings
from model.training import export as exporting
from model.training.evaluate import detail_db
from model.training.export import export
from model.training.onnx_files import ScaledDecoder, ScaledEncoder, write_networks
from model.training.sharpness import MOST, WANTED, find_sharpness
from model.training.vae import build
from model.trial import check_trial
from tests.support.timbres import TINY, harmonic_timbres

Rows = NDArray[np.float32]


@pytest.fixture(scope="module")
def clips() -> Rows:
    return harmonic_timbres(60, np.random.default_rng(4)).astype(np.float32)


def found(clips: Rows, kept: float) -> float:
    """The sharpness for decoded clips that have a share of the detail of the clips."""
    return find_sharpness(sharpened(clips, kept), clips)


def test_lost_detail_is_raised(clips: Rows) -> None:
    factor = found(clips, 0.75)
    assert 1.05 < factor < 1.25
    assert found(clips, 0.3) == MOST


def test_enough_is_left_as_it_is(clips: Rows) -> None:
    assert found(clips, 0.95) == 1.0


def test_a_decoder_is_sharpened_as_the_measure_has_it(clips: Rows) -> None:
    torch.manual_seed(5)
    network = build(TINY)
    zeros, ones = torch.zeros(N_LATENTS), torch.ones(N_LATENTS)
    z = torch.randn(20, N_LATENTS)
    with torch.no_grad():
        plain = (
            ScaledDecoder(network.decoder, zeros, ones)(z).numpy().astype(np.float64)
        )
        sharp = ScaledDecoder(network.decoder, zeros, ones, sharpness=1.2)(z).numpy()
    around = surroundings(plain)
    wanted = np.clip(around + 1.2 * (plain - around), 0.0, 1.0)
    assert np.allclose(sharp, wanted, atol=1e-5)


def test_a_sharpened_model_is_accepted_where_nobody_knows_it(tmp_path: Path) -> None:
    """Its networks hold no operator that the trial of a foreign model refuses."""
    network = build(TINY).eval()
    zeros, ones = torch.zeros(N_LATENTS), torch.ones(N_LATENTS)
    decoder = ScaledDecoder(network.decoder, zeros, ones, sharpness=1.2)
    write_networks(decoder, ScaledEncoder(network, zeros, ones), tmp_path)
    files = [(tmp_path / name).read_bytes() for name in ONNX_FILES]
    wrong = check_trial(*files, n_latents=N_LATENTS, n_bands=AXIS.n_bands)
    assert not wrong


def test_an_exported_model_keeps_the_detail_of_other_songs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(  # what random weights have in common stays
        exporting, "standing_curve", lambda *_: np.zeros(AXIS.n_bands, np.float32)
    )
    torch.manual_seed(5)
    network = build(TINY)
    last = list(network.decoder.children())[-3]
    with torch.no_grad():
        for weight in last.parameters():
            weight.mul_(0.75)
    train = harmonic_timbres(300, np.random.default_rng(2))
    other = harmonic_timbres(90, np.random.default_rng(7))
    rng = np.random.default_rng(3)
    plain = export(network, train, tmp_path / "a", rng, name="a", about={})
    sharp = export(
        network, train, tmp_path / "b", rng, name="b", about={}, held_out=other
    )
    data = other.astype(np.float32)
    of_data = detail_db(data)
    kept = [detail_db(m.decode(m.encode(data)[0])) / of_data for m in (plain, sharp)]
    assert kept[0] < WANTED
    assert kept[1] == pytest.approx(WANTED, abs=0.03)
    assert sharp.decode(np.zeros((1, N_LATENTS), np.float32)).shape[1] == AXIS.n_bands
