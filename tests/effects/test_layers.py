"""Layers of a schedule sound the same however often they are published."""

import numpy as np

from effects.audio.levels import Samples
from effects.bed.layer_mixer import LayerMixer
from effects.bed.layers import layers_between
from effects.bed.mix import MixedEffect
from effects.bed.schedule import EffectSchedule
from effects.bed.timeline import BedEvent, BedSettings
from effects.shelf.loops import Loop

RATE = 1_000
NAMES = ("a", "b", "c", "d", "e", "f", "g")


def _load(name: str, sample_rate: int) -> Loop:
    rng = np.random.default_rng(ord(name))
    samples = rng.standard_normal((7 * sample_rate, 2)).astype(np.float32)
    return Loop(name, samples, sample_rate)


def _played(schedule: EffectSchedule, seconds: int, every: int, ahead: int) -> Samples:
    """The bed, its layers published anew every so often and some time ahead."""
    mixer, out = LayerMixer(512), np.zeros((seconds * RATE, 2), np.float32)
    for begin in range(0, len(out), every * RATE):
        end = begin + (every + ahead) * RATE
        layers = layers_between(schedule, _load, RATE, begin, end)
        mixer.mix_into(out[begin : begin + every * RATE], layers, begin)
    return out


def test_how_often_layers_are_published_is_not_heard() -> None:
    schedule = EffectSchedule(NAMES, 4, settings=BedSettings(40.0, 12.0, 1.0))
    whole = _played(schedule, 300, 300, 0)
    assert np.array_equal(_played(schedule, 300, 10, 30), whole)
    assert np.array_equal(_played(schedule, 300, 3, 1), whole)


def test_an_event_is_heard_without_a_jump() -> None:
    settings = BedSettings(40.0, 12.0, 0.5)
    schedule = EffectSchedule(NAMES, 4, settings=settings)
    moved = schedule.with_event(BedEvent(100.0, "next")).with_event(
        BedEvent(103.0, "mix", (MixedEffect("e"),))
    )
    before, after = _played(schedule, 200, 10, 10), _played(moved, 200, 10, 10)
    assert np.array_equal(before[: 100 * RATE], after[: 100 * RATE])
    assert not np.array_equal(before[110 * RATE :], after[110 * RATE :])
    change = np.abs(after - before)[100 * RATE :]
    assert np.max(change[:50]) < 0.2  # noise of RMS 1: nothing jumps at the event
    level = np.sqrt(np.mean(after.reshape(-1, 2 * RATE * 2) ** 2, axis=1))
    assert np.all(level[4:] > 0.7)
