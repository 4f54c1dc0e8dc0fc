"""Presets sound as they say, and songs of one like one another: measured on audio."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from engine.compose import preset
from model.inference import TimbreModel
from tests.support.listening import (
    Listening,
    change_db,
    onsets_a_minute,
    side_over_mid_db,
)
from tests.support.songs import audio_features, hear, settings

SECONDS = 16.0
SEEDS = range(11, 21)

Values = NDArray[np.float64]


@lru_cache(maxsize=1)
def heard() -> dict[str, Values]:
    """Measures of each bundled preset's songs: criterion to (presets, seeds)."""
    model = TimbreModel.load()
    songs = [[measures(model, name, seed) for seed in SEEDS] for name in names()]
    return {
        key: np.array([[song[key] for song in row] for row in songs])
        for key in songs[0][0]
    }


def names() -> list[str]:
    return preset.bundled_names()


def measures(model: TimbreModel, name: str, seed: int) -> dict[str, float]:
    song = hear(
        settings(seed, preset.load(name).controls, seconds=SECONDS, preset=name)
    )
    listening = Listening(song.samples)
    return audio_features(song, model) | {
        "width": side_over_mid_db(listening, 200.0, 4000.0),
        "change": change_db(listening, 0.25),
        "onsets": np.sqrt(onsets_a_minute(listening)),
    }


def highest(measure: str, n: int) -> set[str]:
    """The presets of which the songs have the most of something, on average."""
    means = heard()[measure].mean(axis=1)
    return {names()[i] for i in np.argsort(-means)[:n]}


def lowest(measure: str, n: int) -> set[str]:
    means = heard()[measure].mean(axis=1)
    return {names()[i] for i in np.argsort(means)[:n]}


def test_presets_sound_as_they_are_described() -> None:
    assert "glass" in highest("pitch", 2), "thin and high"
    assert {"bright", "airy", "glass"} == highest("brightness", 3)
    assert {"dark", "deep", "meditative"} == lowest("brightness", 3)
    assert highest("width", 1) == {"airy"}, "wide"
    assert "airy" in lowest("tonalness", 2), "breath around a few tones"
    assert "meditative" in highest("tonalness", 2), "clear tones"
    assert lowest("change", 2) == {"deep", "meditative"}, "hardly moving"
    assert {"dark", "deep"} <= highest("dissonance", 3), "heavy and slightly rough"
    assert "drift" in highest("onsets", 3), "restless"
    assert "shoreline" in highest("tonalness", 3), "tonal waves"
    assert {"airy", "deep"} == lowest("onsets", 2), "fewest notes"
    assert {"airy", "deep", "meditative"} == lowest("onsets", 3), "no arpeggio"


def test_a_song_tells_its_preset() -> None:
    """The nearest preset by the other songs' means, in their spreads, is a song's own.

    By chance that would be so for one song in eight, and of two presets for one in two.
    """
    songs = np.stack(list(heard().values()), axis=-1)  # (presets, seeds, measures)
    everything = range(len(songs))
    assert hits(songs, everything).mean() > 0.45
    for pair in combinations(everything, 2):
        told = hits(songs, pair).mean()
        assert told > 0.55, f"{names()[pair[0]]} and {names()[pair[1]]}: {told}"


def hits(songs: Values, presets: Sequence[int]) -> Values:
    """Which songs are nearest to their own preset, of these: (presets, seeds)."""
    chosen = songs[list(presets)]
    n = chosen.shape[1]
    found = np.zeros(chosen.shape[:2])
    for own in range(len(chosen)):
        for left_out in range(n):
            others = np.delete(np.arange(n), left_out)
            means = chosen.mean(axis=1)
            means[own] = chosen[own, others].mean(axis=0)
            spread = chosen[:, others].std(axis=1, ddof=1).mean(axis=0)
            distance = np.linalg.norm((chosen[own, left_out] - means) / spread, axis=1)
            found[own, left_out] = np.argmin(distance) == own
    return found
