"""The meter beside a callback that must not wait for it."""

import time

import numpy as np

from engine.live.meter import Meter


def test_the_thread_publishes_and_a_stalled_one_costs_the_callback_nothing() -> None:
    rate = 48_000
    meter = Meter(rate)
    tone = 0.1 * np.sin(2.0 * np.pi * 1000.0 * np.arange(480) / rate)
    block = np.repeat(tone[:, None], 2, axis=1).astype(np.float32)
    for _ in range(500):  # five seconds, before the thread runs: the tap overflows
        meter.tap.write(block)
    assert meter.tap.dropped > 0
    meter.start()
    try:
        end = time.monotonic() + 10.0
        while meter.levels.momentary_lufs < -100.0 and time.monotonic() < end:
            time.sleep(0.02)
        assert -60.0 < meter.levels.momentary_lufs < 0.0
    finally:
        meter.stop()
