import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effects.levels import Samples
from effects.player import BedPlayer, Layer, Room
from effects.room import split

RATE = 48_000


def _loop(n: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).standard_normal((n, 2)).astype(np.float32)


def _mixed(player: BedPlayer, n: int, start: int = 0) -> Samples:
    out = np.zeros((n, 2), np.float32)
    player.mix_into(out, start)
    return out


def _scene() -> tuple[list[Layer], Room]:
    first, second = _loop(997, 1), _loop(2400, 2)
    layers = [
        Layer(first, 30, 400, 3000, 900, 0.7, 12, split(first, RATE)),
        Layer(second, 2100, 900, None, 0, 1.0, 5, split(second, RATE)),
    ]
    return layers, Room((1.0, 1.0, 1.0), (0.9, 0.5, 0.8), 1500, 2500)


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 700), min_size=1, max_size=12),
    max_block=st.sampled_from([1, 64, 512, 4096]),
    with_room=st.booleans(),
)
def test_the_cut_into_blocks_changes_no_bit(
    sizes: list[int], max_block: int, with_room: bool
) -> None:
    layers, room = _scene()
    whole, cut = BedPlayer(8192), BedPlayer(max_block)
    for player in (whole, cut):
        player.set_layers(layers)
        player.set_room(room if with_room else None)
    expected, got = _mixed(whole, 4000), np.zeros((4000, 2), np.float32)
    start, i = 0, 0
    sizes = [*sizes, 701]
    while start < len(got):
        size = sizes[i % len(sizes)]
        cut.mix_into(got[start : start + size], start)
        start, i = start + size, i + 1
    assert np.array_equal(got, expected)


def test_a_loop_goes_round_and_round() -> None:
    loop = _loop(100)
    player = BedPlayer(64)
    player.set_layers([Layer(loop, start=0, offset=37)])
    expected = np.roll(np.tile(loop, (5, 1)), -37, axis=0)
    assert np.array_equal(_mixed(player, 500), expected)
    far = 100 * 10**10  # a bed that has run for months
    assert np.array_equal(_mixed(player, 500, far), expected)


def test_bands_at_unit_gain_are_the_loop() -> None:
    layers, _ = _scene()
    player = BedPlayer()
    player.set_layers(layers)
    plain = _mixed(player, 4000)
    player.set_room(Room((1.0,) * 3, (1.0,) * 3))
    assert np.max(np.abs(_mixed(player, 4000) - plain)) < 1e-5


def test_crossfading_layers_hold_the_power() -> None:
    fade, n = 40_000, 200_000
    first = Layer(_loop(60_000, 3), 0, 0, 120_000, fade)
    second = Layer(_loop(70_000, 4), 80_000, fade)
    player = BedPlayer()
    player.set_layers([first, second])
    out = _mixed(player, n)
    levels = 10 * np.log10(np.mean(out.reshape(50, -1) ** 2, axis=1))
    assert np.ptp(levels) < 0.5
    assert not _mixed_alone(first, 120_000).any()


def _mixed_alone(layer: Layer, start: int) -> Samples:
    player = BedPlayer()
    player.set_layers([layer])
    return _mixed(player, 100, start)


def test_publishing_a_stop_leaves_what_was_heard_alone() -> None:
    loop = _loop(5000)
    player = BedPlayer(512)
    player.set_layers([Layer(loop, 0)])
    before = _mixed(player, 2000)
    player.set_layers([Layer(loop, 0, stop=9000, fade_out=4000)])
    assert np.array_equal(_mixed(player, 2000), before)
    assert not _mixed(player, 2000, 9000).any()


def test_layers_that_cannot_be_played_are_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        Layer(np.zeros((10, 2)), 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one"):
        Layer(np.zeros((0, 2), np.float32), 0)
    with pytest.raises(ValueError, match="bands"):
        Layer(_loop(10), 0, bands=(_loop(9),))


@pytest.mark.parametrize("with_room", [False, True])
def test_two_layers_crossfading_take_a_small_share_of_the_block(
    with_room: bool,
) -> None:
    loops = [_loop(3 * RATE, seed) for seed in (1, 2)]
    bands = [split(loop, RATE) for loop in loops]
    player = BedPlayer(512)
    player.set_layers(
        [
            Layer(loops[0], 0, 0, 10 * RATE, 10 * RATE, bands=bands[0]),
            Layer(loops[1], 0, 10 * RATE, bands=bands[1]),
        ]
    )
    if with_room:
        player.set_room(Room((1.0,) * 3, (0.5,) * 3, 0, 10 * RATE))
    out, times = np.zeros((512, 2), np.float32), []
    for start in range(512, 9 * RATE, 512):
        begin = time.thread_time()
        player.mix_into(out, start)
        times.append(time.thread_time() - begin)
    assert float(np.median(times)) < 0.03 * 512 / RATE


def test_mixing_holds_on_to_no_memory() -> None:
    layers, room = _scene()
    player, out = BedPlayer(512), np.zeros((512, 2), np.float32)
    player.set_layers(layers)
    player.set_room(room)
    player.mix_into(out, 2200)
    tracemalloc.start()
    start = tracemalloc.get_traced_memory()[0]
    for position in range(0, 512 * 500, 512):
        player.mix_into(out, position)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held - start < 4096
    assert peak - start < 64_000  # numpy's own casting buffers, of a fixed size
