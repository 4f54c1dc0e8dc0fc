"""The reader of the ring: music while there is some, else its concealment."""

import random

import numpy as np

from effects.audio.levels import Samples
from engine.live.callback_log import LogEntry
from engine.live.loop_crossfade import Concealing, LoopCrossfade, grid_of, starved_of
from engine.live.metrics import Metrics
from engine.live.music_ring import MusicRing
from engine.live.ring_reader import RingReader
from engine.sound.concealment import Concealment

RATE = 8000
STARVED = starved_of(RATE)
FADE = STARVED - grid_of(RATE)


def make(capacity: int = 8000) -> tuple[MusicRing, RingReader, Metrics]:
    ring, metrics = MusicRing(capacity, 2), Metrics()
    return ring, RingReader(ring, RATE, metrics, 4096), metrics


def read(reader: RingReader, n: int, block: int = 100) -> np.ndarray:
    blocks = []
    for _ in range(n // block):
        out = np.full((block, 2), np.nan, np.float32)
        reader.read_into(out)
        blocks.append(out)
    return np.concatenate(blocks)


def test_a_full_ring_passes_unchanged() -> None:
    ring, reader, metrics = make()
    music = np.random.default_rng(0).standard_normal((7000, 2)).astype(np.float32)
    ring.write(music)
    np.testing.assert_array_equal(read(reader, 4000), music[:4000])
    assert (metrics.underruns, metrics.concealments) == (0, 0)
    assert reader.log.take() == ([], 0)


def test_running_dry_fades_and_coming_back_ramps() -> None:
    ring, reader, metrics = make()
    ring.write(np.ones((4000, 2), np.float32))
    dry = read(reader, 6000)
    assert np.abs(np.diff(dry, axis=0)).max() < 2.0 / FADE
    assert not np.any(dry[4000:])
    assert (metrics.underruns, metrics.concealments) == (1, 1)
    ring.write(np.ones((7500, 2), np.float32))
    back = read(reader, 4000)
    joined = np.concatenate([dry[-1:], back])
    assert np.abs(np.diff(joined, axis=0)).max() < 2.0 / FADE
    np.testing.assert_array_equal(back[FADE + 100 :], 1.0)
    rises = [entry.deed.rises for entry in reader.log.take()[0]]  # type: ignore[attr-defined]
    assert rises == [False, True]


def test_the_end_of_the_music_is_no_underrun() -> None:
    ring, reader, metrics = make()
    ring.write(np.ones((1000, 2), np.float32))
    ring.finished = True
    out = read(reader, 2000)
    np.testing.assert_array_equal(out[:1000], 1.0)
    assert not np.any(out[1000:])
    assert metrics.underruns == 0


def stalled(seed: int) -> tuple[Samples, Samples, list[LogEntry]]:
    """A music, what was heard of it while its producer stalled at random, and the log.

    Blocks are of any length, and before the ring is written again it may be empty.
    """
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    ring, reader, _ = make()
    music = noise.standard_normal((60_000, 2)).astype(np.float32)
    loop = noise.standard_normal((3001, 2)).astype(np.float32)
    reader.concealment = Concealment(loop, 0.7)
    heard = []
    ring.write(music[:2000])  # as a session is primed
    while ring.read < 50_000:
        for _ in range(rng.choice([0, 1, 1, 2, 9])):
            if ring.space >= 2000 and ring.written + 2000 <= len(music):
                ring.write(music[ring.written : ring.written + 2000])
        block = np.zeros((rng.choice([1, 60, 999, 4096]), 2), np.float32)
        reader.read_into(block)
        heard.append(block)
    entries, lost = reader.log.take()
    assert lost == 0
    return music, np.concatenate(heard), entries


def test_the_log_gives_what_was_heard_in_other_blocks() -> None:
    n_turns = 0
    for seed in range(30):
        music, heard, entries = stalled(seed)
        fade, out = LoopCrossfade(RATE, 2, 4096), music[: len(heard)].copy()
        cuts = sorted({e.at for e in entries} | set(range(0, len(heard), 4000)))
        for start, stop in zip(cuts, [*cuts[1:], len(heard)], strict=True):
            for entry in entries:
                if entry.at == start:
                    assert isinstance(entry.deed, Concealing)
                    fade.turn(start, entry.deed)
            fade.apply(out[start:stop], start)
        np.testing.assert_array_equal(out, heard, err_msg=f"seed {seed}")
        n_turns += len(entries)
    assert n_turns > 100, "or this tests nothing"


def test_nothing_that_is_missing_is_heard_however_long_the_blocks() -> None:
    """The music has faded before it breaks off: no step from it into nothing."""
    for seed in range(30):
        _, heard, entries = stalled(seed)
        falls = [e for e in entries if not e.deed.rises]  # type: ignore[attr-defined]
        assert all(e.at % grid_of(RATE) == 0 for e in falls)
        assert np.all(np.isfinite(heard))
        assert np.abs(heard).max() < 8.0
