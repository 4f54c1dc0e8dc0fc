"""The ducked bed: how much it is turned down, and that nothing else changes it."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from effects.audio.levels import Samples
from effects.audio.third_octaves import (
    CENTRES_HZ,
    N_BANDS,
    Bands,
    band_sums,
    loop_power,
)
from effects.bed.ducking import AHEAD, DuckedBed
from effects.bed.filtering import (
    LOST_DB,
    MOST_BACK_DB,
    NO_CUTOFF_HZ,
    BedFilter,
    low_pass,
)
from effects.bed.frames import (
    BATCH,
    BedFrame,
    FrameInputs,
    FrameMaker,
    fade_length,
    hop_length,
)
from effects.bed.layer_mixer import LayerMixer
from effects.bed.loop_layer import LoopLayer
from effects.bed.masking import BandEnvelope
from effects.bed.published_layers import PublishedLayers
from tests.support.signals import clicks

RATE = 48_000
FAR = BedFilter(6.0, 700.0)
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


def _held(power: Bands) -> BandEnvelope:
    return BandEnvelope((0,), (power,))


def _bed(layers: list[LoopLayer], batch: int = 1) -> DuckedBed:
    published = PublishedLayers()
    published.replace(layers)
    return DuckedBed(published, RATE, batch=batch)


def _mixed(
    bed: DuckedBed,
    n: int,
    envelope: BandEnvelope,
    depth_db: float,
    *,
    start: int = 0,
    cutoff_hz: float = NO_CUTOFF_HZ,
) -> Samples:
    out = np.zeros((n, 2), np.float32)
    for at in range(0, n, 512):
        bed.mix_into(
            out[at : at + 512], start + at, envelope, BedFilter(depth_db, cutoff_hz)
        )
    return out


def test_without_music_or_without_depth_the_bed_is_itself() -> None:
    layer = _layer()
    plain = np.zeros((3 * RATE, 2), np.float32)
    LayerMixer().mix_into(plain, [layer], 0)
    for envelope, depth_db in ((BandEnvelope(), 6.0), (_held(_partials()), 0.0)):
        out = _mixed(_bed([layer]), len(plain), envelope, depth_db)
        assert np.max(np.abs(out - plain)) < 1e-6


@pytest.mark.parametrize("depth_db", [3.0, 6.0])
def test_the_bed_is_ducked_by_the_depth_at_the_partials_and_nowhere_else(
    depth_db: float,
) -> None:
    layer = _layer(20.0)
    plain = _mixed(_bed([layer]), 20 * RATE, BandEnvelope(), depth_db)
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


@pytest.mark.parametrize("cutoff_hz", [200.0, 700.0, 3_000.0])
@pytest.mark.parametrize("rate", [44_100, 48_000])
def test_the_low_pass_takes_twelve_db_an_octave_above_the_cutoff(
    cutoff_hz: float, rate: int
) -> None:
    layer = _layer(20.0)
    published = PublishedLayers()
    published.replace([layer])
    plain, out = (np.zeros((20 * rate, 2), np.float32) for _ in range(2))
    for mixed, bed_filter in ((plain, BedFilter()), (out, BedFilter(0.0, cutoff_hz))):
        DuckedBed(published, rate, batch=16).mix_into(
            mixed, 0, BandEnvelope(), bed_filter
        )
    hz, before = signal.welch(plain[:, 0], rate, nperseg=4096)
    after = signal.welch(out[:, 0], rate, nperseg=4096)[1]
    heard = (hz > 40.0) & (hz < 10_000.0)
    change = 10 * np.log10(after[heard] / before[heard])
    change -= np.mean(change[hz[heard] < 0.5 * cutoff_hz])  # what is given back of it
    expected = -10 * np.log10(1.0 + (hz[heard] / cutoff_hz) ** 4)
    # Gains lie on steps that are a third of an octave apart: up to 2 dB beside it.
    assert np.max(np.abs(change - expected)) < 2.5
    assert abs(np.mean(change - expected)) < 0.3


def test_a_sound_that_is_nearly_all_treble_keeps_some_of_its_loudness() -> None:
    sos = signal.butter(4, 2_500.0, "highpass", fs=RATE, output="sos")
    high = signal.sosfilt(sos, _noise(8.0), axis=0).astype(np.float32)
    layer = LoopLayer(high, 0, power=loop_power(high, RATE))
    plain = _mixed(_bed([layer]), 8 * RATE, BandEnvelope(), 0.0)
    far = _mixed(_bed([layer]), 8 * RATE, BandEnvelope(), 0.0, cutoff_hz=700.0)
    taken_db = -20 * np.log10(low_pass(700.0)[np.argmin(np.abs(CENTRES_HZ - 2_800.0))])
    lost_db = 20 * np.log10(np.std(plain) / np.std(far))
    assert taken_db > LOST_DB + MOST_BACK_DB + 5.0
    assert lost_db > taken_db - MOST_BACK_DB


def test_partials_duck_what_the_low_pass_leaves() -> None:
    layer = _layer(20.0)
    far = _mixed(_bed([layer]), 20 * RATE, BandEnvelope(), 6.0, cutoff_hz=700.0)
    out = _mixed(_bed([layer]), 20 * RATE, _held(_partials()), 6.0, cutoff_hz=700.0)
    hz, before = signal.welch(far[:, 0], RATE, nperseg=8192)
    change = 10 * np.log10(signal.welch(out[:, 0], RATE, nperseg=8192)[1] / before)
    for partial in PARTIALS_HZ:
        at = np.abs(hz - partial) < 0.03 * partial
        assert np.mean(change[at]) == pytest.approx(-6.0, abs=0.4), partial


def test_a_turned_cutoff_makes_no_click() -> None:
    layer = _layer(4.0)
    bed, out = _bed([layer]), np.zeros((6 * RATE, 2), np.float32)
    for at in range(0, len(out), 512):
        cutoff_hz = 300.0 if RATE < at < 3 * RATE else NO_CUTOFF_HZ
        bed.mix_into(out[at : at + 512], at, BandEnvelope(), BedFilter(3.0, cutoff_hz))
    assert len(clicks(out)) == 0
    level = np.sqrt(np.mean(out.reshape(6, -1) ** 2, axis=1))
    assert level[2] < 0.3 * level[0]
    assert level[5] == pytest.approx(level[0], rel=0.05)


def test_it_comes_and_goes_without_a_click_or_a_step() -> None:
    layer, silence = _layer(12.0), np.zeros(N_BANDS)
    envelope = BandEnvelope()
    for second, power in ((2, silence), (3, _partials()), (6, _partials())):
        envelope = envelope.extended(second * RATE, power, RATE)
    # And off at once, as no music does that is heard.
    envelope = envelope.extended(6 * RATE + 1, silence, RATE)
    out = _mixed(_bed([layer]), 9 * RATE, envelope, 12.0)
    assert len(clicks(out)) == 0
    sos = signal.butter(4, (1_070.0, 1_150.0), "bandpass", fs=RATE, output="sos")
    band = signal.sosfilt(sos, out[:, 0])
    level = 10 * np.log10(np.mean(band.reshape(9, -1) ** 2, axis=1))
    assert np.mean(level[3:6]) < np.mean(level[[1, 7, 8]]) - 9.0
    whole = 10 * np.log10(np.mean(out.reshape(90, -1) ** 2, axis=1))
    assert np.max(np.abs(np.diff(whole))) < 0.5


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
def test_frames_that_fade_into_one_another_add_up_to_what_they_are_made_of(
    rate: int,
) -> None:
    hop, fade = hop_length(rate), fade_length(rate)
    assert 0.02 < fade / rate < 0.03
    layer = _layer(1.0)
    maker = FrameMaker(rate)
    frames = maker.make(0, BATCH, FrameInputs((layer,), BandEnvelope(), BedFilter(6.0)))
    total = np.zeros((BATCH * hop + fade, 2), np.float32)
    for frame in frames:
        total[frame.begin : frame.begin + hop + fade] += frame.samples
    plain = np.zeros_like(total)
    LayerMixer().mix_into(plain, [layer], 0)
    whole = slice(fade, BATCH * hop)
    assert np.max(np.abs(total[whole] - plain[whole])) < 1e-6


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=8),
    start=st.integers(0, 20_000),
    batch=st.sampled_from([1, 3, BATCH]),
    ahead=st.booleans(),
    bed_filter=st.sampled_from([BedFilter(6.0), FAR]),
)
def test_what_sounds_is_decided_by_the_position_alone(
    sizes: list[int], start: int, batch: int, ahead: bool, bed_filter: BedFilter
) -> None:
    """Nor by who made the frames, nor in which company."""
    layers = [
        _layer(0.3, 1, fade_in=3000, stop=30_000, fade_out=9000),
        _layer(0.2, 2, fade_in=9000),
    ]
    envelope = BandEnvelope(
        (0, 20_000, 40_000), (0 * _partials(), _partials(), _partials())
    )
    whole = np.zeros((40_000, 2), np.float32)
    _bed(layers).mix_into(whole, 0, envelope, bed_filter)
    bed, position, i = _bed(layers, batch), start, 0
    sizes = [*sizes, 701]
    while position < 30_000:
        part = np.zeros((sizes[i % len(sizes)], 2), np.float32)
        if ahead and i % 3 == 0:
            bed.make_ahead(position, envelope, bed_filter)
        bed.mix_into(part, position, envelope, bed_filter)
        assert np.array_equal(part, whole[position : position + len(part)])
        position, i = position + len(part), i + 1


@pytest.mark.parametrize("bed_filter", [BedFilter(6.0), FAR])
def test_frames_are_the_same_in_any_batch(bed_filter: BedFilter) -> None:
    layers = (_layer(0.3, 1, fade_in=3000, stop=60_000), _layer(0.2, 2))
    # So that some frames of a batch are ducked, and others are not.
    silence, loud = np.zeros(N_BANDS), _partials()
    envelope = BandEnvelope((0, 40_000, 50_000, 70_000), (silence, loud, loud, silence))
    inputs = FrameInputs(layers, envelope, bed_filter)
    together = FrameMaker(RATE).make(3, BATCH, inputs)
    alone = FrameMaker(RATE, 1)
    for number, frame in enumerate(together, 3):
        (single,) = alone.make(number, 1, inputs)
        assert single.begin == frame.begin == number * hop_length(RATE)
        assert np.array_equal(single.samples, frame.samples), number


def _watched(bed: DuckedBed) -> list[int]:
    """Numbers of the frames that `mix_into` makes itself from now on."""
    numbers: list[int] = []
    make = bed._maker.make

    def noted(number: int, n: int, inputs: FrameInputs) -> list[BedFrame]:
        numbers.append(number)
        return make(number, n, inputs)

    bed._maker.make = noted  # type: ignore[method-assign]
    return numbers


def test_what_was_made_ahead_is_taken_and_made_once() -> None:
    layers, envelope = [_layer(3.0, 1)], BandEnvelope((0, 9 * RATE), (_partials(),) * 2)
    bed, expected = _bed(layers), _mixed(_bed(layers), 6 * RATE, envelope, 6.0)
    late = _watched(bed)
    out = np.zeros((6 * RATE, 2), np.float32)
    bed.make_ahead(0, envelope, BedFilter(6.0))
    for at in range(0, len(out), 1024):
        if at % (16 * 1024) == 0:
            bed.make_ahead(at, envelope, BedFilter(6.0))
        bed.mix_into(out[at : at + 1024], at, envelope, BedFilter(6.0))
    assert late == [-1]  # the frame before the first
    assert np.array_equal(out, expected)


def test_frames_are_made_ahead_by_the_dozen() -> None:
    """However often it is looked at: a few at a time cost each twice as much."""
    bed, envelope = _bed([_layer(3.0, 1)]), BandEnvelope()
    bed.make_ahead(0, envelope, BedFilter(6.0))
    maker = bed._ahead_maker
    assert maker is not None
    sizes: list[int] = []
    make = maker.make

    def noted(number: int, n: int, inputs: FrameInputs) -> list[BedFrame]:
        sizes.append(n)
        return make(number, n, inputs)

    maker.make = noted  # type: ignore[method-assign]
    late, out = _watched(bed), np.zeros((RATE // 10, 2), np.float32)
    for at in range(0, 20 * RATE, len(out)):
        bed.make_ahead(at, envelope, BedFilter(6.0))
        bed.mix_into(out, at, envelope, BedFilter(6.0))
    assert late == [-1]
    assert min(sizes) >= AHEAD // 2 - 1
    assert sum(sizes) == pytest.approx(20 * RATE / hop_length(RATE), abs=AHEAD)


def test_what_no_longer_holds_is_made_again_from_its_position_on() -> None:
    """Another plan of the music, other layers, another filter."""
    first, second = _layer(3.0, 1), _layer(2.0, 2, fade_in=4000)
    loud, silence = _partials(), np.zeros(N_BANDS)
    before = BandEnvelope((0, 8 * RATE), (loud, loud))
    after = BandEnvelope((0, 8 * RATE), (silence, silence)).joined(
        before, 2 * RATE, 3000
    )
    stopped = LoopLayer(
        first.samples, 0, stop=4 * RATE, fade_out=9000, power=first.power
    )
    later = LoopLayer(second.samples, 3 * RATE, fade_in=4000, power=second.power)

    def played(*, ahead: bool) -> tuple[Samples, int]:
        published = PublishedLayers()
        published.replace([first])
        bed = DuckedBed(published, RATE)
        late = _watched(bed)
        out = np.zeros((6 * RATE, 2), np.float32)
        for at in range(0, len(out), 512):
            envelope = before if at < 1.9 * RATE else after
            if at == 512 * 200:
                published.replace([stopped, later])
            bed_filter = BedFilter(6.0 if at < 5 * RATE else 2.0)
            if at > 5.5 * RATE:
                bed_filter = replace(bed_filter, cutoff_hz=700.0)
            if ahead and at % (512 * 32) == 0:
                bed.make_ahead(at, envelope, bed_filter)
            bed.mix_into(out[at : at + 512], at, envelope, bed_filter)
        return out, len(late)

    (plain, all_late), (out, late) = played(ahead=False), played(ahead=True)
    assert np.array_equal(out, plain)
    assert 1 <= late < 0.2 * all_late


def test_two_threads_may_make_the_same_bed() -> None:
    layers, envelope = [_layer(2.0, 1)], BandEnvelope((0, 9 * RATE), (_partials(),) * 2)
    expected = _mixed(_bed(layers), 4 * RATE, envelope, 6.0)
    bed, position, stop = _bed(layers), [0], threading.Event()

    def make() -> None:
        while not stop.is_set():
            bed.make_ahead(position[0], envelope, BedFilter(6.0))

    thread = threading.Thread(target=make)
    thread.start()
    out = np.zeros((4 * RATE, 2), np.float32)
    for at in range(0, len(out), 512):
        position[0] = at
        bed.mix_into(out[at : at + 512], at, envelope, BedFilter(6.0))
    stop.set()
    thread.join(10.0)
    assert not thread.is_alive()
    assert np.array_equal(out, expected)


def test_an_offer_holds_from_the_first_frame_that_is_not_decided() -> None:
    first, second = _layer(3.0, 1), _layer(2.0, 2)
    hop, published, out = (
        hop_length(RATE),
        PublishedLayers(),
        np.zeros((64, 2), np.float32),
    )
    published.replace([first])
    bed = DuckedBed(published, RATE)
    bed.mix_into(out, 0, BandEnvelope(), BedFilter(0.0))  # frame 0 reaches into hop 1
    answers: list[bool] = []

    def offer(until: int) -> None:
        layers = [first, replace(second, start=until)]
        answers.append(published.offer(layers, until, lambda: True))

    fade = fade_length(RATE)  # over which the frame before is still heard
    for until, position in ((hop + fade - 1, hop), (2 * hop + fade, 2 * hop)):
        thread = threading.Thread(target=offer, args=(until,))
        thread.start()
        while published._answered is published._offer:
            time.sleep(0.001)
        bed.mix_into(out, position, BandEnvelope(), BedFilter(0.0))
        thread.join(5.0)
    assert answers == [False, True]


@pytest.mark.parametrize("depth_db", [0.0, 6.0])
def test_two_layers_crossfading_take_a_small_share_of_the_block(
    depth_db: float,
) -> None:
    ten = 10 * RATE
    layers = [_layer(3.0, 1, stop=ten, fade_out=ten), _layer(3.0, 2, fade_in=ten)]
    bed, envelope = _bed(layers), BandEnvelope((0, 9 * RATE), (_partials(),) * 2)
    out, times = np.zeros((512, 2), np.float32), []
    for start in range(512, 9 * RATE, 512):
        begin = time.thread_time()
        bed.mix_into(out, start, envelope, BedFilter(depth_db))
        times.append(time.thread_time() - begin)
    # Every seventh block makes a frame: the mean counts, not the median.
    assert float(np.mean(sorted(times)[: -len(times) // 50])) < 0.03 * 512 / RATE
