import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.live.ring import RingBuffer, SparseRing
from tests.support.memory import own_mb


@pytest.mark.parametrize("kind", [RingBuffer, SparseRing])
@given(
    capacity=st.integers(1, 64),
    steps=st.lists(
        st.tuples(st.sampled_from(["write", "read", "skip"]), st.integers(0, 80)),
        max_size=60,
    ),
)
def test_ring_is_a_fifo(
    kind: type[RingBuffer], capacity: int, steps: list[tuple[str, int]]
) -> None:
    ring = kind(capacity, channels=1)
    expected: list[float] = []
    counter = 0
    for step, n in steps:
        if step == "write":
            block = np.arange(counter, counter + n, dtype=np.float32)[:, None]
            fits = n <= capacity - len(expected)
            assert ring.write(block) is fits
            if fits:
                expected += block.ravel().tolist()
                counter += n
        elif step == "skip":
            left_out = ring.skip(n)
            assert left_out == min(n, len(expected))
            expected = expected[left_out:]
        else:
            out = np.full((n, 1), np.nan, np.float32)
            got = ring.read_into(out)
            assert got == min(n, len(expected))
            assert out.ravel().tolist() == expected[:got] + [0.0] * (n - got)
            expected = expected[got:]
        assert ring.available == len(expected)
        assert ring.available + ring.space == capacity


@pytest.mark.parametrize("kind", [RingBuffer, SparseRing])
def test_two_threads_pass_every_sample_in_order(kind: type[RingBuffer]) -> None:
    ring = kind(1000, channels=1)
    total = 400_000  # three times around a sparse ring, whose memory is given back

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


def test_a_sparse_ring_that_is_full_keeps_every_sample() -> None:
    rng = np.random.default_rng(5)
    ring = SparseRing(300_000)
    blocks: list[np.ndarray] = []
    out = np.empty((90_000, 2), np.float32)
    for n_read, n_skipped in (
        (0, 200_000),
        (70_001, 0),
        (90_000, 70_000),
        (12_345, 290_000),
        (90_000, 1),
        (61, 100_000),
        (90_000, 0),
    ):
        while True:
            block = rng.standard_normal((4_567, 2)).astype(np.float32)
            if not ring.write(block):
                break
            blocks.append(block)
        assert ring.available > 300_000 - 4_567
        assert ring.skip(n_skipped) == n_skipped
        start = ring.read
        n_read = min(n_read, ring.available)
        assert ring.read_into(out[:n_read]) == n_read
        whole = np.concatenate(blocks)
        np.testing.assert_array_equal(out[:n_read], whole[start : start + n_read])


def test_a_sparse_ring_that_is_drained_holds_little_memory() -> None:
    ring = SparseRing(60 * 48_000)  # 23 MB
    block = np.ones((4_800, 2), np.float32)
    out = np.empty_like(block)
    before = own_mb()
    for _ in range(700):
        assert ring.write(block)
        assert ring.read_into(out) == len(block)
    np.testing.assert_array_equal(out, block)
    assert own_mb() - before < 4.0


@pytest.mark.parametrize("kind", [RingBuffer, SparseRing])
def test_an_empty_ring_is_refused(kind: type[RingBuffer]) -> None:
    with pytest.raises(ValueError, match="at least one sample, got 0"):
        kind(0)
