"""A ring of samples in memory that two processes share.

The mixer's callback writes, the stream worker reads. The memory is a file without a
name: the worker inherits its descriptor, and nothing is left behind however the two
processes end. Each cursor is written by one side only and only grows.
"""

import mmap
import os
import tempfile

import numpy as np

from effects.audio.levels import Samples

CHANNELS = 2
_CURSORS = 64  # bytes before the samples
_WRITTEN, _READ, _DROPPED = range(3)
_FRAME_BYTES = 4 * CHANNELS


class SharedRing:
    """A view of the shared ring: `create` makes one, `attach` opens it again.

    Args:
        descriptor: of the file; the ring closes it with `close`.
        capacity: samples that it holds.
    """

    def __init__(self, descriptor: int, capacity: int) -> None:
        self.descriptor, self.capacity = descriptor, capacity
        size = _CURSORS + capacity * _FRAME_BYTES
        self._memory = mmap.mmap(descriptor, size)
        self._cursors = np.frombuffer(self._memory, np.int64, 3)
        self._samples: Samples = np.frombuffer(
            self._memory, np.float32, capacity * CHANNELS, _CURSORS
        ).reshape(capacity, CHANNELS)
        self._written = int(self._cursors[_WRITTEN])
        self._read = int(self._cursors[_READ])

    @classmethod
    def create(cls, capacity: int) -> "SharedRing":
        """A new, empty ring of `capacity` samples."""
        descriptor = _memory_file()
        # Every page is touched now: a page fault has no place in the callback.
        os.write(descriptor, bytes(_CURSORS + capacity * _FRAME_BYTES))
        return cls(descriptor, capacity)

    @classmethod
    def attach(
        cls, descriptor: int, capacity: int, *, from_now: bool = True
    ) -> "SharedRing":
        """Worker: the ring of an inherited descriptor.

        Args:
            descriptor: of the file.
            capacity: samples that it holds.
            from_now: let go of what was written before.
        """
        ring = cls(descriptor, capacity)
        if from_now:
            ring._release(int(ring._cursors[_WRITTEN]))
        return ring

    @property
    def dropped(self) -> int:
        """Samples that found the ring full."""
        return int(self._cursors[_DROPPED])

    @property
    def waiting(self) -> int:
        """Samples that were written and not read."""
        return int(self._cursors[_WRITTEN]) - int(self._cursors[_READ])

    def write(self, samples: Samples) -> bool:
        """Callback: write all of `samples`, shape (n, 2), or count them as dropped."""
        n = len(samples)
        if n > self.capacity - (self._written - int(self._cursors[_READ])):
            self._cursors[_DROPPED] += n
            return False
        start = self._written % self.capacity
        head = min(n, self.capacity - start)
        self._samples[start : start + head] = samples[:head]
        self._samples[: n - head] = samples[head:]
        self._written += n
        self._cursors[_WRITTEN] = self._written  # last: readable from here on
        return True

    def read(self) -> Samples:
        """Worker: a copy of everything that was written and not read, shape (n, 2)."""
        n = int(self._cursors[_WRITTEN]) - self._read
        start = self._read % self.capacity
        head = min(n, self.capacity - start)
        taken = np.concatenate(
            [self._samples[start : start + head], self._samples[: n - head]]
        )
        self._release(self._read + n)
        return taken

    def close(self) -> None:
        """Close the descriptor, once; the memory goes with the last view of it."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _release(self, position: int) -> None:
        self._read = position
        self._cursors[_READ] = position


def _memory_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("latent-streams")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
