"""The ring to the device's process: both ends, in one process or in two threads."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effects.audio.levels import Samples
from engine.live.device_ring import (
    AHEAD_S,
    SKIP_S,
    Counter,
    DeviceEnd,
    MixerEnd,
)
from engine.live.metrics import Metrics
from engine.live.pacer import BLOCK_S, SHORT_BLOCK_S, STALLED_S, Pacer
from tests.support.waiting import wait_until

RATE = 48_000
AHEAD = round(AHEAD_S * RATE)


def music(first: int, n: int) -> Samples:
    """Samples that are all different, and nearly as smooth as a slow sine."""
    at = np.arange(first, first + n)
    wave = np.stack([np.sin(at / 400.0), np.cos(at / 700.0)], axis=1)
    return (0.5 * wave).astype(np.float32)


def taken(device: DeviceEnd, n: int) -> Samples:
    out = np.full((n, 2), np.nan, np.float32)
    device.take(memoryview(out.data).cast("B").cast("f"), n)
    return out


@contextmanager
def both_ends(patience_s: float = 0.0) -> Iterator[tuple[MixerEnd, DeviceEnd]]:
    mixer = MixerEnd(RATE)
    yield mixer, DeviceEnd(mixer.plan, patience_s)
    mixer.close()


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30))
def test_every_sample_comes_once_however_blocks_are_cut(sizes: list[int]) -> None:
    written = 0
    with both_ends() as (mixer, device):
        got = []
        for n in sizes:
            while written - mixer.count(Counter.READ) < n:
                mixer.write(music(written, 480))
                written += 480
            got.append(taken(device, n))
        heard = np.concatenate(got)
        assert np.array_equal(heard, music(0, len(heard)))
        assert mixer.count(Counter.XRUNS) == 0
        assert mixer.count(Counter.ASKED) == sum(sizes)


def test_before_anything_is_written_it_is_silent_and_that_is_no_fault() -> None:
    with both_ends(patience_s=5.0) as (mixer, device):
        began = time.monotonic()
        assert not taken(device, 512).any()
        assert time.monotonic() - began < 1.0
        assert mixer.count(Counter.XRUNS) == 0
        assert mixer.count(Counter.BLOCKS) == 1


def test_a_device_that_waits_for_the_first_samples_shows_life_until_then() -> None:
    with both_ends() as (mixer, device):
        waiting = threading.Thread(target=device.wait_for_samples, daemon=True)
        waiting.start()
        wait_until(lambda: mixer.count(Counter.TRIES) >= 2)
        assert waiting.is_alive()
        mixer.write(music(0, 10))
        waiting.join(5.0)
        assert not waiting.is_alive()
        assert np.array_equal(taken(device, 10), music(0, 10))


def test_what_comes_too_late_fades_out_and_in_and_is_counted_once() -> None:
    with both_ends() as (mixer, device):
        mixer.write(music(0, 1000))
        blocks = [taken(device, 480) for _ in range(6)]
        mixer.write(music(1000, 4000))
        blocks += [taken(device, 480) for _ in range(4)]
        heard = np.concatenate(blocks)
        assert np.array_equal(heard[:1000], music(0, 1000))
        assert not heard[1500:2880].any(), "silent, not the last block again"
        again = heard[2880 + 480 :]
        assert np.array_equal(again, music(1480, len(again))), "nothing was lost"
        # A step of the music's level would be 0.5: the ways out and in are ramps.
        assert np.abs(np.diff(heard, axis=0)).max() < 0.02
        assert mixer.count(Counter.XRUNS) == 1


def test_after_a_stand_still_it_goes_on_with_the_newest_samples() -> None:
    with both_ends() as (mixer, device):
        mixer.write(music(0, AHEAD))
        before = taken(device, 480)
        n = round(2 * SKIP_S * RATE) // 480
        for block in range(n):  # by the clock, over what nobody has taken
            mixer.write(music(AHEAD + 480 * block, 480))
        after = taken(device, AHEAD)
        newest = music(480 * n, AHEAD)
        assert np.array_equal(after[480:], newest[480:])
        joined = np.concatenate([before, after])
        assert np.abs(np.diff(joined, axis=0)).max() < 0.02, "crossfaded"
        assert mixer.count(Counter.XRUNS) == 0


def test_a_callback_waits_for_samples_that_are_late_and_says_how_many() -> None:
    with both_ends(patience_s=5.0) as (mixer, device):
        mixer.write(music(0, AHEAD))
        taken(device, 480)

        def write_late() -> None:
            time.sleep(0.1)
            mixer.write(music(AHEAD, mixer.lacks))

        late = threading.Thread(target=write_late)
        late.start()
        heard = taken(device, 2400)
        late.join()
        assert np.array_equal(heard, music(480, 2400))
        assert mixer.count(Counter.XRUNS) == 0


def test_a_callback_that_wants_more_than_there_is_gets_it_in_one_block() -> None:
    """With what is to lie in the ring after it: nothing is lacking when it has it."""
    with both_ends(patience_s=5.0) as (mixer, device):
        mixer.write(music(0, AHEAD))
        blocks: list[int] = []

        def write() -> None:
            wait_until(lambda: mixer.lacks > 0)
            blocks.append(mixer.lacks)
            mixer.write(music(AHEAD, mixer.lacks))

        writer = threading.Thread(target=write)
        writer.start()
        heard = taken(device, 2400)
        writer.join()
        assert blocks == [2400]
        assert mixer.lacks == 0
        assert np.array_equal(heard, music(0, 2400))


def test_a_callback_tells_only_when_something_is_lacking() -> None:
    with both_ends() as (mixer, device):
        mixer.write(music(0, 2 * AHEAD))
        taken(device, AHEAD // 2)
        began = time.monotonic()
        mixer.wait(0.05)
        assert time.monotonic() - began > 0.04, "there is enough left"
        taken(device, AHEAD)
        began = time.monotonic()
        mixer.wait(5.0)
        assert time.monotonic() - began < 2.0, "it lacks half"


class Driver:
    """A device's callback, called by a clock of its own for some time."""

    def __init__(self, device: DeviceEnd, n: int) -> None:
        self._device, self._n = device, n
        self.heard: list[Samples] = []

    def run(self, seconds: float) -> None:
        due = time.monotonic()
        for _ in range(round(seconds * RATE / self._n)):
            self.heard.append(taken(self._device, self._n))
            due += self._n / RATE
            time.sleep(max(0.0, due - time.monotonic()))


