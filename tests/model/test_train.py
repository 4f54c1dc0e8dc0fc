import dataclasses
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from effects.base.errors import InputError, RunError
from model.config import AXIS
from model.corpus.corpus import Corpus
from model.inference import TimbreModel
from model.training import fit as loop
from model.training.dataset import Augmentation, augment, split
from model.training.fit import EpochReport, fit, read_checkpoint
from model.training.losses import LossWeights, detail, kl_divergence
from model.training.train import train
from tests.support.timbres import harmonic_split, harmonic_timbres, tiny_settings


def test_training_lowers_the_error(tmp_path: Path) -> None:
    _, history = fit(harmonic_split(), tmp_path, tiny_settings(epochs=12))
    assert history[-1]["rmse_db"] < 0.7 * history[0]["rmse_db"]


def test_same_seed_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    corpus = harmonic_split(200)
    first, _ = fit(corpus, tmp_path / "a", tiny_settings(seed=1))
    again, _ = fit(corpus, tmp_path / "b", tiny_settings(seed=1))
    other, _ = fit(corpus, tmp_path / "c", tiny_settings(seed=2))
    for ours, theirs in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


class Killed(BaseException):
    """What a kill looks like from inside."""


def test_resumed_training_equals_uninterrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    corpus = harmonic_split(200)
    settings = tiny_settings(epochs=4)
    whole, whole_history = fit(corpus, tmp_path / "whole", settings)

    def kill(report: EpochReport) -> None:
        if report.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        fit(corpus, tmp_path / "killed", settings, kill)
    seen: list[int] = []
    resumed, history = fit(
        corpus, tmp_path / "killed", settings, lambda report: seen.append(report.epoch)
    )
    assert seen == [3, 4]
    for ours, theirs in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert [r["rmse_db"] for r in history] == [r["rmse_db"] for r in whole_history]


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    corpus = harmonic_split(200)
    first, _ = fit(corpus, tmp_path, tiny_settings())
    again, _ = fit(corpus, tmp_path, tiny_settings(), lambda _: pytest.fail("trained"))
    for ours, theirs in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_training_ends_early_when_nothing_gets_better(tmp_path: Path) -> None:
    settings = dataclasses.replace(
        tiny_settings(epochs=50), learning_rate=0.0, patience=3
    )
    _, history = fit(harmonic_split(200), tmp_path, settings)
    assert len(history) < 10


