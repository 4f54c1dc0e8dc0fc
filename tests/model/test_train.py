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
from model.guard import StandingPeak, standing_peak
from model.inference import TimbreModel
from model.training import comparison, dataset
from model.training import fit as loop
from model.training.checkpoint import read_checkpoint
from model.training.comparison import Comparison
from model.training.dataset import Augmentation, augment, split
from model.training.device import check_device
from model.training.evaluate import rmse_db
from model.training.fit import EpochReport, fit
from model.training.losses import LossWeights, detail, kl_divergence
from model.training.train import train
from model.training.vae import build
from tests.support.timbres import (
    TINY,
    harmonic_split,
    harmonic_timbres,
    quick_measures,
    tiny_model,
    tiny_settings,
)


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
    weights = build(settings.vae).state_dict()
    _, history = fit(harmonic_split(200), tmp_path / "a", settings, weights=weights)
    assert len(history) == 4
    # From random weights half of the epochs pass before the whole loss is in force.
    _, history = fit(harmonic_split(200), tmp_path / "b", settings)
    assert 25 < len(history) < 30


def test_corpus_to_model_folder_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_measures(monkeypatch)
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
    assert told[:2] == ["training from random weights", "export"]
    assert len(result.history) == 3
    model = TimbreModel.load(tmp_path / "mine")
    assert model.name == "mine"
    assert model.metadata["figures"]["rmse_db"] == result.figures["rmse_db"]
    card = (tmp_path / "mine" / "CARD.md").read_text()
    assert "CC0" in card
    assert "240 of 80 songs" in card
    again = train(tmp_path / "corpus", tmp_path / "mine", tiny_settings(epochs=3))
    assert again.figures == result.figures
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
    how = Augmentation(semitones=5, gain_db=0.0, tilt_db=0.0, mixed=0.0)
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


def test_mixed_clips_hold_the_partials_of_both() -> None:
    """Of 200 clips with one peak each, half have two, and no power is added."""
    timbre = torch.zeros(200, AXIS.n_bands)
    timbre[torch.arange(200), 200 + 4 * torch.arange(200)] = 0.9
    how = Augmentation(semitones=0, gain_db=0.0, tilt_db=0.0, mixed=0.5)
    mixed = augment(timbre, torch.Generator().manual_seed(0), how)
    peaks = (mixed > 0.7).sum(dim=1)
    assert torch.all(peaks[100:] == 1)
    assert int((peaks[:100] == 2).sum()) >= 98  # but for clips mixed with themselves
    power = 10.0 ** (AXIS.range_db / 10.0 * (mixed - 0.9))
    assert torch.allclose(power.sum(dim=1), torch.ones(200), atol=1e-3)


def test_detail_is_what_stands_out() -> None:
    flat = torch.full((1, AXIS.n_bands), 0.5)
    assert float(detail(flat).abs().max()) < 1e-6
    flat[0, 500] = 0.9
    assert int(detail(flat).argmax()) == 500


def test_kl_is_zero_for_the_prior_and_grows_from_it() -> None:
    zero = torch.zeros(3)
    assert torch.all(kl_divergence(zero, zero) == 0.0)
    assert torch.allclose(kl_divergence(zero + 2.0, zero), torch.tensor(2.0))


def test_the_start_is_what_is_returned_when_no_epoch_is_better(tmp_path: Path) -> None:
    settings = dataclasses.replace(tiny_settings(epochs=2), learning_rate=0.3)
    torch.manual_seed(3)
    weights = build(settings.vae).state_dict()
    corpus = harmonic_split(200)
    good, _ = fit(corpus, tmp_path / "a", tiny_settings(epochs=30))
    started = {name: value.clone() for name, value in good.state_dict().items()}
    kept, history = fit(corpus, tmp_path / "b", settings, weights=started)
    assert not any(row["is_best"] for row in history)
    for name, value in kept.state_dict().items():
        assert torch.equal(value, started[name])
    assert not torch.equal(next(iter(weights.values())), next(iter(started.values())))


