"""Single-producer, single-consumer ring buffer of audio.

The producer thread writes frames; the audio callback reads blocks. Each cursor is
written by one side only and only ever grows, so neither side takes a lock: a stale
read makes the ring look emptier to the consumer, or fuller to the producer, and
never corrupts audio. This leans on CPython running one thread's bytecode at a time.

Positions are absolute: sample 0 is the first ever written. `write` is for the producer,
`read_into` and `skip` for the consumer, the rest for both.
"""

import mmap
from contextlib import suppress

import numpy as np

from effects.audio.levels import Samples, planar

_PAGE = mmap.PAGESIZE // 4  # samples of a channel
_GIVEN_BACK = 64 * _PAGE  # samples whose memory is given back at a time


class RingBuffer:
    """A ring of `capacity` samples, allocated once.

    >>> ring = RingBuffer(capacity=4, channels=1)
    >>> ring.write(np.ones((3, 1), np.float32))
    True
    >>> out = np.empty((4, 1), np.float32)
    >>> ring.read_into(out)
    3
    >>> out.ravel().tolist()
    [1.0, 1.0, 1.0, 0.0]
    """

    def __init__(self, capacity: int, channels: int = 2) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least one sample, got {capacity}")
        self.capacity, self.channels = capacity, channels
        self._samples = planar(capacity, channels)
        self._written = 0  # position after the last sample written; producer only
        self._read = 0  # position after the last sample read; consumer only

    @property
    def written(self) -> int:
        """Position after the last sample written."""
        return self._written

    @property
    def read(self) -> int:
        """Position after the last sample read."""
        return self._read

    @property
    def available(self) -> int:
        """Samples ready to read."""
        return max(0, self._written - self._read)

    @property
    def space(self) -> int:
        """Samples that can be written without overtaking the reader."""
        return self.capacity - (self._written - self._read)

    def write(self, samples: Samples) -> bool:
        """Producer: write all of `samples`, or none of them if they do not fit."""
        if len(samples) > self.space:
            return False
        self._put(self._written, samples)
        self._written += len(samples)  # publish last: readable from here on
        return True

    def read_into(self, out: Samples) -> int:
        """Consumer: fill `out`, padding with silence; returns how much was audio."""
        n = min(len(out), self.available)
        start = self._read % self.capacity
        head = min(n, self.capacity - start)
        out[:head] = self._samples[start : start + head]
        out[head:n] = self._samples[: n - head]
        out[n:] = 0.0
        self._read += n  # release last: may be overwritten from here on
        return n

    def skip(self, n_samples: int) -> int:
        """Consumer: leave out samples; returns how many there were to leave out."""
        n = min(n_samples, self.available)
        self._read += n
        return n

    def _put(self, position: int, samples: Samples) -> None:
        start = position % self.capacity
        head = min(len(samples), self.capacity - start)
        self._samples[start : start + head] = samples[:head]
        self._samples[: len(samples) - head] = samples[head:]


class SparseRing(RingBuffer):
    """A ring that holds memory only for what waits to be read.

    What was read is given back to the system, so that a ring for a minute that is
    drained at once takes the memory of a moment. The producer gets fresh pages.
    """

    def __init__(self, capacity: int, channels: int = 2) -> None:
        super().__init__(1, channels)
        if capacity < 1:
            raise ValueError(f"capacity must be at least one sample, got {capacity}")
        self._most = capacity
        # The producer keeps so far away from what was read and is not given back yet.
        n_pages = -(-(capacity + 2 * _GIVEN_BACK) // _PAGE)
        self.capacity = n_pages * _PAGE
        # Of this process alone: what is shared would be kept when it is given back.
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._memory = mmap.mmap(-1, self.capacity * channels * 4, flags)
        if hasattr(mmap, "MADV_NOHUGEPAGE"):  # of which parts are not given back
            with suppress(OSError):  # a kernel without them
                self._memory.madvise(mmap.MADV_NOHUGEPAGE)
        flat = np.frombuffer(self._memory, np.float32)
        self._samples = flat.reshape(channels, self.capacity).T
        self._given_back = 0  # position; consumer only

    @property
    def space(self) -> int:
        """Samples that can be written without overtaking the reader."""
        return self._most - (self._written - self._read)

    def read_into(self, out: Samples) -> int:
        """Consumer: fill `out`, padding with silence; returns how much was audio."""
        n = min(len(out), self.available)
        out[n:] = 0.0
        for start in range(0, n, _GIVEN_BACK):
            super().read_into(out[start : min(n, start + _GIVEN_BACK)])
            self._give_back_read()
        return n

    def skip(self, n_samples: int) -> int:
        """Consumer: leave out samples; returns how many there were to leave out."""
        n = min(n_samples, self.available)
        for start in range(0, n, _GIVEN_BACK):
            super().skip(min(n - start, _GIVEN_BACK))
            self._give_back_read()
        return n

    def _give_back_read(self) -> None:
        """Give back what was read; at most so much is read between two calls."""
        while self._read - self._given_back >= _GIVEN_BACK:
            self._give_back(self._given_back % self.capacity)
            self._given_back += _GIVEN_BACK

    def _give_back(self, start: int) -> None:
        if not hasattr(mmap, "MADV_DONTNEED"):
            return
        head = min(_GIVEN_BACK, self.capacity - start)
        for channel in range(self.channels):
            first = channel * self.capacity
            self._memory.madvise(mmap.MADV_DONTNEED, 4 * (first + start), 4 * head)
            if head < _GIVEN_BACK:
                rest = 4 * (_GIVEN_BACK - head)
                self._memory.madvise(mmap.MADV_DONTNEED, 4 * first, rest)
