"""A producer that is late: the last sound stays, without a gap, a click or a loop."""

from dataclasses import dataclass

import numpy as np
import pytest

from effects.audio.levels import Samples
from engine.control.controls import snapshot_of
from engine.graph import Settings, build
from engine.live.loop_crossfade import STARVED_S, LoopCrossfade
from engine.live.metrics import Metrics
from engine.live.mixer import MAX_BLOCK, Mixer
from engine.live.music_ring import MusicRing
from engine.live.producer import Producer
from engine.live.ring_reader import RingReader
from engine.sound.concealment import Concealment
from engine.sound.concealment_loop import LOOP_S, concealment_loop, unlikeness
from engine.sound.synthesis import N_LAYERS
from model.config import AXIS
from tests.support import audio
from tests.support.slabs import stereo
from tests.support.waiting import wait_until

RATE = 24_000
BLOCK = 480
BEFORE_S, STALL_S, AFTER_S = 12.0, 10.0, 8.0


def sound() -> np.ndarray:
    """Band powers of a chord over noise."""
    power = 1e-7 * np.ones(AXIS.n_bands)
    for band in (400, 470, 522, 593, 644):
        power[band - 1 : band + 2] += [2e-4, 1e-3, 2e-4]
    return power


def repetition(samples: Samples, sample_rate: int, shortest_s: float) -> float:
    """Highest autocorrelation of a sound's noise from a lag on, 0..1.

    The spectrum is levelled over bands of 50 Hz, and partials, which repeat in any
    music, are cut to the level of the rest.
    """
    mono = samples.mean(axis=1).astype(np.float64)
    n_fft = 2 * len(mono)
    power = np.abs(np.fft.rfft(mono * np.hanning(len(mono)), n_fft)) ** 2
    band = round(50.0 * n_fft / sample_rate)
    rows = power[: len(power) // band * band].reshape(-1, band)
    level = np.median(rows, axis=1, keepdims=True)
    noise = np.zeros(len(power))
    noise[: rows.size] = np.minimum(rows / (level + 1e-30), 6.0).ravel()
    hertz = np.fft.rfftfreq(n_fft, 1.0 / sample_rate)
    noise[(hertz < 100.0) | (hertz > 0.4 * sample_rate)] = 0.0
    found = np.fft.irfft(noise)[: len(mono)]
    return float(np.abs(found[round(shortest_s * sample_rate) :]).max() / found[0])


def test_a_loop_has_the_power_of_its_sound_and_no_seam() -> None:
    loop = concealment_loop(
        sound(), sample_rate=RATE, clarity=0.8, rng=np.random.default_rng(0)
    )
    assert len(loop) == pytest.approx(LOOP_S * RATE, rel=0.1)
    steps = np.abs(np.diff(np.concatenate([loop[-RATE:], loop[:RATE]]), n=2, axis=0))
    assert steps[RATE - 2 : RATE + 1].max() < 4.0 * steps.std()
    together = stereo(loop[: 10 * RATE])
    audible = sound()[AXIS.centres < RATE / 2].sum()
    power = np.mean(together.astype(np.float64) ** 2, axis=0)
    np.testing.assert_allclose(10 * np.log10(power / audible), 0.0, atol=0.3)
    parts = together.reshape(10, RATE, 2).astype(np.float64)
    levels = 10.0 * np.log10(np.mean(parts**2, axis=(1, 2)))
    assert np.ptp(levels) < 0.5
    assert repetition(together, RATE, 0.5) < 0.05


def test_a_loop_that_is_short_would_be_found() -> None:
    """The measure of repetition sees what it is to see."""
    rng = np.random.default_rng(1)
    short = rng.standard_normal((4 * RATE, 2)).astype(np.float32)
    assert repetition(np.tile(short, (3, 1))[: 10 * RATE], RATE, 0.5) > 0.3
    fresh = rng.standard_normal((10 * RATE, 2)).astype(np.float32)
    assert repetition(fresh, RATE, 0.5) < 0.05


def test_sounds_are_alike_whatever_their_level() -> None:
    assert unlikeness(sound(), 0.25 * sound()) < 0.1
    assert unlikeness(sound(), np.roll(sound(), 20)) > 2.0


class Rig:
    """A session in which the test turns both cranks."""

    def __init__(self, **controls: object) -> None:
        settings = Settings(
            seed=3, sample_rate=RATE, effects=None, controls=snapshot_of(controls)
        )
        graph = build(settings)
        self.metrics = Metrics()
        self.ring = MusicRing(14 * RATE, N_LAYERS)
        self.reader = RingReader(self.ring, RATE, self.metrics, MAX_BLOCK)
        self.producer = Producer(
            graph.music,
            self.ring,
            self.reader,
            graph.controls,
            self.metrics,
            lambda event: None,
        )
        self.mixer = Mixer(
            self.reader, None, RATE, lambda: graph.controls.snapshot, self.metrics
        )

    def play(self, seconds: float) -> Samples:
        out = np.zeros((round(seconds * RATE), 2), np.float32)
        for start in range(0, len(out), BLOCK):
            self.mixer.render(out[start : start + BLOCK])
        return out


@dataclass(frozen=True)
class Stall:
    """A steady sound whose producer pauses.

    Attributes:
        samples: what was heard.
        without: what would have been heard without the pause.
        at: sample from which there was no music.
        length: samples until there was.
        underruns: as counted.
        concealments: as counted.
    """

    samples: Samples
    without: Samples
    at: int
    length: int
    underruns: int
    concealments: int


@pytest.fixture(scope="module")
def stall() -> Stall:
    controls = {"hold": True, "wiggle/amount": 0.0, "rank/tonalness": 0.5}
    rig, other = Rig(**controls), Rig(**controls)
    rig.producer.prime(BEFORE_S)
    rig.producer._renew_concealment()  # as its thread begins with
    written = rig.ring.written
    heard = [rig.play(written / RATE + STALL_S)]
    length = rig.mixer.position - written
    assert rig.ring.available == 0
    rig.producer.prime((written / RATE) + STALL_S + AFTER_S + 1.0)
    heard.append(rig.play(AFTER_S))
    counted = rig.metrics.underruns, rig.metrics.concealments
    without = []
    for second in range(round(written / RATE + STALL_S + AFTER_S)):
        other.producer.prime(second + 3.0)
        without.append(other.play(1.0))
    at = written + rig.mixer.latency
    return Stall(np.concatenate(heard), np.concatenate(without), at, length, *counted)


def test_a_pause_of_ten_seconds_keeps_the_level(stall: Stall) -> None:
    samples, at = stall.samples, stall.at
    assert (stall.underruns, stall.concealments) == (1, 1)
    before = audio.lufs(samples[at - 8 * RATE : at - RATE // 2], RATE)
    for start in range(at - RATE, at + stall.length - 2 * RATE, RATE // 2):
        there = audio.lufs(samples[start : start + 2 * RATE], RATE)
        assert there == pytest.approx(before, abs=1.5), (start - at) / RATE
    assert audio.longest_silence_s(samples[RATE:], RATE) < 0.01


def test_it_is_crossfaded_into_and_out_of(stall: Stall) -> None:
    """No click, and outside of the pause the music is what it would have been.

    It goes on as far along as if there had been no pause.
    """
    samples, at, starved = stall.samples, stall.at, round(STARVED_S * RATE)
    begin, end = at - starved, at + stall.length + starved
    bend = np.abs(np.diff(samples, n=3, axis=0)).max(axis=1)
    usual = max(bend[4 * RATE : begin].max(), bend[end:].max())
    assert bend[begin - 100 : end + 100].max() < 1.2 * usual
    np.testing.assert_array_equal(samples[:begin], stall.without[:begin])
    after, expected = samples[end:], stall.without[end:]
    n = min(len(after), len(expected))
    assert n > 5 * RATE
    np.testing.assert_array_equal(after[:n], expected[:n])


def test_no_period_is_heard_in_it(stall: Stall) -> None:
    inside = stall.samples[stall.at : stall.at + stall.length]
    assert repetition(inside, RATE, 0.5) < 0.05


def test_a_concealment_that_is_used_is_not_exchanged_under_way() -> None:
    rate = 1000
    ring, metrics = MusicRing(8000, N_LAYERS), Metrics()
    reader = RingReader(ring, rate, metrics, 500)
    ring.write(np.ones((1000, 2), np.float32))
    reader.concealment = Concealment(np.ones((700, 2), np.float32), 0.5)
    out = np.zeros((500, 2), np.float32)
    heard = []
    for step in range(6):
        reader.read_into(out)
        heard.append(out.copy())
        if step == 3:
            reader.concealment = Concealment(np.full((700, 2), -9.0, np.float32))
    np.testing.assert_allclose(np.concatenate(heard)[1000:], 0.5, atol=1e-6)
    ring.write(np.ones((6000, 2), np.float32))
    reader.read_into(out)
    fade = LoopCrossfade(rate, N_LAYERS, 500).length
    angle = 0.5 * np.pi * np.minimum((np.arange(500) + 1) / fade, 1.0)
    expected = np.sin(angle) + 0.5 * np.cos(angle)
    np.testing.assert_allclose(out[:, 0], expected, atol=1e-5)


def test_the_concealment_follows_the_music_while_it_plays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.live.producer.CONCEALMENT_LIKE_DB", 0.5)
    rig = Rig(**{"wiggle/amount": 2.0, "wiggle/rate": 0.07})
    rig.producer.prime(4.0)
    nothing = rig.reader.concealment.loop
    rig.producer.start()
    try:
        wait_until(lambda: rig.reader.concealment.loop is not nothing)
        first = rig.reader.concealment.loop
        wait_until(lambda: rig.ring.available > 9 * RATE)
        rig.producer._concealed_at = np.inf  # until the music has moved on
        assert rig.reader.concealment.loop is first
        rig.play(5.0)
        rig.producer._concealed_at = -np.inf  # as if it were made long ago
        wait_until(lambda: rig.reader.concealment.loop is not first, 10.0)
    finally:
        rig.producer.stop()