class Counting:
    """What a pacer asks: music by position, and when each block was asked for."""

    def __init__(self) -> None:
        self.position = 0
        self.sizes: list[int] = []
        self.threads: set[int] = set()
        self.fails = False

    def render(self, out: Samples) -> int:
        self.threads.add(threading.get_ident())
        if self.fails:
            raise RuntimeError("a fault of the mixer")
        out[:] = music(self.position, len(out))
        self.position += len(out)
        self.sizes.append(len(out))
        return len(out)


@pytest.mark.parametrize("n", [64, 512, 2400])
def test_the_pacer_gives_a_device_every_sample_and_hurries_to_do_so(n: int) -> None:
    source, metrics = Counting(), Metrics()
    pacer = Pacer(RATE, source.render, metrics)
    with both_ends(patience_s=0.5) as (mixer, device):
        pacer.attach(mixer, fade_in=False)
        pacer.start()
        driver = Driver(device, n)
        driver.run(1.0)
        pacer.close()
        heard = np.concatenate(driver.heard)
        first = int(np.argmax(heard[:, 1] > 0.0))  # cos: the first sample is 0.5
        assert np.array_equal(heard[first:], music(0, len(heard) - first))
        assert mixer.count(Counter.XRUNS) == 0
        # What is mixed and not taken is how late every control is.
        block = round(RATE * (SHORT_BLOCK_S if n < 960 else BLOCK_S))
        assert source.position - (len(heard) - first) <= AHEAD + block
    assert metrics.errors == 0
    # On a busy machine more may be lacking than was asked for at once.
    assert max(n, block) <= metrics.block <= max(n, block) + AHEAD
    if n > block:  # what is taken at once is not mixed in parts of 20 ms
        assert np.median(source.sizes) == n


def test_the_clock_goes_on_where_a_device_stands_still_and_it_comes_back() -> None:
    source = Counting()
    pacer = Pacer(RATE, source.render, Metrics())
    with both_ends(patience_s=0.1) as (mixer, device):
        pacer.attach(mixer, fade_in=False)
        pacer.start()
        driver = Driver(device, 480)
        driver.run(0.5)
        at, began = source.position, time.monotonic()
        time.sleep(2.0)
        advanced = (source.position - at) / RATE
        # A busy machine may be late by a second before the clock starts anew.
        assert 0.5 < advanced < time.monotonic() - began + STALLED_S
        driver.run(0.5)
        pacer.close()
        heard = np.concatenate(driver.heard)
        newest = music(source.position - 4 * AHEAD, 4 * AHEAD)
        last = heard[-480:]
        matches = np.flatnonzero(np.all(newest[: -len(last) + 1] == last[0], axis=1))
        assert len(matches) == 1, "the end of what was mixed is what is heard"
        assert len(source.threads) == 1


def test_detached_it_goes_by_the_clock_and_a_fault_is_a_block_of_silence() -> None:
    source, metrics = Counting(), Metrics()
    pacer = Pacer(RATE, source.render, metrics)
    with both_ends(patience_s=0.1) as (mixer, device):
        pacer.attach(mixer, fade_in=True)
        pacer.start()
        driver = Driver(device, 480)
        driver.run(0.3)
        pacer.detach()
        at, began = source.position, time.monotonic()
        time.sleep(1.0)
        advanced = (source.position - at) / RATE
        assert 0.2 < advanced < time.monotonic() - began + 0.1
        rise = np.abs(np.concatenate(driver.heard))[: round(0.2 * RATE)]
        assert rise[:480].max() < rise.max() / 3.0, "it is faded in"
        source.fails = True
        time.sleep(0.1)
        source.fails = False
        assert metrics.errors > 1
        at = source.position
        time.sleep(0.1)
        assert source.position > at, "the thread outlives a fault"
        pacer.close()
        assert not pacer.is_running


def test_a_device_with_one_channel_gets_both_mixed() -> None:
    source = Counting()
    pacer = Pacer(RATE, source.render, Metrics())
    with both_ends(patience_s=5.0) as (mixer, device):
        device.set(Counter.CHANNELS, 1)
        pacer.attach(mixer, fade_in=False)
        pacer.start()
        wait_until(lambda: mixer.count(Counter.WRITTEN) > 0)
        heard = np.zeros(0, np.float32)
        for n in (64, 512, 2400, 700) * 6:
            out = np.full(n, np.nan, np.float32)
            device.take_mono(memoryview(out.data).cast("B").cast("f"), n)
            heard = np.append(heard, out)
        pacer.close()
        assert mixer.count(Counter.XRUNS) == 0
    heard = heard[int(np.argmax(heard > 0.0)) :]
    both = music(0, len(heard))
    np.testing.assert_allclose(heard, both.mean(axis=1), atol=1e-7)
