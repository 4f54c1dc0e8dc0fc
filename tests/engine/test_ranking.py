"""Features of sounds, ranking by them, and picking five."""

from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.compose.criteria import CRITERIA, measure
from engine.compose.distance import coarse_spectra
from engine.compose.picking import pick
from engine.compose.ranking import n_top, quantiles, rank
from engine.control.controls import CONTROLS
from model.config import AXIS
from tests.support.timbres import harmonic_timbres

NO_LATENTS = np.zeros((1, 32), np.float32)


def timbre(
    partials: dict[float, float], floor_db: float = -80.0
) -> NDArray[np.float32]:
    """A timbre with partials (Hz: dB) three bands wide over a flat floor."""
    level = np.full(AXIS.n_bands, floor_db)
    for hertz, db in partials.items():
        band = int(np.argmin(np.abs(AXIS.centres - hertz)))
        level[band - 1 : band + 2] = [db - 6.0, db, db - 6.0]
    return AXIS.from_power(10.0 ** (level / 10.0))


@lru_cache
def harmonic_spectra() -> NDArray[np.float64]:
    """Coarse spectra of 81 sounds, which take a while to make."""
    sounds = harmonic_timbres(81, np.random.default_rng(3)).astype(np.float32)
    return coarse_spectra(AXIS.to_power(sounds), AXIS)


def feature(name: str, sound: NDArray[np.float32]) -> float:
    return float(measure(sound[None], NO_LATENTS, AXIS)[name][0])


def test_every_criterion_has_a_control_and_the_other_way_round() -> None:
    weights = {n.removeprefix("rank/") for n in CONTROLS if n.startswith("rank/")}
    assert weights == set(CRITERIA)


def test_pitch_follows_the_octave() -> None:
    low = timbre({110.0: -20.0, 220.0: -26.0, 330.0: -30.0})
    high = timbre({440.0: -20.0, 880.0: -26.0, 1320.0: -30.0})
    assert feature("pitch", high) - feature("pitch", low) == pytest.approx(2.0, abs=0.3)


def test_volume_is_loudness() -> None:
    loud, soft = timbre({500.0: -20.0}), timbre({500.0: -30.0})
    assert feature("volume", loud) - feature("volume", soft) == pytest.approx(
        10, abs=0.2
    )


def test_weirdness_is_the_distance_from_the_origin() -> None:
    z = np.zeros((2, 32), np.float32)
    z[1, :2] = [3.0, 4.0]
    sounds = np.stack([timbre({500.0: -20.0})] * 2)
    assert measure(sounds, z, AXIS)["weirdness"].tolist() == [0.0, 5.0]


def test_brightness_and_tonalness() -> None:
    dull = timbre({200.0: -20.0})
    shining = timbre({200.0: -20.0, 6000.0: -22.0})
    assert feature("brightness", shining) > feature("brightness", dull) + 0.2
    rng = np.random.default_rng(0)
    noise = AXIS.from_power(10.0 ** ((-40.0 + rng.normal(0, 1, AXIS.n_bands)) / 10.0))
    assert feature("tonalness", dull) > 0.9
    assert feature("tonalness", noise) < 0.05


def test_dissonance_orders_intervals_as_ears_do() -> None:
    def interval(semitones: float) -> float:
        other = 440.0 * 2.0 ** (semitones / 12.0)
        sound = {440.0 * k: -20.0 - 3 * k for k in (1, 2, 3)}
        return feature(
            "dissonance", timbre(sound | {other * k: -21.0 - 3 * k for k in (1, 2, 3)})
        )

    rough = {s: interval(s) for s in (1, 4, 7, 12)}
    assert rough[1] > 2.0 * rough[4]
    assert rough[4] > rough[7] > rough[12]
    assert feature("dissonance", timbre({440.0: -20.0})) < 0.01


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=50))
def test_quantiles_keep_the_order(values: list[float]) -> None:
    array = np.array(values)
    result = quantiles(array)
    assert result.min() >= 0.0
    assert result.max() <= 1.0
    order = np.argsort(array, kind="stable")
    assert np.all(np.diff(result[order]) >= 0)
    np.testing.assert_allclose(result, 1.0 - quantiles(-array), atol=1e-12)


def test_ranking_is_the_weighted_sum() -> None:
    features = {"pitch": np.array([0.0, 1.0, 2.0]), "volume": np.array([5.0, 4.0, 3.0])}
    assert rank(features, {}).tolist() == [0.0, 0.0, 0.0]
    assert np.argmax(rank(features, {"pitch": 1.0})) == 2
    assert np.argmax(rank(features, {"pitch": -1.0})) == 0
    both = rank(features, {"pitch": 0.5, "volume": 1.0, "unknown": 9.0})
    np.testing.assert_allclose(both, [1.0, 0.75, 0.5])


@given(seed=st.integers(0, 100), weight=st.floats(-1.0, 1.0, allow_subnormal=False))
def test_picks_differ_and_lean_to_the_top(seed: int, weight: float) -> None:
    spectra = harmonic_spectra()
    scores = weight * quantiles(np.arange(81.0))
    chosen = pick(scores, spectra, 5, np.random.default_rng(seed))
    assert chosen[0] == 0, "the centre"
    assert len(set(chosen.tolist())) == 5
    again = pick(scores, spectra, 5, np.random.default_rng(seed))
    assert np.array_equal(chosen, again)
    if abs(weight) > 0.9:
        place = np.argsort(np.argsort(-scores))[chosen[1:]]
        assert place.max() <= 40


@pytest.mark.parametrize("n", [1, 2, 7])
def test_picking_never_fails(n: int) -> None:
    alike = np.full((n, 64), -20.0)
    chosen = pick(np.zeros(n), alike, 5, np.random.default_rng(0))
    assert len(chosen) == 5
    assert chosen.max() < n


def test_the_top_shrinks_with_the_weight_of_the_ranking() -> None:
    scores = quantiles(np.arange(200.0))
    sizes = [n_top(weight * scores) for weight in (0.0, 0.3, 1.0, -2.0)]
    assert sizes == [200, 147, 24, 24]
    assert n_top(scores[::7], 20) == 20
    assert n_top(scores[:10], 20) == 10
