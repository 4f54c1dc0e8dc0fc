"""The mixer's laws: any block sizes, exact gains, straight ramps, no surprises."""

import itertools
import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter

from effects.audio.levels import Samples
from effects.bed.ducking import DuckedBed
from effects.bed.loop_layer import LoopLayer
from effects.bed.masking import BandEnvelope
from effects.bed.published_layers import PublishedLayers
from engine.control.controls import CONTROLS, Controls, Snapshot, snapshot_of
from engine.live.callback_log import LogEntry
from engine.live.fade import FadeKind, FadeRequest
from engine.live.metrics import Metrics
from engine.live.mixer import LOW_SHARE, RAMP_S, SIDE_OVER_MID, TILT_PIVOT_HZ, Mixer
from tests.support.slabs import stereo

RATE = 8000
TOTAL = 6000
AT = 2048  # a gain is turned


class Given:
    """A source of samples known beforehand."""

    def __init__(self, samples: Samples) -> None:
        self.samples, self.position = samples, 0
        self.band_envelope = BandEnvelope()

    def read_into(self, out: Samples) -> int:
        part = self.samples[self.position : self.position + len(out)]
        out[: len(part)] = part
        out[len(part) :] = 0.0
        self.position += len(out)
        return len(part)


class Kept:
    """A tap that keeps all."""

    def __init__(self) -> None:
        self.blocks: list[Samples] = []

    def write(self, samples: Samples) -> bool:
        self.blocks.append(samples.copy())
        return True


def layers(seed: int = 0, level: float = 0.02) -> Samples:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal((TOTAL, 2))).astype(np.float32)


def bed() -> DuckedBed:
    rng = np.random.default_rng(9)
    loop = (0.01 * rng.standard_normal((700, 2))).astype(np.float32)
    layers = PublishedLayers()
    layers.replace([LoopLayer(loop, 100, 300, 4000, 500), LoopLayer(loop, 2500, 900)])
    return DuckedBed(layers, RATE)


def mix(
    blocks: list[int],
    turn: Callable[[int], Snapshot] | None = None,
    *,
    with_bed: bool = True,
    source: Samples | None = None,
) -> tuple[NDArray[np.float32], Mixer]:
    """The master, cut into these blocks, with `turn` giving controls at a position."""
    fixed = Controls().snapshot
    mixer = Mixer(
        Given(layers() if source is None else source),
        bed() if with_bed else None,
        RATE,
        lambda: turn(mixer.position) if turn else fixed,
        Metrics(),
    )
    out = np.zeros((sum(blocks), 2), np.float32)
    start = 0
    for n in blocks:
        mixer.render(out[start : start + n])
        start += n
    return out, mixer


@given(
    sizes=st.lists(st.sampled_from([0, 1, 7, 64, 511, 512, 1000]), min_size=1),
    tilt=st.sampled_from([0.0, 3.0]),
)
@settings(max_examples=25, deadline=None)
def test_any_blocks_give_the_same_master(sizes: list[int], tilt: float) -> None:
    tilted = snapshot_of({**Controls().snapshot, "tilt": tilt})
    whole, _ = mix([TOTAL], lambda p: tilted)
    cut: list[int] = []
    while sum(cut) < TOTAL:
        for n in [*sizes, 333]:
            cut.append(min(n, TOTAL - sum(cut)))
    parts, _ = mix(cut, lambda p: tilted)
    np.testing.assert_array_equal(parts, whole)


def test_without_a_change_the_master_is_the_sum_delayed() -> None:
    out, mixer = mix([TOTAL], with_bed=False)
    music = layers()
    expected = stereo(music)
    late = mixer.latency
    np.testing.assert_allclose(out[late:], expected[:-late], atol=2e-6)


def low_passed(music: Samples, begin: int = AT) -> Samples:
    """What a low-pass of first order leaves of music, silence before sample `begin`."""
    fall = np.exp(-2.0 * np.pi * TILT_PIVOT_HZ / RATE)
    coming = music.copy()
    coming[:begin] = 0.0
    low: Samples = lfilter([1.0 - fall], [1.0, -fall], coming, axis=0)
    return low


def held(tilt: float, width: float) -> float:
    """Gain by which tilt, dB a side, and width leave the music's loudness."""
    low, high = 10 ** (-tilt / 10), 10 ** (tilt / 10)
    power = (LOW_SHARE * low + (1 - LOW_SHARE) * high) * (1 + SIDE_OVER_MID * width**2)
    return float((power / (1 + SIDE_OVER_MID)) ** -0.5)


