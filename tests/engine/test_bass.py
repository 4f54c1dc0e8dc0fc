"""The bass: a second note for one alone, close ones parted, and the octaves below."""

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.sound.bass import (
    add_low_octaves,
    add_second,
    hold_lowest,
    part_close_notes,
)
from model.config import AXIS

SEMITONE = 10  # bands


def tones(*notes: tuple[float, float]) -> NDArray[np.float64]:
    """Band powers of tones, each a frequency and a level in dB, shape (1, n_bands)."""
    power = np.zeros((1, AXIS.n_bands))
    for hertz, level_db in notes:
        band = int(np.argmin(np.abs(AXIS.centres - hertz)))
        power[0, band - 1 : band + 2] += 10.0 ** (level_db / 10.0) * np.array(
            [0.25, 0.5, 0.25]
        )
    return power


def level_at(power: NDArray[np.float64], hertz: float) -> float:
    """Level around a frequency, dB, of what the first row has there."""
    band = int(np.argmin(np.abs(AXIS.centres - hertz)))
    around = power[0, band - SEMITONE // 2 : band + SEMITONE // 2 + 1]
    return float(10.0 * np.log10(around.sum() + 1e-20))


@pytest.mark.parametrize(
    ("hertz", "second"),
    [(150.0, 150.0 * 3.0 / 4.0), (90.0, 90.0 * 1.5), (112.0, 112.0 * 3.0 / 4.0)],
)
def test_a_note_alone_gets_a_second(hertz: float, second: float) -> None:
    bass = tones((hertz, 0.0), (440.0, 6.0))
    before = bass.copy()
    add_second(bass)
    lead = level_at(bass, hertz) - level_at(bass, second)
    assert lead == pytest.approx(2.0, abs=0.2)
    added = bass - before
    assert np.all(added >= 0.0)
    above = AXIS.centres > 170.0
    assert not added[0, above].any(), "the body is as it was"


def test_a_bass_of_two_notes_stays() -> None:
    bass = tones((100.0, 0.0), (150.0, -4.5))
    before = bass.copy()
    add_second(bass)
    np.testing.assert_array_equal(bass, before)


@pytest.mark.parametrize("semitones", [2, 3, 4])
def test_the_stronger_of_close_notes_stands_out(semitones: int) -> None:
    hertz = 80.0 * 2.0 ** (semitones / 12.0)
    bass = tones((80.0, -2.5), (hertz, 0.0), (440.0, 6.0))
    before = bass.copy()
    part_close_notes(bass)
    lead = level_at(bass, hertz) - level_at(bass, 80.0)
    assert 4.0 < lead < 6.0
    assert bass.sum() == pytest.approx(before.sum())
    above = AXIS.centres > 200.0
    np.testing.assert_array_equal(bass[:, above], before[:, above])


def test_notes_of_one_strength_stay_so_and_trade_places_evenly() -> None:
    """Else a swell that lets one overtake the other would be a jump."""
    leads = []
    for level_db in np.linspace(-3.0, 3.0, 13):
        bass = tones((80.0, 0.0), (95.0, level_db))
        part_close_notes(bass)
        leads.append(level_at(bass, 95.0) - level_at(bass, 80.0))
    assert leads[6] == pytest.approx(0.0, abs=0.1)
    assert np.all(np.diff(leads) > 0.3)
    assert np.all(np.diff(leads) < 1.4)


def test_one_note_wide_intervals_and_silence_stay() -> None:
    for sound in (
        tones((90.0, 0.0), (440.0, 6.0)),
        tones((80.0, 0.0), (107.0, -1.0)),
        tones((80.0, 0.0), (120.0, -1.0)),
        tones((80.0, 0.0), (160.0, 0.0)),
        np.zeros((1, AXIS.n_bands)),
    ):
        before = sound.copy()
        part_close_notes(sound)
        np.testing.assert_allclose(sound, before, rtol=1e-6, atol=1e-15)


def test_what_is_no_bass_stays() -> None:
    beside = [tones((hertz, 0.0)) for hertz in (74.0, 77.0, 168.0, 175.0, 440.0)]
    for sound in (*beside, np.zeros((1, AXIS.n_bands))):
        before = sound.copy()
        add_second(sound)
        np.testing.assert_array_equal(sound, before)


def test_the_second_comes_by_and_by() -> None:
    """As one of two notes fades, what is added grows without a jump."""
    added = []
    for level_db in np.linspace(-5.0, -29.0, 241):
        bass = tones((150.0, 0.0), (125.0, level_db))
        before = bass.sum()
        add_second(bass)
        added.append(bass.sum() - before)
    assert added[0] == 0.0
    assert added[-1] == pytest.approx(10.0**-0.2, rel=0.02)
    assert np.max(np.abs(np.diff(added))) < 0.035 * added[-1]


@pytest.mark.parametrize(("low", "high"), [(33.0, 66.0), (66.0, 132.0)])
def test_the_lowest_octaves_are_filled_as_far_as_they_are_empty(
    low: float, high: float
) -> None:
    silent = np.zeros((1, AXIS.n_bands))
    sound = tones((150.0, 0.0), (300.0, 0.0))
    add_low_octaves(silent, sound)
    inside = (AXIS.centres >= low) & (AXIS.centres < high)
    share = sound[0, inside].sum() / sound.sum()
    assert 0.01 < share < 0.03


def test_octaves_that_are_full_stay() -> None:
    silent = np.zeros((1, AXIS.n_bands))
    full = tones((50.0, 0.0), (100.0, 0.0))
    before = full.copy()
    add_low_octaves(silent, full)
    np.testing.assert_array_equal(full, before)
    rumble = tones((50.0, 0.0), (100.0, 0.0))
    sound = tones((150.0, 0.0), (300.0, 0.0))
    before = sound.copy()
    add_low_octaves(rumble, sound)
    np.testing.assert_array_equal(sound, before)


def test_what_is_lowest_has_no_more_than_its_share() -> None:
    noise, tonal = tones((40.0, 0.0), (300.0, -10.0)), tones((45.0, 6.0), (100.0, 0.0))
    above = AXIS.centres > 80.0
    before = (noise + tonal)[0, above].copy()
    hold_lowest(noise, tonal)
    whole = (noise + tonal)[0]
    np.testing.assert_array_equal(whole[above], before)
    assert whole[~above].sum() / whole.sum() == pytest.approx(0.4, abs=0.001)
    assert level_at(tonal, 45.0) - level_at(noise, 40.0) == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize("hertz", [50.0, 65.4, 80.0])
def test_a_low_note_keeps_its_pitch_as_it_is_lowered(hertz: float) -> None:
    tonal = tones((hertz, 0.0), (45.0, 10.0), (440.0, -3.0))
    band = int(np.argmin(np.abs(AXIS.centres - hertz)))
    around = slice(band - 1, band + 2)
    hold_lowest(np.zeros_like(tonal), tonal)
    note = tonal[0, around]
    centre = float(note @ np.arange(-1, 2) / note.sum())
    assert abs(centre) < 0.05  # of a band: half a cent


def test_a_lowest_octave_within_its_share_and_silence_stay() -> None:
    for sound in (
        tones((50.0, -3.0), (100.0, 0.0)),
        tones((440.0, 0.0)),
        np.zeros((1, AXIS.n_bands)),
    ):
        before = sound.copy()
        hold_lowest(np.zeros((1, AXIS.n_bands)), sound)
        np.testing.assert_array_equal(sound, before)


def test_a_sound_of_the_lowest_alone_is_not_silenced() -> None:
    sound = tones((45.0, 0.0))
    hold_lowest(np.zeros((1, AXIS.n_bands)), sound)
    assert level_at(sound, 45.0) == pytest.approx(-10.0, abs=0.1)


@pytest.mark.parametrize(
    ("first", "softer"), [(150.0, 120.0), (150.0, 106.0), (90.0, 127.0)]
)
def test_no_second_is_added_close_to_a_softer_note(first: float, softer: float) -> None:
    bass = tones((first, 0.0), (softer, -8.0), (440.0, 6.0))
    before = bass.copy()
    add_second(bass)
    np.testing.assert_array_equal(bass, before)
    faint = tones((first, 0.0), (softer, -40.0), (440.0, 6.0))
    without = faint.sum()
    add_second(faint)
    assert faint.sum() > without + 0.3
