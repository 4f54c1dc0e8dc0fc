"""How far what a decoder makes is raised, so that songs left out keep their detail."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.config import AXIS, N_LATENTS
from model.inference import ONNX_FILES, TimbreModel
from model.spectrum import prominence_db, raised, surroundings
from model.training import export as exporting
from model.training import lost_detail
from model.training.evaluate import detail_db
from model.training.export import export
from model.training.lost_detail import (
    MOST_DB,
    UNCERTAIN,
    WANTED,
    find_raise_db,
    wanted_share,
)
from model.training.onnx_files import ScaledDecoder, ScaledEncoder, write_networks
from model.training.vae import build
from model.trial import check_trial
from tests.support.timbres import TINY, harmonic_timbres

Rows = NDArray[np.float32]


@pytest.fixture(scope="module")
def clips() -> Rows:
    return harmonic_timbres(60, np.random.default_rng(4)).astype(np.float32)


def lost(clips: Rows, kept: float) -> Rows:
    """The clips with a share of what stands out."""
    around = surroundings(clips.astype(np.float64))
    return (around + kept * (clips - around)).astype(np.float32)


def test_lost_detail_is_raised(clips: Rows) -> None:
    decoded = lost(clips, 0.75)
    by_db = find_raise_db(decoded, clips, 0.9)
    assert 0.0 < by_db < MOST_DB
    found = np.clip(raised(decoded, by_db, AXIS), 0.0, 1.0)
    assert detail_db(found) == pytest.approx(0.9 * detail_db(clips), rel=0.01)
    assert find_raise_db(lost(clips, 0.05), clips, 1.0) == MOST_DB


def test_enough_is_left_as_it_is(clips: Rows) -> None:
    assert find_raise_db(lost(clips, 0.95), clips, 0.9) == 0.0


def test_what_stands_far_out_is_raised_by_no_more_than_the_rest(clips: Rows) -> None:
    farther = prominence_db(raised(clips, 1.5, AXIS), AXIS)
    moved = AXIS.range_db * (raised(clips, 1.5, AXIS) - clips)
    out = prominence_db(clips, AXIS)
    assert np.abs(moved).max() <= 1.5 + 1e-3
    far = np.abs(out) > 12.0
    assert far.any()
    assert np.all(np.abs(moved[far]) > 1.45)
    assert np.all(np.sign(moved[far]) == np.sign(out[far]))
    assert np.abs(farther).mean() > np.abs(out).mean()


def test_songs_that_keep_more_with_any_model_are_to_keep_more(
    clips: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a fourth of the clips less is kept; now they are measured, now others."""
    hard = clips[:15] + np.float32(0.5)  # a level by which the stand-in knows them
    corpus = np.concatenate([hard, clips[15:]]).astype(np.float16)

    class Forgetful:
        """Keeps eight tenths of the detail of the hard ones, nine of the others."""

        def encode(self, timbres: Rows, *, refined: bool = True) -> tuple[Rows, Rows]:
            return timbres, timbres

        def decode(self, timbres: Rows) -> Rows:
            kept = np.where(timbres.mean(axis=1, keepdims=True) > 0.5, 0.8, 0.9)
            around = surroundings(timbres.astype(np.float64))
            return (around + kept * (timbres - around)).astype(np.float32)

    monkeypatch.setattr(TimbreModel, "load", lambda *_: Forgetful())
    certain = WANTED + UNCERTAIN / np.sqrt(15)
    assert wanted_share(corpus[15:30], corpus[15:]) == pytest.approx(certain, abs=0.02)
    assert wanted_share(corpus[:15], corpus) < 0.95 * certain
    assert wanted_share(corpus[15:30], corpus) > 1.015 * certain


@pytest.mark.parametrize(("held_out", "others"), [(0.01, 0.9), (0.9, 0.01), (0.9, 0.7)])
def test_the_wanted_share_stays_within_reason(
    held_out: float, others: float, clips: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {6: held_out, 54: others}  # by the number of clips
    monkeypatch.setattr(lost_detail, "_kept", lambda _, timbres: kept[len(timbres)])
    stored = clips.astype(np.float16)
    assert 0.65 <= wanted_share(stored[:6], stored[6:]) <= 1.0


def test_a_decoder_raises_as_the_measure_has_it() -> None:
    torch.manual_seed(5)
    network = build(TINY)
    zeros, ones = torch.zeros(N_LATENTS), torch.ones(N_LATENTS)
    z = torch.randn(20, N_LATENTS)
    with torch.no_grad():
        plain = ScaledDecoder(network.decoder, zeros, ones)(z).numpy()
        high = ScaledDecoder(network.decoder, zeros, ones, raised_db=1.2)(z).numpy()
    wanted = np.clip(raised(plain, 1.2, AXIS), 0.0, 1.0)
    assert not np.allclose(high, plain, atol=1e-3)
    assert np.allclose(high, wanted, atol=1e-5)


def test_a_model_that_raises_is_accepted_where_nobody_knows_it(tmp_path: Path) -> None:
    """Its networks hold no operator that the trial of a foreign model refuses."""
    network = build(TINY).eval()
    zeros, ones = torch.zeros(N_LATENTS), torch.ones(N_LATENTS)
    decoder = ScaledDecoder(network.decoder, zeros, ones, raised_db=1.2)
    write_networks(decoder, ScaledEncoder(network, zeros, ones), tmp_path)
    files = [(tmp_path / name).read_bytes() for name in ONNX_FILES]
    wrong = check_trial(*files, n_latents=N_LATENTS, n_bands=AXIS.n_bands)
    assert not wrong


def test_an_exported_model_keeps_the_detail_of_other_songs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = 0.885
    monkeypatch.setattr(exporting, "wanted_share", lambda *_: share)
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
    high = export(
        network, train, tmp_path / "b", rng, name="b", about={}, held_out=other
    )
    data = other.astype(np.float32)
    of_data = detail_db(data)
    kept = [detail_db(m.decode(m.encode(data)[0])) / of_data for m in (plain, high)]
    assert kept[0] < share
    assert kept[1] == pytest.approx(share, abs=0.03)
    assert high.decode(np.zeros((1, N_LATENTS), np.float32)).shape[1] == AXIS.n_bands
