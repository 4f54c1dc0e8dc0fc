"""The stream: parts that change apart, notes in front, and a restart at any sample."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from effects.audio.levels import Samples
from effects.audio.loudness import integrated_lufs
from engine.control.controls import snapshot_of
from engine.graph import TARGET_LUFS
from engine.sound import foreground
from engine.sound.cast import (
    LAG_STEPS,
    LEAST_TONAL,
    LONGEST_LAG_S,
    NOISE_GAINS_DB,
    noise_gain,
)
from engine.sound.decoding import (
    BASS_HZ,
    BATCH,
    Decoded,
    Lags,
    bass_held,
    combine,
)
from engine.sound.partials import place_hz
from model.config import AXIS
from tests.support.music import RATE, music, taken
from tests.support.signals import clicks
from tests.support.slabs import stereo


@pytest.fixture(scope="module")
def whole() -> Samples:
    return taken(music(), 40.0)


@pytest.mark.parametrize("at", [0, 1, 12_345, 7 * RATE, 30 * RATE - 1])
def test_it_starts_again_at_any_sample(whole: Samples, at: int) -> None:
    again = music()
    again.replan(at, snapshot_of({}))
    np.testing.assert_array_equal(taken(again, 4.0), whole[at : at + 4 * RATE])


def test_what_was_made_before_a_change_does_not_matter() -> None:
    streams = [music(), music()]
    for stream, seconds in zip(streams, (20.0, 1.0), strict=True):
        taken(stream, seconds)
    changes: list[dict[str, object]] = [
        {"wiggle/amount": 1.0},
        {"hop": 0.6},
        {"hop": 0.6, "hold": True},
        {"hop": 0.6, "motion/rate": 3.0},
        {"foreground/density": 40.0},
    ]
    for number, change in enumerate(changes):
        got = []
        for stream, seconds in zip(streams, (9.0, 1.0), strict=True):
            stream.replan(20_000 + 9001 * number, snapshot_of(change))
            got.append(taken(stream, seconds)[:RATE])
        np.testing.assert_array_equal(got[0], got[1], err_msg=str(change))


def test_a_song_has_its_loudness_and_no_click() -> None:
    samples = stereo(taken(music(9, {"foreground/density": 30.0}, 180.0), 180.0))
    assert integrated_lufs(samples, RATE) == pytest.approx(TARGET_LUFS, abs=0.5)
    assert len(clicks(samples)) == 0


def test_a_held_song_keeps_its_sound() -> None:
    """Parts that come later do not move on while time stands still."""
    controls: dict[str, object] = {
        "wiggle/amount": 0.0,
        "motion/depth": 0.0,
        "foreground/density": 0.0,
    }
    stream = music(3, controls)
    taken(stream, 12.0)
    stream.replan(10 * RATE, snapshot_of({**controls, "hold": True}))
    taken(stream, 10.0)
    early = stream.ending
    taken(stream, 10.0)
    both = [10.0 * np.log10(x + 1e-9 * early.sum()) for x in (early, stream.ending)]
    assert np.abs(both[0] - both[1]).max() < 0.01


def test_each_part_changes_at_its_own_time() -> None:
    n = 4 * BATCH
    noise, tonal = np.full((n, AXIS.n_bands), 1e-9), np.zeros((n, AXIS.n_bands))
    tonal[:, 330], tonal[:, 600] = 1e-4, 1e-4
    half = slice(n // 2, None)  # where another sound begins
    tonal[half, 280], tonal[half, 700] = 1e-4, 1e-4
    tonal[half, 330], tonal[half, 600] = 0.0, 0.0
    noise[half] *= 100.0
    lags = Lags((0,), (0,), 3, (6, 7, 8))
    levels = np.full(BATCH, -20.0)
    nodes = [
        combine(Decoded(noise, tonal, 0), first, lags, levels, 1.0, 513, RATE)
        for first in (BATCH, 2 * BATCH)
    ]
    places = np.concatenate([node.tonal for node in nodes])
    bins = np.concatenate([node.noise for node in nodes])

    def changes(values: np.ndarray) -> int:
        return int(np.argmax(values > 0.5 * values.max())) - BATCH

    assert place_hz()[560] < BASS_HZ < place_hz()[1400]
    assert changes(places[:, 560]) == 0, "the bass"
    assert changes(places[:, 1400]) == 3, "the body"
    assert changes(bins[:, 200]) == 7, "the noise, the middle of its stretch"


def test_the_bass_is_a_mean_over_its_stretch() -> None:
    n = 3 * BATCH
    noise, tonal = np.full((n, AXIS.n_bands), 1e-9), np.zeros((n, AXIS.n_bands))
    tonal[:, 600], tonal[2 * BATCH :, 250] = 1e-4, 1e-4
    lags = Lags((1, 2, 3, 4), (1, 2, 3, 4), 0, (0,))
    levels = np.full(BATCH, -20.0)
    rows = Decoded(noise, tonal, 0)
    node = combine(rows, 2 * BATCH, lags, levels, 1.0, 513, RATE)
    bass = node.tonal[:, 480:520].sum(axis=1)
    body = node.tonal[:, 1180:1220].sum(axis=1)
    share = (bass / body) / (bass / body).max()
    np.testing.assert_allclose(share[:6], [0.0, 0.25, 0.5, 0.75, 1.0, 1.0], atol=0.01)


@pytest.mark.parametrize(
    ("node_s", "n", "n_held"), [(0.1, 8, 40), (0.24, 3, 17), (0.5, 2, 8), (2.0, 1, 2)]
)
def test_the_bass_is_a_mean_over_seconds(node_s: float, n: int, n_held: int) -> None:
    stream = music(1)
    cast = stream._nodes.cast(stream._schedule.at(0.0)[-1])
    orders: tuple[tuple[int, ...], ...] = ((0, 1, 2), (1, 0, 2), (2, 1, 0))
    for order in orders:
        lags = replace(cast, order=order).lags(node_s)
        assert (len(lags.bass), len(lags.held_bass)) == (n, n_held)
        assert min(*lags.bass, *lags.held_bass) >= 0
        assert lags.longest <= 4 * BATCH
        if order[0] == 2:
            reach = 2 * min(LAG_STEPS * cast.step, LONGEST_LAG_S)
            for taps in (lags.bass, lags.held_bass):
                middle = float(np.mean(taps)) * node_s
                assert middle == pytest.approx(reach, abs=node_s)


def test_a_bass_that_changes_quickly_is_held() -> None:
    """Two notes take turns: of half a second, or of ten."""
    n = 4 * BATCH
    noise, held = np.full((n, AXIS.n_bands), 1e-9), tuple(range(16))
    levels = np.full(BATCH, -20.0)
    spread = []
    for turn in (2, 40):  # nodes
        tonal = np.zeros((n, AXIS.n_bands))
        first = (np.arange(n) // turn) % 2 == 0
        tonal[first, 250], tonal[~first, 300] = 1e-4, 1e-4
        tonal[:, 600] = 1e-4
        rows = Decoded(noise, tonal, 0)
        basses = []
        for batch in (BATCH, 2 * BATCH, 3 * BATCH):
            busy = bass_held(tonal, batch, held, 0.24)
            assert busy.shape == (BATCH, 1)
            assert np.all(busy > 0.9 if turn == 2 else busy == 0.0)
            lags = Lags((0,), held, 0, (0,))
            node = combine(rows, batch, lags, levels, 1.0, 513, RATE)
            basses.append(node.bands[:, 246:255].sum(axis=1))
        notes = np.concatenate(basses)
        spread.append(float(np.ptp(notes) / notes.max()))
    assert spread[0] < 0.5
    assert spread[1] > 0.9


@pytest.mark.parametrize("node_s", [0.1, 0.24, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("first_lag", [0, 5])
def test_how_far_a_bass_is_held_hardly_depends_on_the_nodes(
    node_s: float, first_lag: int
) -> None:
    n = 4 * BATCH
    lags = tuple(range(first_lag, first_lag + max(2, round(4.0 / node_s))))
    turns = {"quick": max(1, round(0.5 / node_s)), "slow": n // 2}
    for name, turn in turns.items():
        tonal = np.zeros((n, AXIS.n_bands))
        first = (np.arange(n) // turn) % 2 == 0
        tonal[first, 250], tonal[~first, 300] = 1e-4, 1e-4
        busy = bass_held(tonal, 2 * BATCH + BATCH // 2, lags, node_s)
        assert busy.shape == (BATCH, 1)
        if name == "quick":
            assert busy.min() > 0.8
        elif node_s < 1.0:  # or the one change there is, is half of what can be seen
            assert not busy.any()


def test_a_bass_that_is_not_heard_holds_nothing() -> None:
    tonal = np.random.default_rng(4).uniform(0.0, 1e-9, (4 * BATCH, AXIS.n_bands))
    tonal[:, 600] = 1e-4
    assert not bass_held(tonal, 2 * BATCH, tuple(range(16)), 0.24).any()


def test_the_lowest_of_what_is_combined_is_held() -> None:
    n = 2 * BATCH
    tonal = np.zeros((n, AXIS.n_bands))
    tonal[:, 130], tonal[:, 600] = 1e-3, 1e-5  # 42 Hz, 20 dB over the rest
    rows = Decoded(np.full((n, AXIS.n_bands), 1e-9), tonal, 0)
    levels = np.full(BATCH, -20.0)
    node = combine(rows, BATCH, Lags((0,), (0,), 0, (0,)), levels, 1.0, 513, RATE)
    low = node.bands[0, AXIS.centres < 66.0].sum()
    rest = node.bands[0, AXIS.centres >= 66.0].sum()
    assert low / rest == pytest.approx(10.0, rel=0.2), "lowered by 10 dB"


def test_the_parts_of_songs_differ_in_their_order() -> None:
    stream, orders = music(1), set()
    first = stream._schedule.at(0.0)[-1]
    for index in range(12):
        orders.add(stream._nodes.cast(replace(first, index=index)).order)
    assert len(orders) > 2


def onsets(samples: Samples) -> list[float]:
    """Seconds at which many bands of the spectrum rise at once."""
    mono = samples[:, 0]
    length, hop = 2048, 512
    frames = np.lib.stride_tricks.sliding_window_view(mono, length)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(length), axis=1)) ** 2
    edges = np.geomspace(80.0, 10_000.0, 49) * length / RATE
    bands = np.stack(
        [
            power[:, int(a) : max(int(a) + 1, int(b))].sum(axis=1)
            for a, b in pairwise(edges)
        ],
        axis=1,
    )
    level = 10.0 * np.log10(bands + 1e-7 * bands.max())
    rise = np.maximum(level[3:] - level[:-3], 0.0).mean(axis=1)
    found = np.flatnonzero(rise > 4.0)
    return [float(i * hop / RATE) for i in found if i == found[0] or rise[i - 1] <= 4.0]


def test_there_are_notes_where_they_are_asked_for_and_none_elsewhere() -> None:
    still: dict[str, object] = {"motion/depth": 3.0, "wiggle/amount": 0.2}
    counts = {}
    for density in (0.0, 30.0):
        controls = {**still, "foreground/density": density, "foreground/level": 0.0}
        samples = taken(music(2, controls, 180.0), 70.0)
        counts[density] = len(onsets(samples[10 * RATE :]))
    assert counts[0.0] == 0
    assert counts[30.0] >= 5


def test_a_density_adds_notes_and_takes_none_away() -> None:
    stream = music(4, seconds=240.0)
    slot = stream._schedule.at(0.0)[-1]
    score = stream._nodes.cast(slot).foreground.score
    few, many = score.sounding(10.0), score.sounding(30.0)
    assert np.all(many[few])
    assert few.sum() == pytest.approx(40, abs=8)
    assert many.sum() == pytest.approx(120, abs=16)
    assert not score.sounding(0.0).any()


def test_notes_stand_within_their_range() -> None:
    controls = {"foreground/density": 60.0}
    for seed in (4, 5):
        stream = music(seed, controls, seconds=240.0)
        slot = stream._schedule.at(0.0)[-1]
        notes = stream._nodes.cast(slot).foreground.notes(snapshot_of(controls))
        places = [notes.tone(*key).places[0] for key in sorted(set(notes.keys))]
        hertz = place_hz()[places]
        assert len(hertz) > 20
        assert hertz.min() >= 0.99 * foreground.LOWEST_HZ
        assert hertz.max() <= 1.01 * foreground.HIGHEST_HZ
        assert hertz.max() / hertz.min() > 2.0


def test_the_same_section_brings_the_same_motif() -> None:
    path = music(4, seconds=240.0)._schedule
    song = path.song(path.at(0.0)[-1])
    score = foreground.write_score(song.path, song.duration, 4, 0)
    steps = np.cumsum(np.diff(score.step_s, prepend=score.step_s[0]) != 0.0)
    chosen: dict[int, list[set[int]]] = {}
    for step in range(steps.max() + 1):
        inside = steps == step
        first = score.moments[inside][np.argsort(score.rank[inside])[:6]]
        chosen.setdefault(int(score.symbols[inside][0]), []).append(set(first.tolist()))
    shared = [
        len(one & other) for sets in chosen.values() for one, other in pairwise(sets)
    ]
    assert np.mean(shared) > 4.0  # of six; by chance 2.3


def _sounds(tonal_shares: list[float]) -> Decoded:
    noise, tonal = np.zeros((2, len(tonal_shares), AXIS.n_bands))
    tonal[:, 300] = tonal_shares
    noise[:, 200:400] = (1.0 - tonal[:, 300:301]) / 200.0
    return Decoded(noise, tonal, 0)


@pytest.mark.parametrize(
    ("tonal_shares", "gain_db"),
    [
        ([0.9] * 5, 0.0),
        ([LEAST_TONAL + 0.01] * 5, 0.0),
        ([0.4] * 5, -4.0),
        ([0.1, 0.9, 0.9, 0.9], 0.0),
        ([0.15, 0.15, 0.9], -6.5),
        ([0.02] * 5, NOISE_GAINS_DB[-1]),
    ],
)
def test_noise_leaves_a_song_tones_enough(
    tonal_shares: list[float], gain_db: float
) -> None:
    gain = noise_gain(_sounds(tonal_shares))
    assert 10.0 * np.log10(gain) == pytest.approx(gain_db, abs=0.01)


def test_silent_sounds_do_not_say_how_loud_noise_is() -> None:
    half = _sounds([0.9, 0.9, 0.0, 0.0, 0.0])
    half.noise[2:] = 0.0
    assert noise_gain(half) == 1.0
    half.noise[:], half.tonal[:] = 0.0, 0.0
    assert noise_gain(half) == 1.0


def test_the_gain_of_a_songs_noise_is_that_of_its_nodes() -> None:
    over_tones = []
    for gain in (1.0, 0.25):
        nodes = music()._nodes
        slot = nodes._schedule.at(10.0)[-1]
        nodes._casts[slot.index] = replace(nodes.cast(slot), noise_gain=gain)
        made, row = nodes.nodes(40, 1)[slot][0]
        over_tones.append(made.noise[row].sum() / made.tonal[row, -1200:].sum())
    assert over_tones[1] / over_tones[0] == pytest.approx(0.25, rel=1e-4)
