"""Chord plans: what is tonal stands on its degree, and nothing else is touched."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from effects.audio.levels import Samples
from engine.compose import grammar as grammars
from engine.compose.chords import chord_name, degrees, move
from engine.compose.composer import compose
from engine.compose.path import SYMBOLS
from engine.compose.tuning import (
    SURE,
    Tuning,
    dissolved,
    find_pitch,
    transpositions,
)
from engine.control.controls import CONTROLS, Snapshot, snapshot_of
from engine.control.harmony import CHORDS, SCALES
from engine.sound.decoding import RUMBLE_HZ
from engine.sound.music import Music
from model.config import AXIS, SAMPLE_RATE
from model.inference import TimbreModel
from model.spectrum import CLIP_LENGTH, analyse, surroundings

plans = st.sampled_from(sorted(CHORDS))
scales = st.sampled_from(sorted(SCALES))


@pytest.fixture(scope="module")
def model() -> TimbreModel:
    return TimbreModel.load(None)


def tonal(**values: object) -> Snapshot:
    """Controls under which the sounds are tonal and stand still."""
    tones = {"rank/tonalness": 1.0, "rank/dissonance": -1.0, "tuning/strength": 1.0}
    still = {"wiggle/amount": 0.0, "motion/depth": 0.0, "foreground/density": 0.0}
    return snapshot_of({**tones, **still, **values})


def section(model: TimbreModel, symbol: str, seed: int, snapshot: Snapshot) -> Samples:
    """Two seconds of mono from a song that stays on one of its sounds."""
    grammar = grammars.parse(f"S => {3 * symbol}")
    music = Music(model, grammar, snapshot, seed=seed, sample_rate=SAMPLE_RATE)
    slabs: list[Samples] = []
    begin = 4 * SAMPLE_RATE  # the stream fades in before
    while sum(map(len, slabs)) < begin + CLIP_LENGTH:
        slab = music.next()
        assert slab is not None
        slabs.append(slab)
    layers = np.concatenate(slabs)[begin : begin + CLIP_LENGTH]
    return layers[:, 0]


def cents_apart(
    first: float | NDArray[np.float64], second: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance of pitch classes, in whatever octave."""
    return np.abs((np.subtract(first, second) + 600.0) % 1200.0 - 600.0)


def test_the_control_and_the_plans_agree() -> None:
    assert ("off", *CHORDS) == CONTROLS["tuning/chords"].choices
    assert all(len(plan) == len(SYMBOLS) for plan in CHORDS.values())
    assert all(plan[0] == 1 for plan in CHORDS.values()), "A is at home"


@given(plan=plans, scale=scales)
def test_degrees_are_notes_of_any_scale(plan: str, scale: str) -> None:
    notes = degrees(plan, SCALES[scale])
    assert set(notes.tolist()) <= set(SCALES[scale])
    assert notes[0] == 0.0


def test_degrees_follow_the_mode_and_its_tuning() -> None:
    assert degrees("thirds", SCALES["minor"]).tolist() == [0, 300, 700, 800, 300]
    just = degrees("open", SCALES["just"])
    assert just[1] == pytest.approx(1200.0 * np.log2(3 / 2), abs=0.01)
    assert just[3] == pytest.approx(1200.0 * np.log2(4 / 3), abs=0.01)
    assert degrees("plagal", SCALES["chromatic"]).tolist() == [0, 500, 0, 900, 500]


@given(
    scale=scales,
    tonic=st.integers(0, 11),
    start=st.integers(0, 11),
    goal=st.integers(0, 11),
    strength=st.floats(0.0, 1.0, allow_subnormal=False),
)
def test_a_move_is_small_and_ends_on_a_note(
    scale: str, tonic: int, start: int, goal: int, strength: float
) -> None:
    notes = np.array(SCALES[scale]) + 100.0 * tonic
    home, away = (float(notes[i % len(notes)]) for i in (start, goal))
    cents = move(home, away, strength, notes)
    assert abs(cents) <= 600.0 + 1e-9
    assert np.min(cents_apart(home + cents, notes)) < 1e-6
    assert move(home, away, 0.0, notes) == pytest.approx(0.0)
    assert cents_apart(home + move(home, away, 1.0, notes), away) < 1e-6
    assert cents_apart(home + cents, away) <= cents_apart(home, away) + 1e-6


def test_noise_is_left_where_it_is() -> None:
    rng = np.random.default_rng(0)
    clips = 0.1 * rng.standard_normal((5, CLIP_LENGTH)).astype(np.float32)
    sounds = np.stack([AXIS.to_power(analyse(clip)) for clip in clips])
    for plan in CHORDS:
        tuning = Tuning(2, "dorian", 440.0, 1.0, plan)
        found = transpositions(sounds, tuning, AXIS)
        assert not np.any([found.shifts, found.moves, found.tonics])


