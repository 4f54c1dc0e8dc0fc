"""The meter of the master: loudness and true peak, measured beside the callback.

Threads: the callback writes to `Meter.tap`, which copies. Where somebody looks, the
meter's own thread drains it ten times a second, and publishes one immutable
`MeterLevels`, which any thread reads. Where nobody does, it measures nothing and keeps
what the next look will need: the last seconds. When it is late, the tap drops blocks,
and the music goes on.
"""

import math
import threading
import time

import numpy as np

from effects.audio.gating import HOP_S
from effects.audio.level_meter import SHORT_TERM_S, LevelMeter, MeterLevels
from engine.live.tap import Tap

KEPT_S = SHORT_TERM_S + 0.4  # of audio, while nobody looks
UNSEEN_S = 0.5  # from one time to the next at which older audio is dropped
RING_S = KEPT_S + 2 * UNSEEN_S
LOOKS_FOR_S = 10.0  # after which whoever asked is taken to look no more
MEASURED_IN_S = 0.3  # at a first look; a thread that is later is not waited for


class Meter:
    """Measures the master in a thread of its own.

    Give `tap` to the mixer, then call `start`.

    Args:
        sample_rate: Hz.
        channels: of the master.
    """

    def __init__(self, sample_rate: int, channels: int = 2) -> None:
        self.tap = Tap(sample_rate, channels, RING_S)
        self._sample_rate, self._channels = sample_rate, channels
        self._levels = MeterLevels()  # replaced, never changed
        self._looked_at = -math.inf
        self._meter: LevelMeter | None = None  # while somebody looks
        self._block = np.zeros((round(HOP_S * sample_rate), channels), np.float32)
        self._wake, self._measured = threading.Event(), threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)

    @property
    def levels(self) -> MeterLevels:
        """Those of the last seconds, some tenths of a second old.

        A first look waits until they are measured, which takes some hundredths.
        """
        if not self._is_seen and self._thread.is_alive():
            self._measured.clear()
            self._wake.set()
            self._measured.wait(MEASURED_IN_S)
        self._looked_at = time.monotonic()
        return self._levels

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; harmless when it was not started."""
        self.tap.closed = True
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _run(self) -> None:
        while True:
            is_asked = self._wake.wait(HOP_S if self._is_seen else UNSEEN_S)
            if is_asked:  # else a wish that comes just now would be lost
                self._wake.clear()
            if self._stopping:
                return
            if is_asked or self._is_seen:
                self._measure()
                self._measured.set()
            else:
                self._forget()

    def _measure(self) -> None:
        if self._meter is None:
            self._meter = LevelMeter(self._sample_rate, self._channels)
        while self.tap.available >= len(self._block):
            if n := self.tap.read_into(self._block):
                self._levels = self._meter.add(self._block[:n])
            else:
                self.tap.next_gap()

    def _forget(self) -> None:
        kept = round(KEPT_S * self._sample_rate)
        while (old := self.tap.available - kept) > 0:
            self._meter, self._levels = None, MeterLevels()
            if not self.tap.skip(old):
                self.tap.next_gap()

    @property
    def _is_seen(self) -> bool:
        return time.monotonic() - self._looked_at < LOOKS_FOR_S
