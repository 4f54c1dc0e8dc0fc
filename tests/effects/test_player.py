import threading
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effects.audio.levels import Samples
from effects.bed.player import BedPlayer, LoopLayer

RATE = 48_000


def _loop(n: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).standard_normal((n, 2)).astype(np.float32)


def _mixed(player: BedPlayer, n: int, start: int = 0) -> Samples:
    out = np.zeros((n, 2), np.float32)
    player.mix_into(out, start)
    return out


def _scene() -> list[LoopLayer]:
    first, second = _loop(997, 1), _loop(2400, 2)
    return [
        LoopLayer(first, 30, 400, 3000, 900, 0.7, 12),
        LoopLayer(second, 2100, 900, None, 0, 1.0, 5),
    ]


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 700), min_size=1, max_size=12),
    max_block=st.sampled_from([1, 64, 512, 4096]),
)
def test_the_cut_into_blocks_changes_no_bit(sizes: list[int], max_block: int) -> None:
    whole, cut = BedPlayer(8192), BedPlayer(max_block)
    for player in (whole, cut):
        player.set_layers(_scene())
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
    player.set_layers([LoopLayer(loop, start=0, offset=37)])
    expected = np.roll(np.tile(loop, (5, 1)), -37, axis=0)
    assert np.array_equal(_mixed(player, 500), expected)
    far = 100 * 10**10  # a bed that has run for months
    assert np.array_equal(_mixed(player, 500, far), expected)


def test_the_power_of_the_bands_follows_the_fades() -> None:
    loop, power = _loop(4000, 3), np.arange(24.0)
    player, out = BedPlayer(), np.ones(24)
    player.set_layers([LoopLayer(loop, 1000, 800, 5000, 400, 0.5, power=power)])
    for position, gain in (
        (900, 0.0),
        (1400, 0.5 * 0.5**0.5),
        (3000, 0.5),
        (4800, 0.5 * 0.5**0.5),
        (5000, 0.0),
    ):
        player.power_into(out, position)
        assert np.allclose(out, power * gain**2), position


def test_crossfading_layers_hold_the_power() -> None:
    fade, n = 40_000, 200_000
    first = LoopLayer(_loop(60_000, 3), 0, 0, 120_000, fade)
    second = LoopLayer(_loop(70_000, 4), 80_000, fade)
    player = BedPlayer()
    player.set_layers([first, second])
    out = _mixed(player, n)
    levels = 10 * np.log10(np.mean(out.reshape(50, -1) ** 2, axis=1))
    assert np.ptp(levels) < 0.5
    assert not _mixed_alone(first, 120_000).any()


def _mixed_alone(layer: LoopLayer, start: int) -> Samples:
    player = BedPlayer()
    player.set_layers([layer])
    return _mixed(player, 100, start)


def test_publishing_a_stop_leaves_what_was_heard_alone() -> None:
    loop = _loop(5000)
    player = BedPlayer(512)
    player.set_layers([LoopLayer(loop, 0)])
    before = _mixed(player, 2000)
    player.set_layers([LoopLayer(loop, 0, stop=9000, fade_out=4000)])
    assert np.array_equal(_mixed(player, 2000), before)
    assert not _mixed(player, 2000, 9000).any()


@pytest.mark.parametrize("late", [False, True])
def test_an_offer_is_taken_only_if_it_is_in_time(late: bool) -> None:
    player = BedPlayer(512)
    first, second = (
        LoopLayer(_loop(5000), 0, stop=3000),
        LoopLayer(_loop(5000, 1), 2048),
    )
    player.set_layers([first])
    answers: list[bool] = []
    thread = threading.Thread(
        target=lambda: answers.append(player.offer([second], 2048, lambda: False))
    )
    thread.start()
    while player._offer.until < 0:
        time.sleep(0.001)
    _mixed(player, 10, 2049 if late else 2048)
    thread.join(5.0)
    assert answers == [not late]
    assert player.layers == ((first,) if late else (second,))


def test_nobody_waits_for_ever_for_a_callback_that_has_ended() -> None:
    assert not BedPlayer().offer([], 0, lambda: True)


def test_layers_that_cannot_be_played_are_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        LoopLayer(np.zeros((10, 2)), 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one"):
        LoopLayer(np.zeros((0, 2), np.float32), 0)


def test_mixing_holds_on_to_no_memory() -> None:
    player, out = BedPlayer(512), np.zeros((512, 2), np.float32)
    player.set_layers(_scene())
    player.mix_into(out, 2200)
    tracemalloc.start()
    start = tracemalloc.get_traced_memory()[0]
    for position in range(0, 512 * 500, 512):
        player.mix_into(out, position)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held - start < 4096
    assert peak - start < 64_000  # numpy's own casting buffers, of a fixed size
