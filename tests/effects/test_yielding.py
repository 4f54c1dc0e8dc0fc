import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from effects.audio.levels import Samples
from effects.audio.third_octaves import N_BANDS, Bands, band_sums, loop_power
from effects.bed.ducking import YieldingBed
from effects.bed.masking import Course
from effects.bed.player import BedPlayer, LoopLayer
from tests.support.signals import clicks

RATE = 48_000
PARTIALS_HZ = (220.0, 1_100.0)


def _noise(seconds: float, seed: int = 0) -> Samples:
    noise = np.random.default_rng(seed).standard_normal((round(seconds * RATE), 2))
    return (0.03 * noise).astype(np.float32)


def _layer(seconds: float = 4.0, seed: int = 0, **fades: int) -> LoopLayer:
    loop = _noise(seconds, seed)
    return LoopLayer(loop, 0, power=loop_power(loop, RATE), **fades)


def _partials() -> Bands:
    """A tone of -20 dB at each of `PARTIALS_HZ`."""
    power = np.zeros(RATE // 2 + 1)
    power[[round(hz) for hz in PARTIALS_HZ]] = 0.01
    return band_sums(power, RATE)


def _held(power: Bands) -> Course:
    return Course((0,), (power,))


def _bed(layers: list[LoopLayer]) -> YieldingBed:
    player = BedPlayer()
    player.set_layers(layers)
    return YieldingBed(player, RATE)


def _mixed(
    bed: YieldingBed, n: int, course: Course, depth_db: float, start: int = 0
) -> Samples:
    out = np.zeros((n, 2), np.float32)
    for at in range(0, n, 512):
        bed.mix_into(out[at : at + 512], start + at, course, depth_db)
    return out


def test_without_music_or_without_depth_the_bed_is_itself() -> None:
    layer = _layer()
    plain = np.zeros((3 * RATE, 2), np.float32)
    player = BedPlayer()
    player.set_layers([layer])
    player.mix_into(plain, 0)
    for course, depth_db in ((Course(), 6.0), (_held(_partials()), 0.0)):
        out = _mixed(_bed([layer]), len(plain), course, depth_db)
        assert np.max(np.abs(out - plain)) < 1e-6


@pytest.mark.parametrize("depth_db", [3.0, 6.0])
def test_the_bed_yields_by_the_depth_at_the_partials_and_nowhere_else(
    depth_db: float,
) -> None:
    layer = _layer(20.0)
    plain = _mixed(_bed([layer]), 20 * RATE, Course(), depth_db)
    out = _mixed(_bed([layer]), 20 * RATE, _held(_partials()), depth_db)
    hz, before = signal.welch(plain[:, 0], RATE, nperseg=8192)
    after = signal.welch(out[:, 0], RATE, nperseg=8192)[1]
    change = 10 * np.log10(after / before)
    for partial in PARTIALS_HZ:
        at = np.abs(hz - partial) < 0.03 * partial
        assert np.mean(change[at]) == pytest.approx(-depth_db, abs=0.4), partial
    octaves = [np.abs(np.log2(np.maximum(hz, 1.0) / p)) for p in PARTIALS_HZ]
    outside = (np.min(octaves, axis=0) > 0.75) & (hz > 30.0)
    assert np.max(np.abs(change[outside])) < 0.2


def test_it_comes_and_goes_without_a_click_or_a_step() -> None:
    layer, silence = _layer(12.0), np.zeros(N_BANDS)
    course = Course()
    for second, power in ((2, silence), (3, _partials()), (6, _partials())):
        course = course.extended(second * RATE, power, RATE)
    # And off at once, as no music does that is heard.
    course = course.extended(6 * RATE + 1, silence, RATE)
    out = _mixed(_bed([layer]), 9 * RATE, course, 12.0)
    assert len(clicks(out)) == 0
    sos = signal.butter(4, (1_070.0, 1_150.0), "bandpass", fs=RATE, output="sos")
    band = signal.sosfilt(sos, out[:, 0])
    level = 10 * np.log10(np.mean(band.reshape(9, -1) ** 2, axis=1))
    assert np.mean(level[3:6]) < np.mean(level[[1, 7, 8]]) - 9.0
    whole = 10 * np.log10(np.mean(out.reshape(90, -1) ** 2, axis=1))
    assert np.max(np.abs(np.diff(whole))) < 0.5


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=8),
    start=st.integers(0, 20_000),
)
def test_what_sounds_is_decided_by_the_position_alone(
    sizes: list[int], start: int
) -> None:
    layers = [
        _layer(0.3, 1, fade_in=3000, stop=30_000, fade_out=9000),
        _layer(0.2, 2, fade_in=9000),
    ]
    course = Course((0, 20_000, 40_000), (0 * _partials(), _partials(), _partials()))
    whole = np.zeros((40_000, 2), np.float32)
    _bed(layers).mix_into(whole, 0, course, 6.0)
    bed, position, i = _bed(layers), start, 0
    sizes = [*sizes, 701]
    while position < 30_000:
        part = np.zeros((sizes[i % len(sizes)], 2), np.float32)
        bed.mix_into(part, position, course, 6.0)
        assert np.array_equal(part, whole[position : position + len(part)])
        position, i = position + len(part), i + 1


@pytest.mark.parametrize("depth_db", [0.0, 6.0])
def test_two_layers_crossfading_take_a_small_share_of_the_block(
    depth_db: float,
) -> None:
    ten = 10 * RATE
    layers = [_layer(3.0, 1, stop=ten, fade_out=ten), _layer(3.0, 2, fade_in=ten)]
    bed, course = _bed(layers), _held(_partials())
    out, times = np.zeros((512, 2), np.float32), []
    for start in range(512, 9 * RATE, 512):
        begin = time.thread_time()
        bed.mix_into(out, start, course, depth_db)
        times.append(time.thread_time() - begin)
    # Every other block makes a frame: the mean counts, not the median.
    assert float(np.mean(sorted(times)[: -len(times) // 50])) < 0.03 * 512 / RATE
