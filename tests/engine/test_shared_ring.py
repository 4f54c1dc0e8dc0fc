"""The ring of samples that two processes share."""

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.streams.shared_ring import SharedRing

STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 50)), max_size=60)


def ramp(start: int, n: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.arange(2 * start, 2 * (start + n), dtype=np.float32).reshape(n, 2)


@given(capacity=st.integers(1, 40), steps=STEPS)
def test_it_is_a_fifo_and_counts_what_finds_no_room(
    capacity: int, steps: list[tuple[bool, int]]
) -> None:
    writer = SharedRing.create(capacity)
    reader = SharedRing.attach(writer.descriptor, capacity)
    expected: list[float] = []
    written = dropped = 0
    for is_write, n in steps:
        if is_write:
            fits = n <= capacity - len(expected) // 2
            block = ramp(written, n)
            assert writer.write(block) is fits
            if fits:
                expected += block.ravel().tolist()
                written += n
            else:
                dropped += n
        else:
            assert reader.read().ravel().tolist() == expected
            expected = []
        assert reader.dropped == dropped
    writer.close()
    writer.close()


def test_another_process_reads_from_where_it_attached() -> None:
    ring = SharedRing.create(1000)
    ring.write(ramp(0, 600))
    code = (
        "import sys\n"
        "from engine.streams.shared_ring import SharedRing\n"
        f"ring = SharedRing.attach({ring.descriptor}, 1000)\n"
        "print(len(ring.read()), flush=True)\n"
        "sys.stdin.readline()\n"
        "print(ring.read().ravel().tolist() == list(range(1200, 3000)))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        pass_fds=[ring.descriptor],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        assert reader.stdout.readline() == "0\n", "what was there before is stale"
        assert ring.write(ramp(600, 900)), "the stale part is free again"
        reader.stdin.write("\n")
        reader.stdin.flush()
        assert reader.stdout.readline() == "True\n"
    ring.close()
