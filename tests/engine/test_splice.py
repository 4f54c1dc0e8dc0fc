"""From one plan into another: no click, and no dip, whatever the two are."""

import numpy as np
import pytest

from effects.audio.levels import Samples
from engine.control.controls import snapshot_of
from engine.graph import Settings, build
from engine.sound.splice import SPLICE_S, splice
from tests.support import signals
from tests.support.slabs import stereo

RATE = 48_000
LENGTH = round(SPLICE_S * RATE)
WINDOW = round(0.02 * RATE)


def levels_db(layers: Samples) -> Samples:
    power = np.mean(np.square(stereo(layers), dtype=np.float64), axis=1)
    means = np.convolve(power, np.ones(WINDOW) / WINDOW, "valid")
    return np.asarray(10.0 * np.log10(means + 1e-12), np.float32)


def plans(seed: int, at: int) -> list[Samples]:
    """A quarter of a second of the same music under five plans."""
    music = build(Settings(seed=seed, sample_rate=RATE, effects=None)).music
    taken = []
    for controls in (
        {},
        {"rank/pitch": -0.7},
        {"rank/brightness": 0.9},
        {"wiggle/amount": 1.5},
        {"tuning/key": "G#"},
    ):
        music.replan(at, snapshot_of(controls))
        hops = [music.next(), music.next()]
        taken.append(np.concatenate([hop for hop in hops if hop is not None])[:12_000])
    return taken


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_real_plans_meet_without_a_click_or_a_dip(seed: int) -> None:
    old, *others = plans(seed, 20 * RATE)
    before = 4800
    for new in others:
        joined = np.concatenate(
            [old[:before], splice(old[before:][:LENGTH], new[before:], RATE)]
        )
        assert not len(signals.clicks(stereo(joined)))
        level, was, becomes = map(levels_db, (joined, old, new))
        assert np.min(level - np.minimum(was, becomes)) > -1.0
        assert np.max(level - np.maximum(was, becomes)) < 1.5


def test_what_did_not_change_stays_as_it_was() -> None:
    old = plans(4, 30 * RATE)[0]
    again = splice(old[:LENGTH], old, RATE)
    np.testing.assert_allclose(again, old, atol=1e-6)


def test_it_ends_in_exactly_the_new() -> None:
    old, new, *_ = plans(5, 10 * RATE)
    joined = splice(old[:LENGTH], new, RATE)
    np.testing.assert_array_equal(joined[LENGTH:], new[LENGTH:])
    assert np.max(np.abs(joined[0] - old[0])) < 1e-3
    np.testing.assert_array_equal(splice(old[:0], new, RATE), new)
