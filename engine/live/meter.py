"""The meter of the master: loudness and true peak, measured beside the callback.

Threads: the callback writes to `Meter.tap`, which copies. The meter's own thread
drains it ten times a second, or once where nobody looks, and publishes one immutable
`MeterLevels`, which any thread reads without a lock. When it is late, the tap drops
blocks, and the music goes on.
"""

import threading
import time

import numpy as np

from effects.audio.gating import HOP_S
from effects.audio.level_meter import LevelMeter, MeterLevels
from engine.live.tap import Tap

RING_S = 4.0
UNSEEN_S = 1.0  # between measurements while nobody looks
LOOKS_FOR_S = 10.0  # after which whoever asked is taken to look no more


class Meter:
    """Measures the master in a thread of its own.

    Give `tap` to the mixer, then call `start`.

    Args:
        sample_rate: Hz.
        channels: of the master.
    """

    def __init__(self, sample_rate: int, channels: int = 2) -> None:
        self.tap = Tap(sample_rate, channels, RING_S)
        self._levels = MeterLevels()  # replaced, never changed
        self._looked_at = time.monotonic()
        self._meter = LevelMeter(sample_rate, channels)
        self._block = np.zeros((round(HOP_S * sample_rate), channels), np.float32)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    @property
    def levels(self) -> MeterLevels:
        """Some tenths of a second old where somebody keeps looking, else a second."""
        self._looked_at = time.monotonic()
        return self._levels

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; harmless when it was not started."""
        self.tap.closed = True
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _run(self) -> None:
        while not self._stopping.wait(HOP_S if self._is_seen else UNSEEN_S):
            while self.tap.available >= len(self._block) or self.tap.next_gap():
                if n := self.tap.read_into(self._block):
                    self._levels = self._meter.add(self._block[:n])

    @property
    def _is_seen(self) -> bool:
        return time.monotonic() - self._looked_at < LOOKS_FOR_S
