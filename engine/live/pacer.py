"""A clock instead of a device: asks for blocks in real time and drops them.

It lets the music, its recording and its listeners go on while there is no device. Time
is counted in blocks from the start, so a late block is followed by a quicker one and
nothing drifts; after a sleep of the machine the clock starts anew.
"""

import threading
import time
from collections.abc import Callable

import numpy as np

from effects.audio.levels import Samples
from engine.live.metrics import Metrics

BLOCK_S = 0.02
RESTART_AFTER_S = 1.0  # farther behind than this, the clock starts anew


class Pacer:
    """Calls `render` at the pace of a device, from a thread of its own.

    Args:
        sample_rate: Hz.
        render: fills a block of shape (n, 2).
        metrics: `blocks` and `block` are set here.
    """

    latency_s = 0.0

    def __init__(
        self, sample_rate: int, render: Callable[[Samples], int], metrics: Metrics
    ) -> None:
        self._block = np.zeros((round(BLOCK_S * sample_rate), 2), np.float32)
        self._period = len(self._block) / sample_rate
        self._render, self._metrics = render, metrics
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pacer", daemon=True)

    def start(self) -> None:
        """Begin to ask for blocks."""
        self._thread.start()

    def close(self) -> bool:
        """Stop within a block; returns True, as a pacer always ends."""
        self._stopping.set()
        self._thread.join()
        return True

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            if time.monotonic() - due > RESTART_AFTER_S:
                due = time.monotonic()
            self._render(self._block)
            self._metrics.blocks += 1
            self._metrics.block = len(self._block)
            due += self._period
