"""Titles of songs: a function of the song, and none twice in a day of a radio."""

import re

import pytest

from engine.compose.titles import song_title, unused_title
from engine.control.harmony import SCALES
from tests.support.titles import first_titles

DAY = 24 * 60 // 5  # songs of a day


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_no_title_comes_twice_in_five_days_whatever_the_songs_are_like(
    seed: int,
) -> None:
    scales = tuple(SCALES)
    titles = [
        song_title(seed, i, "dark", scales[i % len(scales)], 2.0 + i % 17 / 4.0)
        for i in range(5 * DAY)
    ]
    assert len(set(titles)) == len(titles)
    assert all(re.fullmatch(r"[A-Z][a-z]+ [A-Z][a-z]+", title) for title in titles)
    assert all(len(title) < 24 for title in titles)


def test_a_title_follows_from_the_song_alone_and_differs_between_streams() -> None:
    first = song_title(7, 3, "dark", "minor", 3.0)
    assert first == song_title(7, 3, "dark", "minor", 3.0)
    others = {
        song_title(8, 3, "dark", "minor", 3.0),
        song_title(7, 4, "dark", "minor", 3.0),
        song_title(7, 3, "glass", "minor", 3.0),
        song_title(7, 3, "dark", "major", 3.0),
        song_title(7, 3, "dark", "minor", 6.0),
    }
    assert first not in others
    assert len(others) == 5


def test_a_title_that_is_taken_gives_way_to_another() -> None:
    args = (7, "dark", "minor", 3.0)
    taken = [unused_title((), *args)]
    while len(taken) < 50:
        taken.append(unused_title([title.upper() for title in taken], *args))
    assert len(set(taken)) == 50


def test_a_dark_song_and_a_bright_one_are_named_from_different_words() -> None:
    dark, bright = first_titles(5, "dark"), first_titles(5, "bright")
    assert not {t.split()[0] for t in dark} & {t.split()[0] for t in bright}
    assert dark == first_titles(5, "dark")
