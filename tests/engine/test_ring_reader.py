import numpy as np

from engine.live.metrics import Metrics
from engine.live.ring import RingBuffer
from engine.live.ring_reader import STARVED_S, RingReader

RATE = 8000


def make(capacity: int = 8000) -> tuple[RingBuffer, RingReader, Metrics]:
    ring, metrics = RingBuffer(capacity, 4), Metrics()
    return ring, RingReader(ring, RATE, metrics, 512), metrics


def read(reader: RingReader, n: int, block: int = 100) -> np.ndarray:
    blocks = []
    for _ in range(n // block):
        out = np.full((block, 4), np.nan, np.float32)
        reader.read_into(out)
        blocks.append(out)
    return np.concatenate(blocks)


def test_a_full_ring_passes_unchanged() -> None:
    ring, reader, metrics = make()
    music = np.random.default_rng(0).standard_normal((7000, 4)).astype(np.float32)
    ring.write(music)
    np.testing.assert_array_equal(read(reader, 4000), music[:4000])
    assert metrics.underruns == 0


def test_running_dry_fades_and_coming_back_ramps() -> None:
    ring, reader, metrics = make()
    ring.write(np.ones((4000, 4), np.float32))
    dry = read(reader, 6000)
    assert np.abs(np.diff(dry, axis=0)).max() < 2.0 / (STARVED_S * RATE)
    assert not np.any(dry[4000:])
    assert metrics.underruns == 20
    ring.write(np.ones((7500, 4), np.float32))
    back = read(reader, 4000)
    joined = np.concatenate([dry[-1:], back])
    assert np.abs(np.diff(joined, axis=0)).max() < 2.0 / (STARVED_S * RATE)
    np.testing.assert_array_equal(back[2500:], 1.0)


def test_the_end_of_the_music_is_no_underrun() -> None:
    ring, reader, metrics = make()
    ring.write(np.ones((1000, 4), np.float32))
    reader.finished = True
    out = read(reader, 2000)
    np.testing.assert_array_equal(out[:1000], 1.0)
    assert not np.any(out[1000:])
    assert metrics.underruns == 0
