"""The ring between the mixer and the device's process, in memory that both share.

The pacer writes blocks of the master, the device's callback takes them. The memory is a
file without a name: the process inherits its descriptor, and nothing is left behind
however the two end. Each counter is written by one side only. The callback tells the
pacer through a pipe that it has taken something, and never waits for the pipe.

The ring stays nearly empty: what lies in it is as much delay of every control. While
the device takes nothing, the pacer writes on by the clock, and the callback that comes
back goes on with the newest samples.

Standard library only, since the device's process imports it.
"""

import mmap
import os
import select
import tempfile
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

CHANNELS = 2
CAPACITY_S = 0.5
AHEAD_S = 0.02  # in the ring between two callbacks
SKIP_S = 0.25  # more than this in the ring is old: the device had stood still
WAIT_S = 0.002  # between looks for the first samples
BEAT_S = 0.2  # between signs of life until then
JOIN_S = 0.005  # over which a jump to other samples is crossfaded

_HEAD = 128  # bytes before the samples
_FRAME_BYTES = 4 * CHANNELS


class Counter(IntEnum):
    """Places of the counters; the pacer writes the first, the device the others."""

    WRITTEN = 0  # samples that were written
    READ = 1  # samples that were taken or passed over
    WANTED = 2  # position up to which the callback that runs now wants samples
    BLOCKS = 3  # callbacks
    BLOCK = 4  # samples that the last callback asked for
    ASKED = 5  # samples that all callbacks asked for
    XRUNS = 6  # callbacks that PortAudio flagged, or that found too little
    TRIES = 7  # looks for a device, or signs of life before the first block
    LOAD = 8  # millionths of the time that callbacks take, as PortAudio measures it
    CHANNELS = 9  # of the device, once it is opened: 2, or 1


@dataclass(frozen=True)
class RingPlan:
    """What the device's process needs to attach a ring.

    Attributes:
        memory: descriptor of the shared file.
        kick: descriptor of the pipe's end to write to.
        sample_rate: Hz.
    """

    memory: int
    kick: int
    sample_rate: int


class DeviceRing:
    """One side's view of the ring.

    Args:
        memory: descriptor of the file that is shared.
        sample_rate: Hz.
    """

    def __init__(self, memory: int, sample_rate: int) -> None:
        self.capacity = round(CAPACITY_S * sample_rate)
        self._map = mmap.mmap(memory, _HEAD + self.capacity * _FRAME_BYTES)
        view = memoryview(self._map)
        self.counters: Any = view[:_HEAD].cast("q")
        self.samples: Any = view[_HEAD:].cast("f")


