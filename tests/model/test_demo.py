"""The demo corpus: the same again however it is made, and what it is said to be."""

import json
import os
import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from effects.audio.levels import Samples, peak_db, rms_db
from effects.base.errors import InputError, RunError
from effects.base.streams import Purpose, stream
from model.config import AXIS
from model.corpus.corpus import MANIFEST, TIMBRES, Corpus
from model.corpus.demo import make_demo_corpus, render_clip, soundfont
from model.corpus.demo.harmony import CHORDS
from model.corpus.demo.instruments import FAMILIES
from model.corpus.demo.recipe import (
    CLIPS_PER_PATCH,
    Row,
    draw_patch,
    render_patch,
)
from model.spectrum import CLIP_LENGTH, analyse
from model.training.dataset import split

SEED = 3
GROUPS = range(4)


@lru_cache
def patch(group: int) -> list[tuple[Samples, Row]]:
    return render_patch(SEED, group, None)


def make(folder: Path, n_clips: int, seed: int = SEED, workers: int = 1) -> Corpus:
    return make_demo_corpus(folder, n_clips, seed, workers, font=None)


def contents(folder: Path) -> tuple[bytes, bytes]:
    return (folder / MANIFEST).read_bytes(), (folder / TIMBRES).read_bytes()


def test_a_patch_is_the_same_whenever_it_is_rendered() -> None:
    for (first, row), (second, again) in zip(
        patch(1), render_patch(SEED, 1, None), strict=True
    ):
        np.testing.assert_array_equal(first, second)
        assert row == again


def test_seeds_patches_and_clips_differ() -> None:
    clips = [audio for group in GROUPS for audio, _ in patch(group)]
    clips += [audio for audio, _ in render_patch(SEED + 1, 0, None)]
    heard = np.stack([analyse(audio) for audio in clips[::5]])
    apart = np.abs(heard[:, None] - heard[None]).mean(axis=2)
    apart[np.diag_indices(len(heard))] = 1.0
    assert apart.min() > 0.01  # 1 dB in every band


def test_levels_are_those_of_music_and_nothing_clips() -> None:
    levels = []
    for group in GROUPS:
        for audio, _ in patch(group):
            assert audio.shape == (CLIP_LENGTH, 2)
            assert audio.dtype == np.float32
            assert np.isfinite(audio).all()
            assert peak_db(audio) < -0.05
            levels.append(rms_db(audio))
    assert min(levels) > -45.0
    assert max(levels) < -9.0
    assert np.std(levels) > 1.0


def test_clips_hold_no_silence_and_no_offset() -> None:
    for group in GROUPS:
        for audio, _ in patch(group):
            parts = audio[: CLIP_LENGTH // 8 * 8].reshape(8, -1, 2)
            assert min(rms_db(part) for part in parts) > rms_db(audio) - 15.0
            assert abs(float(audio.mean())) < 0.02 * float(np.abs(audio).max())


def test_rows_say_what_is_needed_to_credit_and_split() -> None:
    for group in GROUPS:
        for position, (_, row) in enumerate(patch(group)):
            assert row["number"] == group * CLIPS_PER_PATCH + position
            assert row["group"] == f"patch-{group:05d}"
            assert row["licence"] == "CC0-1.0 (generated)"
            assert set(row["source"].split("+")) <= set(FAMILIES)
            params = row["params"]
            played = "+".join(layer[0] for layer in params["layers"])
            assert played == row["source"]
            assert {"tilt_db", "room", "reverb_db", "air_db"} <= set(params)
            assert row["params"]["chord"] in CHORDS
            assert 20.0 < row["params"]["root_hz"] < 1000.0
            assert row == json.loads(json.dumps(row))


def test_made_at_once_or_by_two_processes_or_after_kills_it_is_the_same(
    tmp_path: Path,
) -> None:
    n_clips = CLIPS_PER_PATCH + 7
    make(tmp_path / "once", n_clips)
    make(tmp_path / "two", n_clips, workers=2)
    killed = tmp_path / "killed"
    shutil.copytree(tmp_path / "once", killed)
    for left in (CLIPS_PER_PATCH + 3, 5):  # within the second patch, and the first
        os.truncate(killed / TIMBRES, left * 2 * AXIS.n_bands + 1)
        os.truncate(killed / MANIFEST, (killed / MANIFEST).stat().st_size - 9)
        assert len(Corpus.open(killed)) == left
        assert len(make(killed, n_clips)) == n_clips
    assert contents(tmp_path / "once") == contents(tmp_path / "two")
    assert contents(tmp_path / "once") == contents(killed)


def test_three_clips_make_a_corpus_which_is_what_was_rendered(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    make_demo_corpus(
        tmp_path, 3, SEED, 1, progress=lambda *done: told.append(done), font=None
    )
    corpus = Corpus.open(tmp_path)
    expected = np.stack([analyse(audio) for audio, _ in patch(0)[:3]])
    np.testing.assert_allclose(corpus.timbres(), expected, atol=5e-4)
    assert told[-1] == (3, 3)
    make(tmp_path, 3)
    assert len(Corpus.open(tmp_path)) == 3


def test_another_corpus_is_not_mixed_in(tmp_path: Path) -> None:
    make(tmp_path, 2)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="another corpus"):
        make(tmp_path, 4, seed=SEED + 1)
    assert contents(tmp_path) == before


def test_a_corpus_without_the_font_is_not_gone_on_with_it(tmp_path: Path) -> None:
    make(tmp_path, 2)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="sound font"):
        make_demo_corpus(tmp_path, 4, SEED, 1)
    assert contents(tmp_path) == before


def test_any_clip_can_be_heard_again() -> None:
    audio, row = render_clip(SEED, CLIPS_PER_PATCH + 3, None)
    expected, expected_row = patch(1)[3]
    np.testing.assert_array_equal(audio, expected)
    assert row == expected_row


def test_groups_never_fall_on_both_sides_of_a_split() -> None:
    groups = np.repeat([f"patch-{k:05d}" for k in range(300)], 2)
    numbers = np.repeat(np.arange(300) / 300.0, 2)
    marked = np.repeat(numbers[:, None], AXIS.n_bands, axis=1).astype(np.float16)
    divided = split(marked, groups)
    parts = [divided.train, divided.validation, divided.test]
    held = [set(part[:, 0].tolist()) for part in parts]
    assert sum(map(len, parts)) == len(groups)
    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]
    assert len(held[0]) > 200
    assert min(map(len, held)) > 10


def test_a_missing_font_is_said_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="apt install fluidsynth fluid-soundfont-gm"):
        make_demo_corpus(tmp_path / "corpus", 3, font=tmp_path / "no.sf2")
    assert not (tmp_path / "corpus").exists()


def test_patches_of_the_font_are_the_same_again_and_say_its_licence() -> None:
    group = next(
        g for g in range(50) if "gm-" in render_names(g) and "+" not in render_names(g)
    )
    first = render_patch(SEED, group, soundfont.FONT)
    second = render_patch(SEED, group, soundfont.FONT)
    for (audio, row), (again, _) in zip(first, second, strict=True):
        np.testing.assert_array_equal(audio, again)
        assert row["licence"] == "MIT (FluidR3 GM, Frank Wen)"


def render_names(group: int) -> str:
    """Sources of a patch, drawn but not rendered."""
    drawn = draw_patch(stream(Purpose.DEMO_PATCH, SEED, group), True)
    return "+".join(layer.name for layer in drawn.layers)
