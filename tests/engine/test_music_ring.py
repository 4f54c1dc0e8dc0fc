"""The ring of music is addressed by samples of the session, and its end replaced."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effects.bed.masking import BandEnvelope
from engine.live.music_ring import MusicRing, Splice


def numbered(first: int, n: int) -> np.ndarray:
    return np.arange(first, first + n, dtype=np.float32)[:, None]


def read(ring: MusicRing, n: int) -> list[float]:
    out = np.full((n, 1), np.nan, np.float32)
    ring.answer()
    ring.advance_into(out)
    return list(out.ravel().tolist())


def offered(ring: MusicRing, splice: Splice) -> bool:
    """Offer with a reader that answers at once."""

    def answer() -> bool:
        ring.answer()
        return True

    return ring.offer(splice, answer)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["write", "read", "splice"]),
            st.integers(0, 30),
            st.integers(0, 30),
        ),
        max_size=60,
    )
)
def test_every_sample_stands_at_its_place(
    steps: list[tuple[str, int, int]],
) -> None:
    """Whatever is written, read and replaced: what is there is the newest."""
    ring, plan, heard = MusicRing(40, 1), 0, 0
    there: dict[int, float] = {}
    for kind, n, ahead in steps:
        if kind == "write" and n <= min(ring.space, 40):
            samples = numbered(ring.written, n) + 1000 * plan
            values = samples[:, 0].tolist()
            there |= {ring.written + i: x for i, x in enumerate(values)}
            assert ring.write(samples, BandEnvelope())
        elif kind == "read":
            expected = [there.get(ring.read + i, 0.0) for i in range(n)]
            valid = ring.read >= ring.begins_at
            found = read(ring, n)
            assert not valid or found == expected
        elif kind == "splice":
            at = max(heard, ring.read + ahead)
            if at + n - ring.read > 40:
                continue
            plan, heard = plan + 1, at
            samples = numbered(at, n) + 1000 * plan
            assert offered(ring, Splice(at, samples, BandEnvelope()))
            there = {k: v for k, v in there.items() if k < at}
            values = samples[:, 0].tolist()
            there |= {at + i: x for i, x in enumerate(values)}
            assert ring.written == at + n


def test_what_was_heard_cannot_be_replaced() -> None:
    ring = MusicRing(8, 1)
    ring.write(numbered(0, 6), BandEnvelope())
    read(ring, 3)
    assert not offered(ring, Splice(2, numbered(50, 2), BandEnvelope()))
    assert read(ring, 3) == [3.0, 4.0, 5.0]


def test_half_of_a_change_is_never_heard() -> None:
    """The reader takes a splice whole while another thread offers them."""
    ring, stop = MusicRing(4000, 1), threading.Event()
    ring.write(np.zeros((3000, 1), np.float32), BandEnvelope())
    expected = np.zeros(1_000_000)
    taken: list[tuple[int, int]] = []

    def produce() -> None:
        plan = 0
        while not stop.is_set():
            plan, at = plan + 1, ring.read + 40
            splice = Splice(at, np.full((1000, 1), plan, np.float32), BandEnvelope())
            if ring.offer(splice, lambda: not stop.is_set()):
                taken.append((at, plan))

    thread = threading.Thread(target=produce)
    thread.start()
    heard: list[float] = []
    while len(taken) < 200:
        if ring.written - ring.read > 100:  # what is there, is what is measured
            heard += read(ring, 37)
        else:
            ring.answer()
    stop.set()
    thread.join()
    for at, plan in taken:
        expected[at:] = plan
    assert len(heard) > 3000
    np.testing.assert_array_equal(heard, expected[: len(heard)])


def test_a_reader_that_found_nothing_goes_on_at_the_right_place() -> None:
    ring = MusicRing(100, 1)
    ring.write(numbered(0, 10), BandEnvelope())
    assert read(ring, 30) == [*map(float, range(10)), *[0.0] * 20]
    ring.write(numbered(10, 40), BandEnvelope())
    assert ring.has(20, 30)
    assert not ring.has(21, 30)
    assert read(ring, 5) == [30.0, 31.0, 32.0, 33.0, 34.0]
    assert offered(ring, Splice(90, numbered(90, 5), BandEnvelope()))
    assert not ring.has(1, 60)
    assert ring.has(5, 90)
    ring.finished = True
    assert ring.has(6, 90), "it is all that comes"
    assert not ring.has(1, 60), "what was left out does not come with the end"


def test_spans_that_are_not_there_are_refused() -> None:
    ring = MusicRing(8, 1)
    ring.write(numbered(0, 6), BandEnvelope())
    assert ring.peek(3, 3).ravel().tolist() == [3.0, 4.0, 5.0]
    with pytest.raises(ValueError, match="not in the ring"):
        ring.peek(4, 3)
    with pytest.raises(ValueError, match="farther ahead than the ring"):
        offered(ring, Splice(5, numbered(5, 9), BandEnvelope()))


def test_an_offer_can_be_given_up() -> None:
    ring = MusicRing(8, 1)
    assert not ring.offer(Splice(0, numbered(0, 1), BandEnvelope()), lambda: False)