def test_corpus_to_model_folder_and_again(tmp_path: Path) -> None:
    corpus = Corpus.create(tmp_path / "corpus")
    timbres = harmonic_timbres(240, np.random.default_rng(0)).astype(np.float32)
    rows = [
        {"group": f"song {i // 3}", "source": "own", "licence": "MIT"}
        for i in range(240)
    ]
    corpus.append(timbres, rows)
    told: list[str] = []
    result = train(
        tmp_path / "corpus",
        tmp_path / "mine",
        tiny_settings(epochs=3),
        about={"licence": "CC0"},
        stage=told.append,
    )
    assert told[0] == "export"
    assert len(result["history"]) == 3
    model = TimbreModel.load(tmp_path / "mine")
    assert model.name == "mine"
    assert model.metadata["figures"]["rmse_db"] == result["figures"]["rmse_db"]
    card = (tmp_path / "mine" / "CARD.md").read_text()
    assert "CC0" in card
    assert "240 of 80 songs" in card
    again = train(tmp_path / "corpus", tmp_path / "mine", tiny_settings(epochs=3))
    assert again["figures"] == result["figures"]
    picture = (tmp_path / "mine" / "report.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000


def test_a_folder_without_a_corpus_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no corpus here"):
        train(tmp_path, tmp_path / "out", tiny_settings())
    assert not (tmp_path / "out").exists()


def test_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    corpus = harmonic_split(200)
    fit(corpus, tmp_path, tiny_settings())
    with pytest.raises(InputError, match="other settings"):
        fit(corpus, tmp_path, tiny_settings(epochs=3))


class Malicious:
    """Unpickling this runs a command."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def test_a_malicious_checkpoint_does_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    torch.save({"best_weights": Malicious(marker)}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(Malicious(marker)))
    for name in ("a.pt", "b.pt"):
        with pytest.raises(InputError, match="no readable checkpoint"):
            read_checkpoint(tmp_path / name)
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x89PNG\r\n"])
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / loop.LAST).write_bytes(content)
    with pytest.raises(InputError) as caught:
        fit(harmonic_split(200), tmp_path, tiny_settings())
    assert "\n" not in str(caught.value)


def test_an_unwritable_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        fit(harmonic_split(200), tmp_path / "file" / "m", tiny_settings())


def test_a_loss_of_nan_is_told(tmp_path: Path) -> None:
    settings = dataclasses.replace(
        tiny_settings(), loss=LossWeights(sigma_db=float("nan"))
    )
    with pytest.raises(RunError, match="NaN"):
        fit(harmonic_split(200), tmp_path, settings)


def test_split_keeps_songs_apart_and_stays_when_the_corpus_grows() -> None:
    rng = np.random.default_rng(0)
    timbres = harmonic_timbres(300, rng)
    groups = np.array([f"song {i // 3}" for i in range(300)])
    whole, part = split(timbres, groups), split(timbres[:150], groups[:150])
    assert len(whole.train) + len(whole.validation) + len(whole.test) == 300
    assert set(part.test_groups) <= set(whole.test_groups)
    in_train = (part.test[:, None, ::9] == whole.train[None, :, ::9]).all(axis=2)
    assert not in_train.any()
    counts = np.unique(whole.test_groups, return_counts=True)[1]
    assert (counts == 3).all()


def test_tiny_or_broken_corpora_are_refused_in_one_line() -> None:
    timbres = harmonic_timbres(90, np.random.default_rng(0))
    groups = np.array([f"song {i // 3}" for i in range(90)])
    with pytest.raises(InputError, match="3 clips"):
        split(timbres[:3], groups[:3])
    with pytest.raises(InputError, match="1 songs"):
        split(timbres, np.array(["song"] * 90))
    timbres[7, 100] = np.nan
    with pytest.raises(InputError, match=r"NaN.*number 7"):
        split(timbres, groups)


def test_transposition_is_by_semitones() -> None:
    """A peak moves by whole semitones, in either direction, and keeps its level."""
    timbre = torch.zeros(200, AXIS.n_bands)
    timbre[:, 600] = 0.9
    how = Augmentation(semitones=5, gain_db=0.0, tilt_db=0.0)
    moved = augment(timbre, torch.Generator().manual_seed(0), how)
    assert torch.allclose(moved.max(dim=1).values, torch.tensor(0.9))
    places = moved.argmax(dim=1) - 600
    semitone = AXIS.bands_per_octave / 12.0
    allowed = {round(k * semitone) for k in range(-5, 6)}
    assert set(places.tolist()) == allowed


def test_augmentation_stays_in_range_and_leaves_silence_alone() -> None:
    rng = np.random.default_rng(0)
    timbre = torch.from_numpy(harmonic_timbres(50, rng)).float()
    timbre[:, 900:] = 0.0
    how = Augmentation(semitones=1, gain_db=20.0, tilt_db=3.0)
    changed = augment(timbre, torch.Generator().manual_seed(1), how)
    assert float(changed.min()) >= 0.0
    assert float(changed.max()) <= 1.0
    assert torch.all(changed[:, 911:] == 0.0)


def test_detail_is_what_stands_out() -> None:
    flat = torch.full((1, AXIS.n_bands), 0.5)
    assert float(detail(flat).abs().max()) < 1e-6
    flat[0, 500] = 0.9
    assert int(detail(flat).argmax()) == 500


def test_kl_is_zero_for_the_prior_and_grows_from_it() -> None:
    zero = torch.zeros(3)
    assert torch.all(kl_divergence(zero, zero) == 0.0)
    assert torch.allclose(kl_divergence(zero + 2.0, zero), torch.tensor(2.0))
