"""The pacer: asks the mixer for blocks, as a device takes them or else by the clock.

One thread, from the beginning of a session to its end, so that the mixer is never asked
by two. With a device it keeps the device's ring filled. Without one, or while the one
that there is takes nothing, it goes by the clock: the music, its recording and its
listeners go on. Time is counted in blocks, so a late block is followed by quicker ones
and nothing drifts; after a sleep of the machine the clock starts anew.
"""

import threading
import time
from collections.abc import Callable

import numpy as np

from effects.audio.levels import Samples
from engine.live.device_ring import Counter, MixerEnd
from engine.live.metrics import Metrics

BLOCK_S = 0.02
SHORT_BLOCK_S = 0.01  # for a device that asks for less at a time: controls act sooner
MOST_BLOCK_S = 0.1  # a device that asks for so much at once gets it in one block
FADE_IN_S = 0.05  # on a device that comes back while music plays
STALLED_S = 0.3  # a device that takes nothing for so long has stopped
RESTART_AFTER_S = 1.0  # farther behind than this, the clock starts anew
FASTEST = 4.0  # times real time, while the clock is caught up with
LOOK_S = 0.1  # at the ring, should the device's word be lost


class Pacer:
    """Calls `render` at the pace of a device or of a clock.

    Threads: `attach`, `detach`, `start` and `close` are for the device watch.

    Args:
        sample_rate: Hz.
        render: fills a block of shape (n, 2).
        metrics: `blocks`, `block` and `errors` are set here.
    """

    def __init__(
        self, sample_rate: int, render: Callable[[Samples], int], metrics: Metrics
    ) -> None:
        self._most = np.zeros((round(MOST_BLOCK_S * sample_rate), 2), np.float32)
        self._whole = self._most[: round(BLOCK_S * sample_rate)]
        self._short = round(SHORT_BLOCK_S * sample_rate)
        self._rate = sample_rate
        self._period = len(self._whole) / sample_rate
        self._ramp = np.linspace(
            0.0, 1.0, round(FADE_IN_S * sample_rate), dtype=np.float32
        )[:, None]
        self._mono = np.zeros(len(self._most), np.float32)
        self._risen = 0  # samples of the ramp that were used
        self._render, self._metrics = render, metrics
        self._ring: MixerEnd | None = None
        self._wanted: MixerEnd | None = None  # set by the device watch
        self._rises = False  # the wanted ring is to be faded in
        self._due = 0.0  # when the clock asks for the next block
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mixer", daemon=True)

    @property
    def is_running(self) -> bool:
        """Whether blocks are asked for."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to ask for blocks."""
        self._due = time.monotonic()
        self._thread.start()

    def fill(self, ring: MixerEnd, seconds: float) -> None:
        """Before `start`: write to a ring what a device is to begin with."""
        self._risen = len(self._ramp)
        for _ in range(round(seconds / self._period)):
            self._turn(ring, self._whole)

    def attach(self, ring: MixerEnd, *, fade_in: bool) -> None:
        """Write to a device's ring from now on."""
        self._rises = fade_in
        self._wanted = ring

    def detach(self) -> None:
        """Go by the clock; returns when the ring is not used any more."""
        self._wanted = None
        while self._ring is not None and self.is_running:
            time.sleep(0.001)

    def close(self) -> None:
        """Stop, within a block or a look at the ring."""
        self._stopping.set()
        if self.is_running:
            self._thread.join(1.0)

    def _run(self) -> None:
        taken, taken_at = -1, time.monotonic()
        while not self._stopping.is_set():
            now = time.monotonic()
            if self._ring is not self._wanted:
                self._ring = self._wanted
                self._risen = 0 if self._rises else len(self._ramp)
                taken, taken_at = -1, now
            ring = self._ring
            if ring is None:
                self._turn_by_clock(None)
                continue
            if ring.count(Counter.READ) != taken:
                taken, taken_at = ring.count(Counter.READ), now
            if (lacks := ring.lacks) > 0:
                asked = ring.count(Counter.BLOCK)
                is_short = 0 < asked < len(self._whole)
                least = self._short if is_short else len(self._whole)
                # All of it is wanted now: several blocks would act on no control
                # sooner, and cost as many times what each of them does.
                block = self._most[: max(least, lacks)]
                self._turn(ring, block)
                self._due = now + len(block) / self._rate
            elif now - taken_at < STALLED_S:
                ring.wait(LOOK_S)
            else:
                self._turn_by_clock(ring)

    def _turn_by_clock(self, ring: MixerEnd | None) -> None:
        now = time.monotonic()
        if now - self._due > RESTART_AFTER_S:
            self._due = now
        if now < self._due:
            time.sleep(min(self._due - now, self._period))  # cheaper than an event
            return
        self._turn(ring, self._whole)
        self._due += self._period
        if now > self._due:  # not all at once: a new plan is written just ahead
            time.sleep(self._period / FASTEST)

    def _turn(self, ring: MixerEnd | None, block: Samples) -> None:
        """Have a block made, and write it to the ring if there is one."""
        try:
            self._render(block)
        except Exception:  # one block of silence, told by the session's metrics
            block.fill(0.0)
            self._metrics.errors += 1
        self._metrics.blocks += 1
        asked = 0
        if ring is not None:
            if self._risen < len(self._ramp):
                part = self._ramp[self._risen : self._risen + len(block)]
                block[: len(part)] *= part
                self._risen += len(block)
            if ring.count(Counter.CHANNELS) == 1:
                mono = self._mono[: len(block)]
                np.add(block[:, 0], block[:, 1], out=mono)
                np.multiply(mono, 0.5, out=mono)
                block[:] = mono[:, None]
            ring.write(block)
            asked = ring.count(Counter.BLOCK)
        self._metrics.block = max(len(block), asked)
