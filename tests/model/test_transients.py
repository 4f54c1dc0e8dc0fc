import numpy as np
import pytest

from effects.audio.levels import Samples
from model.config import SAMPLE_RATE
from model.corpus.transients import LIMIT_DB, has_transient, strongest_rise
from tests.support import signals

CHORD = [110.0, 164.8, 220.0, 277.2, 329.6, 660.0, 1320.0]


def sustained() -> Samples:
    rng = np.random.default_rng(1)
    pad = signals.chord(CHORD, 2.0, SAMPLE_RATE, amplitude=0.08)
    return pad + signals.noise(2.0, SAMPLE_RATE, rng, amplitude=0.002, channels=1)


def envelope(sound: Samples, rise_s: float) -> Samples:
    time = np.arange(len(sound)) / SAMPLE_RATE
    gain = np.clip((time - 0.5) / rise_s, 0.0, 1.0)
    return (sound * gain[:, None]).astype(np.float32)


def test_drums_are_found_alone_and_over_a_pad() -> None:
    rng = np.random.default_rng(2)
    drums = signals.drum_hits(2.0, SAMPLE_RATE, rng)
    assert has_transient(drums)
    assert has_transient(sustained() + drums)
    assert has_transient(np.repeat(drums, 2, axis=1))


def test_a_sudden_start_is_found_and_a_slow_one_is_not() -> None:
    pad = sustained()
    assert has_transient(envelope(pad, 0.001))
    assert not has_transient(envelope(pad, 1.0))


@pytest.mark.parametrize("colour", ["white", "wind"])
def test_noise_wavers_without_starting(colour: str) -> None:
    rng = np.random.default_rng(3)
    noise = signals.noise(2.0, SAMPLE_RATE, rng)
    if colour == "wind":
        gusts = 0.6 + 0.4 * np.sin(2 * np.pi * 0.7 * np.arange(len(noise)) / 44_100)
        noise = np.cumsum(noise, axis=0, dtype=np.float32) * np.float32(0.01)
        noise = (noise * gusts[:, None]).astype(np.float32)
    assert not has_transient(noise)


def test_sustained_sounds_pass_at_any_level_and_transposition() -> None:
    for factor in (0.5, 1.0, 4.0):
        pad = signals.chord([f * factor for f in CHORD], 2.0, SAMPLE_RATE)
        for gain in (0.001, 0.1, 0.9):
            assert strongest_rise((gain * pad).astype(np.float32)) < LIMIT_DB / 2


def test_the_measure_does_not_depend_on_the_level() -> None:
    rng = np.random.default_rng(4)
    drums = sustained() + signals.drum_hits(2.0, SAMPLE_RATE, rng)
    quiet = (drums * np.float32(0.01)).astype(np.float32)
    assert strongest_rise(quiet) == pytest.approx(strongest_rise(drums), abs=0.01)


@pytest.mark.parametrize("n", [0, 1, 500, 1536, 3000])
def test_silence_and_what_is_too_short_never_rise(n: int) -> None:
    assert strongest_rise(np.zeros((n, 2), np.float32)) == 0.0
