"""The demo corpus: the same again however it is made, and what it is said to be."""

import json
import os
import shutil
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import fft

from effects.audio.levels import Samples, peak_db, rms_db
from effects.base.errors import InputError, RunError
from effects.base.streams import Purpose, stream
from model.config import AXIS, SAMPLE_RATE
from model.corpus.corpus import MANIFEST, TIMBRES, Corpus
from model.corpus.demo import make_demo_corpus, partials, render_clip, soundfont
from model.corpus.demo.harmony import CHORDS, draw_chord
from model.corpus.demo.instruments import FAMILIES, N_INSTRUMENTS, instrument
from model.corpus.demo.recipe import (
    CLIPS_PER_PATCH,
    Row,
    _power,
    _unit,
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


def cents_from(frequency: float, reference: float) -> float:
    return float(1200.0 * np.log2(frequency / reference))


def power_near(audio: Samples, hertz: float, cents: float) -> tuple[float, float]:
    """Mean frequency and power of what lies within some cents of a frequency.

    Power is averaged over the columns of `audio`.
    """
    tapered = np.atleast_2d(audio.T) * np.hanning(len(audio))
    power = np.mean(np.abs(fft.rfft(tapered, 4 * len(audio))) ** 2, axis=0)
    frequencies = fft.rfftfreq(4 * len(audio), 1.0 / SAMPLE_RATE)
    width = 2.0 ** (cents / 1200.0)
    near = (frequencies > hertz / width) & (frequencies < hertz * width)
    total = float(power[near].sum())
    return float((frequencies[near] * power[near]).sum() / total), total


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


def test_chords_are_in_tune_and_in_every_key() -> None:
    rng = np.random.default_rng(5)
    keys = set()
    for _ in range(300):
        name, hertz = draw_chord(rng, 55.0)
        above = 12.0 * np.log2(hertz / hertz[0])
        np.testing.assert_allclose(above, np.round(above), atol=1e-6)
        classes = {int(tone) % 12 for tone in np.round(above)}
        assert classes == {tone % 12 for tone in CHORDS[name]}
        keys.add(round(69.0 + 12.0 * np.log2(hertz[0] / 440.0)) % 12)
    assert len(keys) == 12


@pytest.mark.parametrize("family", ["harmonic", "pad", "choir", "bowed", "flute"])
@pytest.mark.parametrize("note", [82.41, 220.0, 659.26])
def test_partials_lie_on_multiples_of_the_note(family: str, note: float) -> None:
    rng = np.random.default_rng(11)
    sound = instrument(family, 3)(note)
    # A wide partial is a narrow band of noise, whose centre wanders by chance from
    # clip to clip; so the mean of several is measured.
    clips = [partials.render(partials.partials_power([sound]), rng) for _ in range(8)]
    audio = np.concatenate(clips, axis=1)
    for k in (1, 2, 3):
        between = power_near(audio, note * (k + 0.5), 60.0)[1]
        frequency, power = power_near(audio, note * k, 60.0)
        assert power > 30.0 * between, f"{family} {note} Hz, partial {k}"
        assert abs(cents_from(frequency, note * k)) < 12.0, f"{family}, partial {k}"


def test_an_instrument_is_the_same_whenever_it_plays_and_unlike_the_others() -> None:
    for family in FAMILIES:
        drawn = [instrument(family, n)(220.0) for n in range(N_INSTRUMENTS)]
        instrument.cache_clear()
        again = instrument(family, 3)(220.0)
        np.testing.assert_array_equal(again.amplitude, drawn[3].amplitude)
        np.testing.assert_array_equal(again.hertz, drawn[3].hertz)
        rng = np.random.default_rng(8)
        heard = np.stack(
            [
                analyse(
                    0.1 * _unit(partials.render(partials.partials_power([sound]), rng))
                )
                for sound in drawn
            ]
        )
        apart = np.abs(heard[:, None] - heard[None]).mean(axis=2)
        apart[np.diag_indices(len(heard))] = 1.0
        assert apart.min() > 0.001, family  # of all bands, and most are silent


def test_the_same_patch_and_chord_differ_by_little_but_the_chance_of_noise() -> None:
    # What differs here is what no model can learn, however good.
    differences = []
    for group in range(6):
        drawn = draw_patch(stream(Purpose.DEMO_PATCH, SEED, group), False)
        layer = drawn.layers[0]
        chord = np.array([110.0, 165.0, 220.0])
        heard = [
            analyse(
                0.1
                * _unit(partials.render(_power(layer, chord), np.random.default_rng(k)))
            )
            for k in range(2)
        ]
        loud = heard[0] > heard[0].max() - 0.6
        difference = 100.0 * (heard[0] - heard[1])[loud]
        differences.append(float(np.sqrt(np.mean(difference**2))))
    assert np.median(differences) < 2.5


def test_bells_and_glasses_are_not_harmonic() -> None:
    for family in ("bell", "glass"):
        hertz = instrument(family, 2)(300.0).hertz
        ratios = hertz[hertz > 320.0] / 300.0
        assert np.max(np.abs(ratios - np.round(ratios))) > 0.15


@pytest.mark.parametrize("slope_db", [-9.0, -3.0, 0.0])
def test_noise_falls_as_it_is_told(slope_db: float) -> None:
    rng = np.random.default_rng(4)
    audio = partials.render(partials.noise_power(slope_db, np.zeros((0, 3))), rng)
    power = np.abs(fft.rfft(audio[:, 0] * np.hanning(len(audio)))) ** 2
    edges = (500.0 * 2.0 ** np.arange(-1, 5) * CLIP_LENGTH / SAMPLE_RATE).astype(int)
    level_db = [
        10.0 * np.log10(power[low:high].mean()) for low, high in pairwise(edges)
    ]
    np.testing.assert_allclose(np.diff(level_db), slope_db, atol=0.8)


def test_a_missing_font_is_said_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="apt install fluidsynth fluid-soundfont-gm"):
        make_demo_corpus(tmp_path / "corpus", 3, font=tmp_path / "no.sf2")
    assert not (tmp_path / "corpus").exists()


def test_the_font_plays_any_frequency_in_tune() -> None:
    font = soundfont.SoundFont()
    for program, note in ((19, 110.0), (48, 220.0), (73, 440.0), (89, 130.81)):
        heard = []
        for hertz in (note, note * 2.0 ** (40.0 / 1200.0)):
            audio = font.render(program, np.array([hertz]), 90)
            assert audio.shape == (CLIP_LENGTH, 2)
            assert -60.0 < rms_db(audio) < -3.0
            frequency, power = power_near(audio, hertz, 80.0)
            assert abs(cents_from(frequency, hertz)) < 25.0, f"program {program}"
            assert power > 10.0 * power_near(audio, hertz * 1.3, 80.0)[1]
            heard.append(frequency)
        # Samples of the font are some cents off by themselves, in both alike.
        assert abs(cents_from(heard[1], heard[0]) - 40.0) < 8.0, f"program {program}"
    font.close()


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