def test_a_short_training_has_no_standing_peak(tmp_path: Path) -> None:
    """While spectra are blurred, loudness must not raise one band in all of them."""
    corpus = harmonic_split(300)
    vae = dataclasses.replace(TINY, width=64, hidden=64)
    for epochs in (8, 16):
        settings = dataclasses.replace(
            tiny_settings(epochs=epochs), vae=vae, min_epoch=1024
        )
        network, _ = fit(corpus, tmp_path / str(epochs), settings)
        clips = torch.from_numpy(corpus.train).float()
        with torch.no_grad():
            decoded = network.decode(network.encode(clips)[0]).clamp(0.0, 1.0)
        found = standing_peak(decoded.numpy(), corpus.train)
        assert found.excess_db < 3.0, (epochs, found)


def test_a_standing_peak_is_found_where_it_is() -> None:
    clips = harmonic_timbres(200, np.random.default_rng(0)).astype(np.float32)
    assert abs(standing_peak(clips, clips).excess_db) < 0.1
    sounds = clips.copy()
    sounds[:, 500] += 0.2
    found = standing_peak(sounds, clips)
    assert found.hz == pytest.approx(AXIS.centres[500])
    assert found.excess_db == pytest.approx(20.0, abs=1.0)
    clips[:, 700] -= 0.2  # a dip that the model fills is no peak
    assert standing_peak(sounds, clips).hz == pytest.approx(AXIS.centres[500])


def test_a_model_with_a_standing_peak_is_refused_and_the_old_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus_of(tmp_path / "corpus")
    before = tiny_model(tmp_path / "mine").hash
    whistling = StandingPeak(33.9, 36.2, 2.3, 351.0)
    monkeypatch.setattr(comparison, "standing_peak", lambda sounds, clips: whistling)
    with pytest.raises(RunError, match=r"tone at 351 Hz.*nothing was written") as told:
        train(tmp_path / "corpus", tmp_path / "mine", tiny_settings())
    assert "\n" not in str(told.value)
    assert TimbreModel.load(tmp_path / "mine").hash == before


def compared(
    own: float, pca: float, bundled: float, n_clips: int = 100, needed: int = 0
) -> Comparison:
    return Comparison(own, pca, bundled, 0.9, n_clips, n_clips // 3, needed)


def test_the_first_line_says_plainly_whether_it_is_better() -> None:
    better = compared(4.0, 4.5, 5.0)
    assert better.is_better
    assert better.line().startswith("better than the bundled model: 4.00 dB, bundled")
    assert "needed" not in better.line()
    worse = compared(6.7, 6.0, 5.3, needed=240)
    assert not worse.is_better
    assert worse.line().startswith("no better than the bundled model: 6.70 dB")
    assert worse.line().endswith("more songs are needed: about 240")
    assert "no better than PCA" in compared(4.6, 4.5, 5.0, needed=500).line()
    assert "too few to rely on" in compared(4.0, 4.5, 5.0, n_clips=4).line()


def test_songs_needed_follow_from_how_the_error_falls() -> None:
    curve = [8.0, 4.0 * 2**0.5, 4.0]  # with the root of the number of songs
    assert comparison._songs_for(0.5, curve, 30) in (120, 130)
    assert comparison._songs_for(0.9, [4.0, 4.0, 4.0], 30) == 0
    assert comparison._songs_for(0.01, curve, 1_000) == 0


def corpus_of(folder: Path, n: int = 240) -> None:
    timbres = harmonic_timbres(n, np.random.default_rng(0)).astype(np.float32)
    rows = [
        {"group": f"song {i // 3}", "source": "own", "licence": "MIT"} for i in range(n)
    ]
    Corpus.create(folder).append(timbres, rows)


def test_the_report_compares_with_pca_and_with_the_bundled_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_measures(monkeypatch)
    corpus_of(tmp_path / "corpus")
    made = train(tmp_path / "corpus", tmp_path / "mine", tiny_settings())
    found = made.comparison
    assert not found.is_better  # two epochs of a tiny network
    test = dataset.load(tmp_path / "corpus")[0].test.astype(np.float32)
    bundled = TimbreModel.load()
    error_db = rmse_db(bundled.decode(bundled.encode(test)[0]), test)
    assert found.rmse_bundled_db == pytest.approx(error_db)
    assert found.rmse_pca_db == pytest.approx(made.figures["rmse_pca_db"], rel=1e-3)
    card = (tmp_path / "mine" / "CARD.md").read_text()
    first = card[card.index("## Figures") :].splitlines()[2]
    assert first == found.line()[0].upper() + found.line()[1:] + "."


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_device_that_is_not_there_is_one_line() -> None:
    check_device("cpu")
    with pytest.raises(InputError, match="no CUDA device here"):
        check_device("cuda")
