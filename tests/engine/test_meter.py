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


def test_a_first_look_finds_the_levels_of_the_last_seconds() -> None:
    """Nothing is measured while nobody looks, nor is anything older kept."""
    rate = 48_000
    meter = Meter(rate)
    tone = np.sin(2.0 * np.pi * 1000.0 * np.arange(480) / rate)
    block = np.repeat(tone[:, None], 2, axis=1).astype(np.float32)
    meter.start()
    try:
        for amplitude, blocks in ((0.5, 90), (0.1, 345)):
            for _ in range(blocks):
                meter.tap.write(np.float32(amplitude) * block)
            time.sleep(1.2)  # more than the thread's rest: it leaves out what is old
        assert meter._levels.true_peak_db < -100.0, "measured, though nobody looked"
        end = time.monotonic() + 10.0  # a busy machine may be late for the first look
        while (levels := meter.levels).momentary_lufs < -100.0:
            assert time.monotonic() < end
        assert abs(levels.momentary_lufs + 20.0) < 0.5
        assert abs(levels.short_term_lufs + 20.0) < 0.5
        assert abs(levels.true_peak_db + 20.0) < 0.2
        assert meter.tap.dropped == 0
    finally:
        meter.stop()


def test_a_gap_in_what_was_kept_is_passed_over() -> None:
    rate = 48_000
    meter = Meter(rate)
    block = np.full((480, 2), 0.1, np.float32)
    while meter.tap.write(block):
        pass
    meter._forget()  # makes room: the gap now lies behind what is kept
    for _ in range(20):
        assert meter.tap.write(block)
    meter._measure()
    assert meter.tap.available < round(0.1 * rate)


def test_levels_go_on_for_who_looks_now_and_then() -> None:
    """Nothing was left out meanwhile, so nothing is measured anew."""
    rate = 48_000
    meter = Meter(rate)
    loud, soft = (np.full((4800, 2), x, np.float32) for x in (0.5, 0.001))
    tone = np.where(np.arange(4800) % 48 < 24, 1.0, -1.0).astype(np.float32)[:, None]
    for _ in range(20):
        meter.tap.write(tone * loud)
    meter._measure()
    meter._forget()
    for _ in range(5):
        meter.tap.write(tone * soft)
    meter._measure()
    assert meter._levels.short_term_lufs > -12.0
    assert meter._levels.momentary_lufs < -50.0