def test_a_section_sounds_on_its_degree(model: TimbreModel) -> None:
    """In the audio: the partials have moved, all alike, to where the degree is."""
    snapshot = tonal(
        **{"tuning/chords": "thirds", "tuning/key": "G", "tuning/pedal": 0.0}
    )
    apart = tonal(**{"tuning/strength": 0.0})
    goals = degrees("thirds", SCALES["dorian"]) + 700.0
    heard = 0
    for seed in range(3):
        for i, symbol in enumerate(SYMBOLS):
            grammar = grammars.parse(f"S => {3 * symbol}")
            song = compose(model, grammar, snapshot, seed=seed, index=0, duration=300.0)
            before = analyse(section(model, symbol, seed, apart))
            root = find_pitch(AXIS.to_power(before), AXIS)
            power = model.axis.to_power(model.decode(song.points[i][None])[0])
            point = find_pitch(power, AXIS)
            if min(root.confidence, point.confidence) < SURE:
                continue
            after = analyse(section(model, symbol, seed, snapshot))
            expected = song.transpositions.shifts[i] + song.transpositions.moves[i]
            assert _shift_between(before, after) == pytest.approx(expected, abs=1.0)
            gone = point.root_cents + expected * 1200.0 / AXIS.bands_per_octave
            assert cents_apart(gone, goals[i]) < 10.0
            # Of a bare fifth, either tone may be taken for the root of the audio.
            fifths = point.root_cents + np.array([0.0, 500.0, 700.0])
            assert np.min(cents_apart(root.root_cents, fifths)) < 15.0
            heard += 1
    assert heard >= 4, "hardly a sound was tonal"


def _shift_between(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Bands by which what stands out of a spectrum has moved, by the best match.

    What does not stand out holds the balance, and noise below 140 Hz is made of
    partials of a fixed grid: both stay where they are.
    """
    first, then = (
        np.maximum(x - surroundings(x), 0.0)
        for x in (before.astype(np.float64), after.astype(np.float64))
    )
    tries = np.arange(-70, 71)
    inner = slice(int(np.searchsorted(AXIS.centres, 2.0 * RUMBLE_HZ)), -100)
    matches = [np.corrcoef(np.roll(first, t)[inner], then[inner])[0, 1] for t in tries]
    return float(tries[int(np.argmax(matches))])


def test_off_is_as_if_there_were_no_chords(model: TimbreModel) -> None:
    grammar = grammars.load("seed")
    for values in ({"tuning/chords": "off"}, {"tuning/strength": 0.0}):
        song = compose(model, grammar, tonal(**values), seed=1, index=0, duration=300.0)
        assert not np.any([song.transpositions.moves, song.transpositions.tonics])
    power = model.axis.to_power(model.decode(song.points))
    tuned = compose(
        model,
        grammar,
        tonal(**{"tuning/chords": "falling"}),
        seed=1,
        index=0,
        duration=300.0,
    )
    alone = transpositions(power, Tuning(2, "dorian", 440.0, 1.0), model.axis)
    np.testing.assert_array_equal(tuned.transpositions.shifts, alone.shifts)


def test_between_two_chords_there_is_some_of_each() -> None:
    power = np.full(AXIS.n_bands, 1e-12)
    power[600] = 1.0
    mixed = dissolved(power, np.array([-20.0, 30.0]), np.array([0.25, 0.75]))
    assert np.flatnonzero(mixed > 0.01).tolist() == [580, 630]
    np.testing.assert_allclose(mixed[[580, 630]], [0.25, 0.75])
    assert mixed.sum() == pytest.approx(power.sum(), rel=1e-6)


def test_a_pedal_keeps_a_share_of_each_chord_on_the_tonic(model: TimbreModel) -> None:
    grammar = grammars.load("seed")
    snapshot = tonal(**{"tuning/chords": "open", "tuning/pedal": 0.3})
    song = compose(model, grammar, snapshot, seed=1, index=0, duration=300.0)
    moved = 0
    for i, symbol in enumerate(SYMBOLS):
        moves, shares = song.chords(np.eye(len(SYMBOLS))[i])
        assert shares.sum() == pytest.approx(1.0)
        power = np.full(AXIS.n_bands, 1e-12)
        power[600] = 1.0
        mixed = dissolved(power, moves, shares)
        places = song.transpositions.moves[i], song.transpositions.tonics[i]
        for place, share in zip(places, (0.7, 0.3), strict=True):
            if places[0] != places[1]:
                near = slice(round(600 + place) - 2, round(600 + place) + 3)
                assert mixed[near].sum() == pytest.approx(share, abs=0.01), symbol
                moved += 1
    assert song.transpositions.moves[0] == song.transpositions.tonics[0], "A is home"
    assert moved >= 4, "hardly a sound was tonal"


def test_chords_leave_the_level_of_the_music(model: TimbreModel) -> None:
    levels = []
    for plan in ("off", "fifths"):
        snapshot = tonal(**{"tuning/chords": plan})
        sound = section(model, "D", 2, snapshot)
        levels.append(10.0 * np.log10(np.mean(sound**2)))
    assert levels[0] == pytest.approx(levels[1], abs=1.5)


@pytest.mark.parametrize(
    ("values", "symbol", "named"),
    [
        ({"tuning/chords": "open"}, "A", (1, "D")),
        ({"tuning/chords": "open"}, "B", (5, "A")),
        ({"tuning/chords": "falling", "tuning/key": "B"}, "B", (7, "A")),
        ({"tuning/chords": "off"}, "B", (0, "")),
        ({"tuning/chords": "open", "tuning/strength": 0.0}, "B", (0, "")),
    ],
)
def test_a_chord_has_a_degree_and_a_root(
    values: dict[str, object], symbol: str, named: tuple[int, str]
) -> None:
    given = {"tuning/key": "D", "tuning/scale": "dorian", **values}
    assert chord_name(snapshot_of(given), symbol) == named