class MixerEnd:
    """The pacer's end: creates the memory and the pipe.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._memory = _memory_file()
        size = _HEAD + round(CAPACITY_S * sample_rate) * _FRAME_BYTES
        os.write(self._memory, bytes(size))  # every page is there from now on
        self._ring = DeviceRing(self._memory, sample_rate)
        self._bytes: Any = memoryview(self._ring.samples).cast("B")
        self._counters = self._ring.counters
        self._kicked, self._kick = os.pipe()
        os.set_blocking(self._kicked, False)
        os.set_blocking(self._kick, False)
        self._poller = select.poll()
        self._poller.register(self._kicked, select.POLLIN)
        self._ahead = round(AHEAD_S * sample_rate)
        self._written = 0
        self.plan = RingPlan(self._memory, self._kick, sample_rate)

    def count(self, counter: Counter) -> int:
        """Return a counter."""
        return int(self._counters[counter])

    @property
    def lacks(self) -> int:
        """Samples that should be written now; 0 or less when there are enough.

        A callback that waits for more than there is gets that and what is to lie in
        the ring after it in one block: two would cost nearly twice as much.
        """
        read, wanted = self._counters[Counter.READ], self._counters[Counter.WANTED]
        return int(max(read, wanted)) + self._ahead - self._written

    def write(self, block: Any) -> None:
        """Write a block, contiguous float32 of shape (n, 2), over the oldest."""
        source = memoryview(block).cast("B")
        start = self._written % self._ring.capacity * _FRAME_BYTES
        head = min(len(source), len(self._bytes) - start)
        self._bytes[start : start + head] = source[:head]
        self._bytes[: len(source) - head] = source[head:]
        self._written += len(source) // _FRAME_BYTES
        self._counters[Counter.WRITTEN] = self._written  # last: readable from here on

    def wait(self, seconds: float) -> None:
        """Wait until the device has taken something, or so long."""
        if self._poller.poll(1000.0 * seconds):
            os.read(self._kicked, 4096)

    def close(self) -> None:
        """Close the descriptors; the memory goes with the last view of it."""
        for descriptor in (self._memory, self._kicked, self._kick):
            os.close(descriptor)


class DeviceEnd:
    """The end of the device's callback.

    Args:
        plan: with descriptors that this process inherited.
        patience_s: for samples that are late; less than what the device holds.
    """

    def __init__(self, plan: RingPlan, patience_s: float = 0.0) -> None:
        ring = DeviceRing(plan.memory, plan.sample_rate)
        self.patience_s = patience_s
        self._samples, self._counters = ring.samples, ring.counters
        self._capacity, self._kick = ring.capacity, plan.kick
        os.set_blocking(self._kick, False)
        self._ahead = round(AHEAD_S * plan.sample_rate)
        self._skip = round(SKIP_S * plan.sample_rate)
        self._join = round(JOIN_S * plan.sample_rate)
        self._read = int(self._counters[Counter.READ])
        self._last = [0.0] * CHANNELS  # sample that was played last
        self._joined = self._join  # samples since a jump
        self._is_silent = True  # nothing was there for the last sample
        self._both: Any = _silence(0)  # both channels, for a device with one

    def set(self, counter: Counter, value: int) -> None:
        """Set a counter of the device's side."""
        self._counters[counter] = value

    def add(self, counter: Counter, value: int = 1) -> None:
        """Raise a counter of the device's side."""
        self._counters[counter] += value

    def wait_for_samples(self) -> None:
        """Wait until the pacer has written something, and show life meanwhile."""
        counters, shown_at = self._counters, time.monotonic()
        while counters[Counter.WRITTEN] == 0:
            time.sleep(WAIT_S)
            if time.monotonic() - shown_at > BEAT_S:
                self.add(Counter.TRIES)
                shown_at = time.monotonic()

    def wait_for_more(self, seconds: float) -> None:
        """Wait until a second block was asked for, or so long."""
        counters, end = self._counters, time.monotonic() + seconds
        while time.monotonic() < end:
            if counters[Counter.ASKED] > counters[Counter.BLOCK]:
                return
            time.sleep(WAIT_S)

    def take(self, out: Any, n: int) -> None:
        """Callback: fill `out`, a view of 2 n floats, with the next samples.

        What is late is waited for, up to `patience_s`; what is later still is replaced
        by a short way to silence, and counted.
        """
        counters = self._counters
        counters[Counter.BLOCK] = n
        counters[Counter.ASKED] += n
        if counters[Counter.WRITTEN] == 0:  # nothing is played here yet
            out[:] = _silence(n)
        else:
            self._take(out, n)
        counters[Counter.BLOCKS] += 1

    def take_mono(self, out: Any, n: int) -> None:
        """Callback of a device with one channel: `out` is a view of n floats.

        The pacer has made both channels the same, so one of them is taken.
        """
        if len(self._both) < CHANNELS * n:
            self._both = _silence(n)
        both = self._both[: CHANNELS * n]
        self.take(both, n)
        out[:] = both[::CHANNELS]

    def _take(self, out: Any, n: int) -> None:
        lead = self._counters[Counter.WRITTEN] - self._read
        if lead > self._skip:
            self._read += lead - self._ahead
            self._joined = 0
        self._counters[Counter.WANTED] = self._read + n
        done = self._copy(out, 0, n)
        if done < n:
            # A session that stands still is not waited for with every block.
            stands = self._is_silent and not done
            patience_s = 0.0 if stands else self.patience_s
            end = time.monotonic() + patience_s
            while done < n and time.monotonic() < end:
                time.sleep(0.0005)
                done = self._copy(out, done, n)
        if done < n:
            if not self._is_silent:
                self._counters[Counter.XRUNS] += 1
            self._fall_silent(out, done, n)
        else:
            self._is_silent = False

    def _copy(self, out: Any, done: int, n: int) -> int:
        """Copy what is there to `out` from sample `done` on; returns samples done."""
        first = done
        lead = self._counters[Counter.WRITTEN] - self._read
        while lead > 0 and done < n:
            start = self._read % self._capacity
            part = min(n - done, lead, self._capacity - start)
            out[CHANNELS * done : CHANNELS * (done + part)] = self._samples[
                CHANNELS * start : CHANNELS * (start + part)
            ]
            done += part
            lead -= part
            self._read += part
        self._counters[Counter.READ] = self._read
        if self._counters[Counter.WRITTEN] < self._read + self._ahead:
            self._tell()
        if done > first:
            if self._joined < self._join:
                self._blend(out, first, done)
            self._last = list(out[CHANNELS * (done - 1) : CHANNELS * done])
        return done

    def _blend(self, out: Any, first: int, done: int) -> None:
        """Go from the sample that was played last to those of `out`, in a line."""
        for i in range(first, min(done, first + self._join - self._joined)):
            self._joined += 1
            share = self._joined / self._join
            for at, last in enumerate(self._last, CHANNELS * i):
                out[at] = last + (out[at] - last) * share

    def _fall_silent(self, out: Any, done: int, n: int) -> None:
        out[CHANNELS * done : CHANNELS * n] = _silence(n - done)
        if not self._is_silent:
            for i in range(done, min(n, done + self._join)):
                share = 1.0 - (i - done + 1) / self._join
                for at, last in enumerate(self._last, CHANNELS * i):
                    out[at] = last * share
        self._last = [0.0] * CHANNELS
        self._joined = 0
        self._is_silent = True

    def _tell(self) -> None:
        try:
            os.write(self._kick, b".")
        except (BlockingIOError, BrokenPipeError):
            return  # the pipe is full of unread ones, or the session has gone


def _silence(n: int) -> Any:
    return memoryview(bytearray(n * _FRAME_BYTES)).cast("f")


def _memory_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("latent-device")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
