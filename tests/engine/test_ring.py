import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.live.ring import RingBuffer


@given(
    capacity=st.integers(1, 64),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 80)), max_size=60),
)
def test_ring_is_a_fifo(capacity: int, steps: list[tuple[bool, int]]) -> None:
    ring = RingBuffer(capacity, channels=1)
    expected: list[float] = []
    counter = 0
    for is_write, n in steps:
        if is_write:
            block = np.arange(counter, counter + n, dtype=np.float32)[:, None]
            fits = n <= capacity - len(expected)
            assert ring.write(block) is fits
            if fits:
                expected += block.ravel().tolist()
                counter += n
        else:
            out = np.full((n, 1), np.nan, np.float32)
            got = ring.read_into(out)
            assert got == min(n, len(expected))
            assert out.ravel().tolist() == expected[:got] + [0.0] * (n - got)
            expected = expected[got:]
        assert ring.available == len(expected)
        assert ring.available + ring.space == capacity


def test_two_threads_pass_every_sample_in_order() -> None:
    ring = RingBuffer(1000, channels=1)
    total = 200_000

    def produce() -> None:
        sent = 0
        while sent < total:
            n = min(317, total - sent)
            block = np.arange(sent, sent + n, dtype=np.float32)[:, None]
            if ring.write(block):
                sent += n

    thread = threading.Thread(target=produce)
    thread.start()
    received = 0
    out = np.empty((129, 1), np.float32)
    while received < total:
        n = ring.read_into(out)
        expected = np.arange(received, received + n, dtype=np.float32)
        np.testing.assert_array_equal(out[:n, 0], expected)
        received += n
    thread.join()


def test_an_empty_ring_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample, got 0"):
        RingBuffer(0)
