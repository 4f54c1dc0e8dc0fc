"""The producer against a reader that the test turns by hand."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.base.errors import InputError
from effects.bed.masking import BandEnvelope
from engine.control.controls import Controls, Snapshot
from engine.live import producer as producer_module
from engine.live.metrics import Metrics
from engine.live.music_ring import MusicRing, Splice
from engine.live.producer import GUARD_S, REFILL_S, Producer
from engine.live.ring_reader import RingReader
from engine.sound.concealment import Concealment
from engine.sound.music import Now
from engine.sound.splice import SPLICE_S
from model.config import AXIS

RATE = 1000
HOP = 700
REFILL = round(REFILL_S * RATE)


@dataclass
class Ramp:
    """A `Music` in miniature: each sample says its position and the plan's number."""

    n_samples: int | None = None
    sample_rate: int = RATE
    position: int = 0
    bad_frames: int = 0
    band_envelope: BandEnvelope = field(default_factory=BandEnvelope)
    plan: int = 0
    calls: list[tuple[int, object]] = field(default_factory=list)

    def next(self) -> Samples | None:
        stop = (self.position // HOP + 1) * HOP
        if self.n_samples is not None:
            stop = min(stop, self.n_samples)
        if stop <= self.position:
            return None
        samples = np.full((stop - self.position, 2), 10.0 * (self.plan + 1), np.float32)
        samples[:, 1] = np.arange(self.position, stop)
        self.position = stop
        return samples

    @property
    def ending(self) -> NDArray[np.float64]:
        return np.full(AXIS.n_bands, 1e-6)

    def concealment(self) -> Concealment:
        return Concealment(np.zeros((HOP, 2), np.float32))

    def compose_ahead(self) -> None:
        """There is nothing to compose."""

    def now(self, position: int) -> Now:
        return Now(position, 0, "", "A", 0, 0.0, 1.0, (), np.zeros((5, 32), np.float32))

    def replan(self, at: int, controls: Snapshot) -> None:
        self.calls.append((at, dict(controls)))
        self.plan += 1
        self.position = at

    def command(self, at: int, name: str, args: tuple[object, ...] = ()) -> None:
        if name not in ("next", "resume"):
            raise InputError(f"{name}: no such command")
        self.calls.append((at, name))
        self.plan += 1
        self.position = at


class Rig:
    def __init__(self, n_samples: int | None = None) -> None:
        self.music = Ramp(n_samples)
        self.ring = MusicRing(10_000, 2)
        self.metrics = Metrics()
        self.reader = RingReader(self.ring, RATE, self.metrics, 4096)
        self.controls = Controls()
        self.events: list[dict[str, object]] = []
        self.producer = Producer(
            self.music,  # type: ignore[arg-type]
            self.ring,
            self.reader,
            self.controls,
            self.metrics,
            lambda event: self.events.append(dict(event)),
        )

    def wait(self, condition: object, seconds: float = 5.0) -> None:
        assert callable(condition)
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the producer did nothing"
            self.ring.answer()  # as a callback does between its blocks
            time.sleep(0.002)

    def read(self, n: int) -> Samples:
        out = np.empty((n, 2), np.float32)
        self.reader.read_into(out)
        return out


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_priming_fills_without_a_thread(rig: Rig) -> None:
    rig.producer.prime(2.0)
    assert 2000 <= rig.ring.written <= 2000 + HOP
    assert threading.active_count() == 1


def test_the_ring_is_kept_full_and_in_order(rig: Rig) -> None:
    rig.producer.start()
    heard = []
    for _ in range(40):
        rig.wait(lambda: rig.ring.available >= 3000)
        heard.append(rig.read(1000))
    rig.producer.stop()
    np.testing.assert_array_equal(np.concatenate(heard)[:, 1], np.arange(40_000))
    assert rig.metrics.underruns == 0


def test_a_change_is_heard_after_the_margin_and_without_a_gap(rig: Rig) -> None:
    rig.producer.start()
    rig.wait(lambda: rig.ring.available >= 5000)
    rig.read(500)
    rig.controls.set("wiggle/amount", 1.5)
    rig.producer.wake()
    rig.wait(lambda: rig.metrics.replans == 1)
    rig.wait(lambda: rig.ring.available >= 5000)
    rig.producer.stop()
    out = rig.read(4000)
    at = 500 + round(GUARD_S * RATE)
    event = {"at": at, "heard": at, "set": {"wiggle/amount": 1.5}}
    assert rig.events == [event]
    np.testing.assert_allclose(out[:, 1], np.arange(500, 4500), atol=3.0)
    np.testing.assert_array_equal(out[: at - 500, 0], 10.0)
    splice = round(SPLICE_S * RATE)
    np.testing.assert_array_equal(out[at - 500 + splice :, 0], 20.0)


def test_a_change_that_comes_too_late_for_its_place_gets_another(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = rig.ring.offer
    heard: list[Samples] = []

    def late(splice: Splice, wait: Callable[[], bool]) -> bool:
        if not heard:  # the thread was held up: the reader has passed the place
            heard.append(rig.read(splice.at - rig.ring.read + 100))
        return offer(splice, wait)

    monkeypatch.setattr(rig.ring, "offer", late)
    rig.producer.start()
    rig.wait(lambda: rig.ring.available >= 5000)
    rig.controls.set("wiggle/amount", 1.5)
    rig.producer.wake()
    rig.wait(lambda: rig.metrics.replans == 1)
    rig.wait(lambda: rig.ring.available >= 5000)
    rig.producer.stop()
    heard.append(rig.read(3000))
    out = np.concatenate(heard)
    at = rig.events[0]["heard"]
    assert isinstance(at, int)
    assert at > len(heard[0])
    np.testing.assert_array_equal(out[:at, 0], 10.0)
    splice = round(SPLICE_S * RATE)
    np.testing.assert_array_equal(out[at + splice :, 0], 20.0)


def test_a_change_that_is_taken_back_at_once_leaves_nothing_of_an_old_plan(
    rig: Rig,
) -> None:
    """Of what was written before a change, nothing is heard behind its splice."""
    rig.producer.start()
    rig.wait(lambda: rig.ring.available >= 5000)
    rig.controls.set("wiggle/amount", 1.5)
    rig.producer.wake()
    rig.wait(lambda: rig.metrics.replans == 1)
    rig.controls.set("wiggle/amount", 0.3)
    rig.controls.set("wiggle/amount", 1.5)
    rig.producer.wake()
    rig.read(3500)
    rig.wait(lambda: rig.ring.available >= 5000)
    rig.producer.stop()
    assert rig.metrics.replans == 1
    out = rig.read(4096)
    np.testing.assert_array_equal(out[:, 0], 20.0)
    np.testing.assert_allclose(out[:, 1], np.arange(3500, 7596), atol=0.1)


def test_a_full_ring_is_left_alone_until_it_lacks_seconds_and_then_filled(
    rig: Rig,
) -> None:
    """Hops are made several at a time; a stall is hidden by what is left till then."""
    rig.producer.prime(60.0)
    full = rig.ring.written
    assert full >= 6000
    rig.read(REFILL - 100)
    rig.producer.prime(60.0)
    assert rig.ring.written == full, "it lacks too little"
    rig.read(HOP)
    rig.producer.prime(60.0)
    assert rig.ring.available >= 6000
    assert rig.ring.written - full >= REFILL


def test_the_ring_is_looked_at_when_it_may_lack_enough(rig: Rig) -> None:
    """Not later: what it holds then is what a stall is hidden by."""
    rig.producer.prime(60.0)
    ahead = rig.ring.available
    rig.producer.start()
    least = ahead
    for _ in range(45):  # 4.5 s of music in as much time
        time.sleep(0.1)
        rig.read(100)
        least = min(least, rig.ring.available)
    rig.producer.stop()
    assert least > ahead - REFILL - HOP - 300
    assert rig.ring.available > least + 2000, "it was filled"


def test_a_producer_that_is_far_behind_leaves_out_what_nobody_hears(rig: Rig) -> None:
    rig.producer.prime(2.0)
    rig.read(3500)
    rig.read(3500)
    made = rig.ring.written
    rig.producer.start()
    rig.wait(lambda: rig.ring.available >= 5000)
    rig.producer.stop()
    (event,) = rig.events
    assert (event["command"], event["glide"]) == ("resume", 0)
    assert event["heard"] == event["at"] == rig.ring.begins_at > 7000 > made
    assert rig.music.calls == [(event["at"], "resume")]
    rig.read(rig.ring.begins_at - rig.ring.read + 1000)
    out = rig.read(1000)
    np.testing.assert_array_equal(out[:, 1], np.arange(1000) + rig.ring.read - 1000)


def test_a_producer_that_is_slower_than_the_reader_goes_on_ahead_of_it(
    rig: Rig,
) -> None:
    """The first samples of a change are never made in time: some are left out."""
    rig.producer.prime(3.0)
    listen = rig.music.next
    passed: list[int] = []

    def slow() -> Samples | None:
        if rig.music.plan == 1 and len(passed) < 8:
            passed.append(1)
            rig.read(2 * HOP)  # the reader is twice as fast
        return listen()

    rig.music.next = slow  # type: ignore[method-assign]
    rig.producer.command("next")
    rig.producer.start()
    rig.wait(lambda: rig.metrics.replans == 1)
    rig.wait(lambda: rig.ring.available >= 5000)
    rig.producer.stop()
    (event,) = rig.events
    assert event["command"] == "next"
    resumed = event["resumed"]
    assert isinstance(resumed, int)
    assert isinstance(event["heard"], int)
    assert event["heard"] >= resumed > 2 * HOP
    assert rig.music.calls[-1] == (resumed, "resume")
    rig.read(max(0, event["heard"] - rig.ring.read) + 1000)
    out = rig.read(1000)
    np.testing.assert_array_equal(out[:, 1], np.arange(1000) + rig.ring.read - 1000)


def test_changes_without_end_do_not_starve_the_reader(rig: Rig) -> None:
    rig.producer.prime(0.1)
    ahead: list[int] = []
    replan = rig.music.replan

    def meddle(at: int, controls: Snapshot) -> None:
        ahead.append(rig.ring.available)
        if len(ahead) < 4:  # the next is waiting before this one is made
            rig.controls.set("wiggle/amount", 0.1 * len(ahead))
        replan(at, controls)

    rig.music.replan = meddle  # type: ignore[method-assign]
    rig.controls.set("wiggle/amount", 1.5)
    rig.producer.start()
    rig.wait(lambda: rig.metrics.replans == 4)
    rig.producer.stop()
    assert ahead[0] <= HOP
    assert min(ahead[1:]) >= 2.5 * RATE


def test_fast_controls_do_not_disturb_the_plan(rig: Rig) -> None:
    rig.producer.start()
    rig.wait(lambda: rig.ring.available >= 5000)
    rig.controls.set("master/gain", -6.0)
    rig.controls.set("effects/gain", -6.0)
    rig.producer.wake()
    time.sleep(0.05)
    rig.producer.stop()
    assert rig.metrics.replans == 0


def test_commands_are_carried_out_and_bad_ones_change_nothing(rig: Rig) -> None:
    rig.producer.start()
    rig.wait(lambda: rig.ring.available >= 5000)
    rig.producer.command("dance")
    rig.producer.command("next")
    rig.wait(lambda: rig.metrics.replans == 1)
    rig.wait(lambda: rig.ring.available >= 5000)
    rig.producer.stop()
    assert [event.get("command") for event in rig.events] == ["next"]
    np.testing.assert_allclose(rig.read(4096)[:, 1], np.arange(4096), atol=3.0)


def test_the_end_of_the_music_is_told() -> None:
    rig = Rig(n_samples=2500)
    rig.producer.start()
    rig.wait(lambda: rig.ring.finished)
    rig.producer.stop()
    assert rig.ring.written == 2500


def test_nothing_is_concealed_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer_module, "CONCEALMENT_EVERY_S", 0.0)
    monkeypatch.setattr(producer_module, "CONCEALMENT_LIKE_DB", -1.0)
    rig = Rig(n_samples=2500)
    made: list[bool] = []
    concealment = rig.music.concealment

    def count() -> Concealment:
        made.append(rig.ring.finished)
        return concealment()

    rig.music.concealment = count  # type: ignore[method-assign]
    rig.producer.prime(1.0)
    rig.producer.start()
    rig.wait(lambda: rig.ring.finished)
    for _ in range(5):
        rig.producer.wake()
        time.sleep(0.02)
    rig.producer.stop()
    assert made == [False]


def test_a_failure_is_kept_for_the_session(rig: Rig) -> None:
    def fail() -> Samples:
        raise ValueError("broken")

    rig.music.next = fail  # type: ignore[method-assign]
    raised: list[object] = []
    hook, threading.excepthook = threading.excepthook, lambda a: raised.append(a)
    try:
        rig.producer.start()
        rig.wait(lambda: rig.producer.failure is not None)
        rig.producer.stop()
    finally:
        threading.excepthook = hook
    assert isinstance(rig.producer.failure, ValueError)
    assert raised == [], "the session tells it"
