"""The demo corpus's instruments: in tune, each like itself, and what they play."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import fft

from effects.audio.levels import Samples, rms_db
from effects.base.streams import Purpose, stream
from model.config import SAMPLE_RATE
from model.corpus.demo import partials, soundfont
from model.corpus.demo.electronic import ladder_response
from model.corpus.demo.harmony import CHORDS, draw_chord, draw_line
from model.corpus.demo.instruments import FAMILIES, N_INSTRUMENTS, instrument
from model.corpus.demo.recipe import (
    BASS,
    _parts,
    _power,
    _unit,
    draw_patch,
)
from model.spectrum import CLIP_LENGTH, analyse

SEED = 3


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


@pytest.mark.parametrize(
    "family",
    [
        *("harmonic", "pad", "choir", "bowed", "flute"),
        *("supersaw", "drone", "ensemble", "vowel", "padsynth"),
    ],
)
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


def test_a_ladder_falls_by_24_db_an_octave_and_rings_at_its_corner() -> None:
    octaves = 1_000.0 * 2.0 ** np.arange(-4.0, 5.0)
    plain = 20.0 * np.log10(ladder_response(octaves, 1_000.0, 0.0))
    np.testing.assert_allclose(plain[[0, 4]], [-0.07, -12.04], atol=0.01)
    np.testing.assert_allclose(np.diff(plain)[-1], -24.0, atol=0.2)
    ringing = 20.0 * np.log10(ladder_response(octaves, 1_000.0, 3.5))
    assert ringing.argmax() == 4
    assert ringing[4] > 15.0


def test_a_sound_of_operators_is_brighter_the_lower_it_is_played() -> None:
    shares = []
    for note in (55.0, 220.0, 880.0):
        sound = [instrument("fm", n)(note) for n in range(N_INSTRUMENTS)]
        order = [np.average(s.hertz / note, weights=s.amplitude**2) for s in sound]
        shares.append(np.mean(order))
    assert shares[0] > shares[1] > shares[2]


def test_a_bass_plays_the_root_far_down() -> None:
    found = 0
    for group in range(60):
        rng = stream(Purpose.DEMO_PATCH, SEED, group)
        drawn = draw_patch(rng, False)
        _, chord = draw_chord(rng, drawn.register)
        for layer, notes, _ in _parts(drawn, chord, rng):
            if layer.part != BASS:
                continue
            found += 1
            octaves = np.log2(chord[0] / notes.mean())
            assert abs(octaves - round(octaves)) < 0.01  # two copies may lie apart
            assert 35.0 < notes.mean() < max(165.0, chord[0] + 1.0)
    assert found > 15


def test_a_line_is_notes_one_after_another() -> None:
    chord = np.array([220.0, 330.0, 440.0])
    for seed in range(10):
        notes = list(draw_line(np.random.default_rng(seed), chord))
        assert 2 <= len(notes) <= 4
        peaks = [int(course.argmax()) for _, course in notes]
        assert peaks == sorted(peaks)
        for hertz, course in notes:
            assert hertz in chord
            assert course.shape == (CLIP_LENGTH,)
            assert float(np.abs(np.diff(course)).max()) < 0.01  # an attack, no click


def test_a_smear_lies_where_the_tones_lie() -> None:
    power = partials.partials_power([instrument("flute", 0)(440.0)])
    smear = partials.smeared(power)
    hertz = np.arange(partials.N_BINS) * SAMPLE_RATE / (2 * partials.N_BINS - 2)
    assert smear.sum() == pytest.approx(1.0)
    assert smear[(hertz > 330.0) & (hertz < 590.0)].sum() > 0.5
    assert smear[hertz < 220.0].sum() < 1e-6
    assert smear.max() < 0.05 * power.max()


def test_few_clips_are_mostly_noise() -> None:
    patches = [draw_patch(stream(Purpose.DEMO_PATCH, 1, k), True) for k in range(300)]
    air_db = np.array([patch.air_db for patch in patches])
    assert np.mean(air_db > -10.0) < 0.2
    assert air_db.max() < 0.0
    noise = [
        all(layer.source in ("wind", "brushed") for layer in patch.layers)
        for patch in patches
    ]
    assert np.mean(noise) < 0.05


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