@pytest.mark.parametrize(
    ("name", "value", "law"),
    [
        ("master/gain", -6.0, lambda m: m * 10 ** (-6 / 20)),
        ("master/mute", True, lambda m: m * 0.0),
        ("width", 0.0, lambda m: m * held(0.0, 0.0) * np.array([1, 0])),
        (
            "tilt",
            12.0,
            lambda m: (
                held(6.0, 1.0) * (10**0.3 * m + (10**-0.3 - 10**0.3) * low_passed(m))
            ),
        ),
    ],
)
def test_a_turned_gain_arrives_on_a_straight_ramp(
    name: str, value: float, law: Callable[[Samples], Samples]
) -> None:
    controls = Controls()
    before = controls.snapshot
    controls.set(name, value)
    after = controls.snapshot
    out, mixer = mix([256] * 23, lambda p: after if p >= AT else before, with_bed=False)
    music = layers()
    ramp = round(RAMP_S * RATE)
    share = np.clip((np.arange(TOTAL) - AT) / ramp, 0.0, 1.0)[:, None]
    mixed = music + share * (law(music) - music)
    expected = stereo(mixed)
    late = mixer.latency
    np.testing.assert_allclose(
        out[late:], expected[: len(out) - late], atol=3e-6, err_msg=name
    )
    assert (AT, after) in [(e.at, e.deed) for e in mixer.log.take()[0]]


def test_the_bed_has_a_level_of_its_own() -> None:
    controls = Controls()
    controls.update({"effects/gain": 0.0, "effects/cutoff": 20_000.0})
    full = controls.snapshot
    controls.set("effects/gain", -60.0)
    quiet = controls.snapshot
    silence = np.zeros((TOTAL, 2), np.float32)
    loud, _ = mix([TOTAL], lambda p: full, source=silence)
    low, _ = mix([TOTAL], lambda p: quiet, source=silence)
    assert np.std(loud) > 0.003
    assert np.std(low) < 0.002 * np.std(loud)


def test_nothing_exceeds_the_ceiling_and_nothing_is_nan() -> None:
    wild = layers(level=2.0)
    wild[1000] = np.nan
    wild[1001] = np.inf
    out, _ = mix([512] * 11, source=wild)
    assert np.all(np.isfinite(out))
    assert np.abs(out).max() <= 10 ** (-1 / 20)


def test_taps_get_the_master() -> None:
    tap = Kept()
    source = Given(layers())
    controls = Controls()
    mixer = Mixer(source, None, RATE, lambda: controls.snapshot, Metrics())
    mixer.taps = (tap,)
    out = np.zeros((3000, 2), np.float32)
    for start in range(0, 3000, 300):
        mixer.render(out[start : start + 300])
    np.testing.assert_array_equal(np.concatenate(tap.blocks), out)


def test_a_fade_is_straight_and_stays() -> None:
    source = np.full((TOTAL, 2), 0.1, np.float32)
    controls = Controls()
    mixer = Mixer(Given(source), None, RATE, lambda: controls.snapshot, Metrics())
    out = np.zeros((TOTAL, 2), np.float32)
    for start in range(0, TOTAL, 250):
        if start == 1000:
            request = FadeRequest(FadeKind.MAIN, 0.25, 0.0)
            mixer.fades[FadeKind.MAIN].ask(request)
        mixer.render(out[start : start + 250])
    late = mixer.latency
    share = np.clip((np.arange(TOTAL - late) - 1000) / 2000, 0.0, 1.0)
    np.testing.assert_allclose(out[late:, 0], 0.2 * (1 - share), atol=1e-5)
    np.testing.assert_allclose(out[late + 3000 :], 0.0, atol=1e-9)


def test_a_rise_begins_in_silence_and_slowly() -> None:
    source = np.full((TOTAL, 2), 0.1, np.float32)
    controls = Controls()
    mixer = Mixer(Given(source), None, RATE, lambda: controls.snapshot, Metrics())
    sleep = mixer.fades[FadeKind.SLEEP]
    sleep.ask(FadeRequest(FadeKind.SLEEP, 4000 / RATE, 1.0, 0.0, eased=True))
    out = np.zeros((TOTAL, 2), np.float32)
    for start in range(0, TOTAL, 250):
        if start == 3000:  # turned down on its way: no step, whatever comes next
            sleep.ask(FadeRequest(FadeKind.SLEEP, 1000 / RATE, 0.0))
        mixer.render(out[start : start + 250])
        assert start != 2000 or sleep.level(2000) == 0.25
    share = np.minimum(np.arange(TOTAL - mixer.latency) / 4000, 1.0) ** 2
    fall = np.clip((np.arange(TOTAL - mixer.latency) - 3000) / 1000, 0.0, 1.0)
    share[3000:] = 0.75**2 * (1.0 - fall[3000:])
    np.testing.assert_allclose(out[mixer.latency :, 0], 0.2 * share, atol=1e-5)


