"""Loops mixed as a function of position, and what decides their sound."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effects.audio.levels import Samples
from effects.bed.layer_mixer import LayerMixer
from effects.bed.loop_layer import LoopLayer, powers_into

RATE = 48_000


def _loop(n: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).standard_normal((n, 2)).astype(np.float32)


def _mixed(layers: list[LoopLayer], n: int, start: int = 0) -> Samples:
    out = np.zeros((n, 2), np.float32)
    LayerMixer(512).mix_into(out, layers, start)
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
    whole, cut, layers = LayerMixer(8192), LayerMixer(max_block), _scene()
    expected, got = (np.zeros((4000, 2), np.float32) for _ in range(2))
    whole.mix_into(expected, layers, 0)
    start, i = 0, 0
    sizes = [*sizes, 701]
    while start < len(got):
        size = sizes[i % len(sizes)]
        cut.mix_into(got[start : start + size], layers, start)
        start, i = start + size, i + 1
    assert np.array_equal(got, expected)


def test_a_loop_goes_round_and_round() -> None:
    loop = _loop(100)
    layers = [LoopLayer(loop, start=0, offset=37)]
    expected = np.roll(np.tile(loop, (5, 1)), -37, axis=0)
    assert np.array_equal(_mixed(layers, 500), expected)
    far = 100 * 10**10  # a bed that has run for months
    assert np.array_equal(_mixed(layers, 500, far), expected)


def test_crossfading_layers_hold_the_power() -> None:
    fade, n = 40_000, 200_000
    first = LoopLayer(_loop(60_000, 3), 0, 0, 120_000, fade)
    second = LoopLayer(_loop(70_000, 4), 80_000, fade)
    out = _mixed([first, second], n)
    levels = 10 * np.log10(np.mean(out.reshape(50, -1) ** 2, axis=1))
    assert np.ptp(levels) < 0.5
    assert not _mixed([first], 100, 120_000).any()


def test_a_stop_leaves_alone_what_was_heard_before() -> None:
    loop = _loop(5000)
    endless = LoopLayer(loop, 0)
    stopped = LoopLayer(loop, 0, stop=9000, fade_out=4000)
    assert np.array_equal(_mixed([stopped], 2000), _mixed([endless], 2000))
    assert not _mixed([stopped], 2000, 9000).any()


FIELDS = st.fixed_dictionaries(
    {
        "start": st.sampled_from([0, 500, 1500]),
        "fade_in": st.sampled_from([0, 300, 900]),
        "stop": st.sampled_from([None, 1200, 2500]),
        "fade_out": st.sampled_from([0, 400]),
        "gain": st.sampled_from([1.0, 0.4]),
        "offset": st.sampled_from([0, 500]),
    }
)


@settings(max_examples=300, deadline=None)
@given(first=FIELDS, second=FIELDS, begin=st.integers(0, 3000))
def test_layers_that_are_equal_for_a_stretch_sound_alike_there(
    first: dict[str, Any], second: dict[str, Any], begin: int
) -> None:
    loop = _loop(700)
    layers = [LoopLayer(loop, **fields) for fields in (first, second)]
    heard = [layer.heard_between(begin, begin + 200) for layer in layers]
    out = [_mixed([layer], 200, begin) for layer in layers]
    if heard[0] == heard[1]:
        assert np.array_equal(out[0], out[1])
    if not heard[0]:
        assert not out[0].any()


def test_a_layer_published_again_or_with_a_later_stop_is_the_same_until_then() -> None:
    loop = _loop(700)
    first = LoopLayer(loop, 100, fade_in=300, offset=5)
    again = LoopLayer(loop, 100, fade_in=300, offset=5, stop=2000, fade_out=500)
    other = LoopLayer(_loop(700), 100, fade_in=300, offset=5)
    assert first.heard_between(0, 1500) == again.heard_between(0, 1500)
    assert first.heard_between(0, 1501) != again.heard_between(0, 1501)
    assert first.heard_between(0, 1500) != other.heard_between(0, 1500)


def test_the_power_of_the_bands_follows_the_fades() -> None:
    loop, power, out = _loop(4000, 3), np.arange(24.0), np.ones((1, 24))
    layer = LoopLayer(loop, 1000, 800, 5000, 400, 0.5, power=power)
    for position, gain in (
        (900, 0.0),
        (1400, 0.5 * 0.5**0.5),
        (3000, 0.5),
        (4800, 0.5 * 0.5**0.5),
        (5000, 0.0),
    ):
        powers_into(out, [layer], range(position, position + 1))
        assert np.allclose(out, power * gain**2), position


@settings(max_examples=200, deadline=None)
@given(
    first=FIELDS,
    second=FIELDS,
    begin=st.integers(0, 3000),
    step=st.integers(1, 400),
    n=st.integers(1, 9),
)
def test_powers_are_the_same_to_the_bit_however_many_are_asked_for(
    first: dict[str, Any], second: dict[str, Any], begin: int, step: int, n: int
) -> None:
    loop, power = _loop(700), np.random.default_rng(1).random(24)
    layers = [LoopLayer(loop, **fields, power=power) for fields in (first, second)]
    positions = range(begin, begin + n * step, step)
    together, alone = np.ones((n, 24)), np.ones((1, 24))
    powers_into(together, layers, positions)
    for row, position in zip(together, positions, strict=True):
        powers_into(alone, layers, range(position, position + 1))
        assert np.array_equal(row, alone[0])


def test_layers_that_cannot_be_played_are_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        LoopLayer(np.zeros((10, 2)), 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one"):
        LoopLayer(np.zeros((0, 2), np.float32), 0)


def test_mixing_holds_on_to_no_memory() -> None:
    mixer, out, layers = LayerMixer(512), np.zeros((512, 2), np.float32), _scene()
    mixer.mix_into(out, layers, 2200)
    tracemalloc.start()
    start = tracemalloc.get_traced_memory()[0]
    for position in range(0, 512 * 500, 512):
        mixer.mix_into(out, layers, position)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held - start < 4096
    assert peak - start < 64_000  # numpy's own casting buffers, of a fixed size
