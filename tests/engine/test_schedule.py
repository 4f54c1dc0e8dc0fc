"""The song schedule: which song sounds when, and that a stream ends with its last."""

import numpy as np
import pytest

from engine.compose import grammar as grammars
from engine.compose.schedule import SongSchedule, mix_weight
from engine.control.controls import snapshot_of
from model.inference import TimbreModel


@pytest.fixture(scope="module")
def model() -> TimbreModel:
    return TimbreModel.load()


def schedule(
    model: TimbreModel, duration: float | None, minutes: float = 5.0
) -> SongSchedule:
    controls = snapshot_of({"song/minutes": minutes})
    grammar = grammars.load("seed")
    return SongSchedule(model, grammar, controls, seed=3, duration=duration)


def weights_at(songs: SongSchedule, tau: float) -> dict[int, float]:
    """Mix weight of each song that sounds at a time, by index."""
    slots = songs.at(tau)
    return {slot.index: mix_weight(slot, slots, tau) for slot in slots}


@pytest.mark.parametrize(
    ("minutes", "song_minutes"),
    [(0.05, 5.0), (1.0, 5.0), (4.0, 5.0), (12.0, 5.0), (12.0, 1.0), (3.0, 0.5)],
)
def test_a_stream_with_an_end_ends_with_its_last_song(
    model: TimbreModel, minutes: float, song_minutes: float
) -> None:
    duration = 60.0 * minutes
    songs = schedule(model, duration, song_minutes)
    n_songs = max(1, round(minutes / song_minutes))
    ending = max(0.5 * duration / n_songs, duration - 20.0)
    for tau in np.linspace(0.0, duration, 2001):
        weights = weights_at(songs, float(tau))
        assert sum(weights.values()) == pytest.approx(1.0)
        assert max(weights) < n_songs
        if tau >= max(ending, duration - 0.5 * duration / n_songs):
            assert weights == {n_songs - 1: 1.0}
    (last,) = songs.at(duration)
    assert last.is_last
    assert last.end == duration
    song = songs.song(last)
    assert song.path.times[-1] < song.duration == pytest.approx(duration - last.start)


def test_songs_of_a_stream_with_an_end_are_equally_long_and_overlap(
    model: TimbreModel,
) -> None:
    songs = schedule(model, 720.0, 2.0)
    slots = {slot.index: slot for tau in range(720) for slot in songs.at(float(tau))}
    lengths = [slot.duration for slot in slots.values()]
    assert len(slots) == 6
    assert np.ptp(lengths) < 1e-6
    shared = [tau for tau in range(720) if len(songs_at(model, tau)) == 2]
    assert len(shared) == pytest.approx(5 * 16, abs=5)


def songs_at(model: TimbreModel, tau: int) -> dict[int, float]:
    return weights_at(schedule(model, 720.0, 2.0), float(tau))


def test_a_radio_always_goes_on(model: TimbreModel) -> None:
    songs = schedule(model, None, 1.0)
    seen: set[int] = set()
    for tau in np.arange(0.0, 1200.0, 1.0):
        weights = weights_at(songs, float(tau))
        assert sum(weights.values()) == pytest.approx(1.0)
        seen |= weights.keys()
    assert seen == set(range(max(seen) + 1))
    assert len(seen) >= 15


def test_a_song_cut_short_leaves_its_time_to_the_others(model: TimbreModel) -> None:
    songs = schedule(model, 720.0, 4.0)  # three songs
    songs.at(30.0)
    songs.cut_short(30.0)
    assert set(weights_at(songs, 32.0)) == {0, 1}
    (second,) = songs.at(40.0)
    assert second.index == 1
    total = 0.0
    for tau in np.linspace(40.0, 720.0, 1001):
        weights = weights_at(songs, float(tau))
        total = sum(weights.values())
        assert total == pytest.approx(1.0)
    (last,) = songs.at(719.0)
    assert last.is_last
    assert last.end == pytest.approx(720.0)


def test_asked_to_go_on_in_the_last_moment_the_stream_still_ends(
    model: TimbreModel,
) -> None:
    songs = schedule(model, 60.0)
    songs.at(58.0)
    songs.cut_short(58.0)
    assert weights_at(songs, 59.0) == {0: 1.0}
    songs.cut_short(30.0)
    assert weights_at(songs, 40.0) == {1: 1.0}
    assert songs.at(59.0)[0].is_last


def test_composing_ahead_changes_nothing_that_is_heard(model: TimbreModel) -> None:
    plain, ahead = schedule(model, 600.0, 2.0), schedule(model, 600.0, 2.0)
    for tau in np.arange(0.0, 600.0, 20.0):
        ahead.compose_ahead()
        slots = plain.at(float(tau))
        assert slots == ahead.at(float(tau))
        for slot in slots:
            one, other = plain.song(slot), ahead.song(slot)
            np.testing.assert_array_equal(one.points, other.points)
            assert one.path.pattern == other.path.pattern


def test_songs_that_have_begun_keep_their_length_whether_they_were_asked_for_or_not(
    model: TimbreModel,
) -> None:
    shorter = snapshot_of({"song/minutes": 1.0})
    asked, not_asked = schedule(model, None), schedule(model, None)
    for tau in np.arange(0.0, 700.0, 7.0):
        asked.at(float(tau))
    for songs in (asked, not_asked):
        songs.recompose(700.0, shorter)
    assert not_asked.at(650.0)[0].duration > 200.0
    for tau in (650.0, 700.0, 760.0, 1_000.0):
        assert asked.at(tau) == not_asked.at(tau), tau
    fresh = schedule(model, None)
    fresh.recompose(0.0, shorter)
    assert fresh.at(0.0)[0].duration > 200.0