def test_fades_on_each_others_heels_make_no_step() -> None:
    """Each is begun before the one before it has arrived; of two at once, the last."""
    source = np.full((TOTAL, 2), 0.1, np.float32)
    controls = Controls()
    mixer = Mixer(Given(source), None, RATE, lambda: controls.snapshot, Metrics())
    fade = mixer.fades[FadeKind.MAIN]
    out = np.zeros((TOTAL, 2), np.float32)
    for start in range(0, TOTAL, 250):
        if start == 250:
            fade.ask(FadeRequest(FadeKind.MAIN, 2000 / RATE, 0.2))
        if start in (1250, 1500, 1750):
            fade.ask(FadeRequest(FadeKind.MAIN, 0.001, 0.0))
            fade.ask(FadeRequest(FadeKind.MAIN, 500 / RATE, 1.0))
        mixer.render(out[start : start + 250])
    level = out[mixer.latency :, 0] / 0.2
    assert np.abs(np.diff(level)).max() < 1.2 / 500
    falling = np.interp(np.arange(1250), [250, 1250], [1.0, 0.6])
    np.testing.assert_allclose(level[:1250], falling, atol=1e-4)
    assert np.all(np.diff(level[1250:2250]) > -1e-6)  # all three go up
    np.testing.assert_allclose(level[2250:], 1.0, atol=1e-4)


class Turned:
    """Changes of gains and fades, seen by a mixer whose stream is cut anyhow."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.controls = Controls()
        self.out: list[Samples] = []
        self.mixer = Mixer(
            Given(layers()), bed(), RATE, lambda: self.controls.snapshot, Metrics()
        )

    def play(self) -> list[LogEntry]:
        while self.mixer.position < TOTAL:
            if self.rng.random() < 0.6:
                self.turn()
            left = TOTAL - self.mixer.position
            block = np.zeros((min(left, self.rng.choice([1, 37, 256, 300])), 2))
            self.out.append(block.astype(np.float32))
            self.mixer.render(self.out[-1])
        return self.mixer.log.take()[0]

    def turn(self) -> None:
        rng = self.rng
        kind = rng.choice(list(FadeKind))
        if rng.random() < 0.4:
            seconds, level = rng.choice([0.0, 0.01, 0.3, 5000.0]), rng.random()
            start = rng.choice([None, None, 0.0])
            eased = rng.random() < 0.5
            request = FadeRequest(kind, seconds, level, start, eased)
            self.mixer.fades[kind].ask(request)
            return
        if rng.random() < 0.3:  # back to none, too, where the filter stands still
            self.controls.set("tilt", rng.choice([0.0, 0.0, 3.0, -6.0]))
            return
        names = ("master/gain", "master/mute", "width", "effects/gain")
        control = CONTROLS[
            rng.choice((*names, "tilt", "effects/ducking", "effects/cutoff"))
        ]
        self.controls.set(control.name, control.from_norm(rng.random()))


@pytest.mark.parametrize("seed", range(12))
def test_the_log_gives_the_same_samples_in_other_blocks(seed: int) -> None:
    heard = Turned(seed)
    entries = heard.play()
    assert len(entries) > 5
    snapshots = [entry for entry in entries if not isinstance(entry.deed, FadeRequest)]

    def snapshot() -> Snapshot:
        seen = [e.deed for e in snapshots if e.at <= mixer.position]
        return seen[-1]  # type: ignore[return-value]

    mixer = Mixer(Given(layers()), bed(), RATE, snapshot, Metrics())
    cuts = sorted({entry.at for entry in entries} | {0, TOTAL, 3000})
    again = []
    for start, stop in itertools.pairwise(cuts):
        for entry in entries:
            if entry.at == start and isinstance(entry.deed, FadeRequest):
                mixer.fades[entry.deed.kind].begin(start, entry.deed)
        again.append(np.zeros((stop - start, 2), np.float32))
        mixer.render(again[-1])
    np.testing.assert_array_equal(np.concatenate(again), np.concatenate(heard.out))
