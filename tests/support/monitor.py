"""A sink's monitor with a clock: when each captured sample came out of the device."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from effects.audio.levels import Samples
from tests.support.virtual_audio import VirtualAudio

LATENCY_MS = 10
CHANNELS = 2


class Monitor:
    """What a sink plays, read as it comes.

    The capture has no holes, so sample n comes at `begin` + n / rate, and a late look
    at the pipe can only make that seem later: the earliest of all looks is right.
    """

    def __init__(self, recorder: "subprocess.Popen[bytes]", rate: int) -> None:
        self._recorder, self._rate = recorder, rate
        self._pieces: list[bytes] = []
        self._n_samples = 0
        self.begin = float("inf")  # monotonic time of sample 0
        self.begun = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def samples(self) -> Samples:
        """All samples so far, shape (n_samples, 2)."""
        raw = np.frombuffer(b"".join(tuple(self._pieces)), "<f4")
        return raw[: len(raw) // CHANNELS * CHANNELS].reshape(-1, CHANNELS)

    def time_of(self, sample: int) -> float:
        """Monotonic time at which a sample came out."""
        return self.begin + sample / self._rate

    def _read(self) -> None:
        assert self._recorder.stdout is not None
        n_bytes = 0
        while piece := self._recorder.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            now = time.monotonic()
            self._pieces.append(piece)
            n_bytes += len(piece)
            self.begin = min(self.begin, now - n_bytes / (4 * CHANNELS * self._rate))
            self.begun.set()


@contextmanager
def monitored(device: VirtualAudio, sink: str = "latent") -> Iterator[Monitor]:
    """Listen to a sink's monitor while the block runs."""
    command = [
        *("parec", "-d", f"{sink}.monitor", "--format=float32le", "--raw"),
        *(f"--rate={device.rate}", f"--channels={CHANNELS}"),
        f"--latency-msec={LATENCY_MS}",
    ]
    with subprocess.Popen(command, env=device.env, stdout=subprocess.PIPE) as recorder:
        try:
            monitor = Monitor(recorder, device.rate)
            assert monitor.begun.wait(10.0), "the monitor is silent"
            yield monitor
        finally:
            recorder.terminate()
