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


@given(
    capacity=st.integers(4, 40),
    read=st.integers(0, 100),
    at=st.integers(0, 40),
    n=st.integers(0, 40),
)
def test_rewriting_replaces_just_the_unheard(
    capacity: int, read: int, at: int, n: int
) -> None:
    ring = RingBuffer(capacity, channels=1)
    for position in range(read):
        assert ring.write(np.full((1, 1), position, np.float32))
        ring.read_into(np.empty((1, 1), np.float32))
    fill = np.arange(read, read + capacity, dtype=np.float32)[:, None]
    assert ring.write(fill)
    position = read + at
    new = -np.arange(1, n + 1, dtype=np.float32)[:, None]
    if at + n > capacity:
        with pytest.raises(ValueError, match="not in the ring"):
            ring.rewrite(position, new)
        return
    np.testing.assert_array_equal(ring.peek(position, n), fill[at : at + n])
    assert ring.rewrite(position, new)
    fill[at : at + n] = new
    out = np.empty((capacity, 1), np.float32)
    ring.read_into(out)
    np.testing.assert_array_equal(out, fill)


def test_what_was_heard_cannot_be_rewritten() -> None:
    ring = RingBuffer(8, channels=1)
    ring.write(np.ones((6, 1), np.float32))
    ring.read_into(np.empty((3, 1), np.float32))
    assert not ring.rewrite(2, np.zeros((2, 1), np.float32))
    assert ring.peek(3, 3).ravel().tolist() == [1.0, 1.0, 1.0]


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
