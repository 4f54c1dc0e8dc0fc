"""The meter of the master: loudness and true peak, measured beside the callback.

Threads: the callback writes to `Meter.tap`, which copies. The meter's own thread
drains it ten times a second and publishes one immutable `MeterLevels`, which any thread
reads without a lock. When it is late, the tap drops blocks, and the music goes on.
"""

import threading

import numpy as np

from effects.audio.gating import HOP_S
from effects.audio.level_meter import LevelMeter, MeterLevels
from engine.live.tap import Tap

RING_S = 2.0


class Meter:
    """Measures the master in a thread of its own.

    Give `tap` to the mixer, then call `start`; `levels` is replaced ten times a second.

    Args:
        sample_rate: Hz.
        channels: of the master.
    """

    def __init__(self, sample_rate: int, channels: int = 2) -> None:
        self.tap = Tap(sample_rate, channels, RING_S)
        self.levels = MeterLevels()  # replaced, never changed
        self._meter = LevelMeter(sample_rate, channels)
        self._block = np.zeros((round(HOP_S * sample_rate), channels), np.float32)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

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
        while not self._stopping.wait(HOP_S):
            while self.tap.available >= len(self._block) or self.tap.next_gap():
                n = self.tap.read_into(self._block)
                if n:
                    self.levels = self._meter.add(self._block[:n])
