"""The balance of the music: nearer to recordings, and a bass within bounds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.sound.balance import (
    BASS_MOST_DB,
    MOST_DB,
    RECORDED_DB,
    RENDERED_DB,
    THIRDS_HZ,
    TREBLE_FROM_HZ,
    TREBLE_MOST_DB,
    balance_db,
    balanced,
    tilt_db,
)
from engine.sound.motion import sweep_db
from model.config import AXIS
from model.inference import TimbreModel

NONE = np.zeros(AXIS.n_bands)


def thirds_db(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of power in each third of an octave as it is heard, dB.

    Five sounds are a song's; the mean is one over songs.
    """
    level = power / power.sum(axis=1, keepdims=True)
    songs = level.reshape(-1, 5, AXIS.n_bands).mean(axis=1)
    edges = np.searchsorted(AXIS.centres, THIRDS_HZ * 2.0 ** (-1 / 6))
    share = 10.0 * np.log10(np.add.reduceat(songs, edges, axis=1) + 1e-6)
    return np.asarray(share.mean(axis=0) + sweep_db(THIRDS_HZ))


def two_tones(low_db: float, high_db: float) -> NDArray[np.float64]:
    """A tone at 110 Hz and one at 1,100 Hz, shape (1, n_bands)."""
    power = np.zeros((1, AXIS.n_bands))
    for hertz, level in ((110.0, low_db), (1_100.0, high_db)):
        power[0, np.searchsorted(AXIS.centres, hertz)] = 10.0 ** (level / 10.0)
    return power


def ratio_db(power: NDArray[np.float64]) -> float:
    """Power under 500 Hz over that above, dB."""
    low = AXIS.centres < 500.0
    return float(10.0 * np.log10(power[0, low].sum() / power[0, ~low].sum()))


def test_sounds_come_nearer_to_recordings() -> None:
    model = TimbreModel.load()
    sounds = AXIS.to_power(model.decode(model.sample(400, np.random.default_rng(3))))
    heard = THIRDS_HZ > 100.0
    before = np.abs(thirds_db(sounds) - RECORDED_DB)[heard].mean()
    rendered = thirds_db(balanced(sounds, balance_db(model))) - RENDERED_DB
    after = np.abs(rendered - RECORDED_DB)[heard].mean()
    assert after < 0.75 * before


def test_gains_keep_to_their_limits_and_never_raise_the_lowest_octave() -> None:
    gain = balance_db(TimbreModel.load())
    assert gain.min() >= MOST_DB[0]
    assert gain.max() <= MOST_DB[1]
    assert gain[AXIS.centres < 33.0].max() <= 0.0, "the lowest octave is never raised"
    assert np.abs(np.diff(gain)).max() < 0.5, "a step would be heard as an edge"


@pytest.mark.parametrize(
    ("low_db", "changed_db"),
    [(-30.0, BASS_MOST_DB[1]), (-1.0, 0.0), (20.0, BASS_MOST_DB[0])],
)
def test_bass_is_raised_where_it_lacks_and_lowered_where_it_is_most(
    low_db: float, changed_db: float
) -> None:
    sound = two_tones(low_db, 0.0)
    change = ratio_db(balanced(sound, NONE)) - ratio_db(sound)
    assert change == pytest.approx(changed_db, abs=0.05)


@pytest.mark.parametrize(
    ("high_db", "changed_db"),
    [(-20.0, 0.0), (-4.0, -5.0), (20.0, TREBLE_MOST_DB)],
)
def test_treble_is_lowered_where_there_is_more_than_in_recordings(
    high_db: float, changed_db: float
) -> None:
    sound = np.full((1, AXIS.n_bands), 1e-12)
    for hertz, level in ((400.0, 0.0), (6000.0, high_db)):
        sound[0, np.searchsorted(AXIS.centres, hertz)] = 10.0 ** (level / 10.0)
    after = balanced(sound, NONE)
    high = AXIS.centres > TREBLE_FROM_HZ
    change = after[0, high].sum() / sound[0, high].sum()
    change *= sound[0, ~high].sum() / after[0, ~high].sum()
    assert 10.0 * np.log10(change) == pytest.approx(changed_db, abs=0.05)


def test_silence_stays_silent() -> None:
    assert not np.any(balanced(np.zeros((2, AXIS.n_bands)), NONE))


def test_a_songs_tilt_turns_about_its_pivot_and_no_farther_than_three_octaves() -> None:
    gain = tilt_db(2.0)
    at = np.searchsorted(AXIS.centres, [40.0, 125.0, 500.0, 1000.0, 4000.0, 16_000.0])
    assert gain[at] == pytest.approx([-4.0, -4.0, 0.0, 2.0, 6.0, 6.0], abs=0.05)
    assert not np.any(tilt_db(0.0))
