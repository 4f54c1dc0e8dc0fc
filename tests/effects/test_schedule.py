"""The schedule of effects: a pure function of time, whatever events have come."""

import itertools
import random
import statistics
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from effects.base.errors import InputError
from effects.bed.layer_mixer import LayerMixer
from effects.bed.layers import layers_between
from effects.bed.mix import Mix, MixedEffect, mix_from
from effects.bed.order import round_of
from effects.bed.schedule import EffectSchedule
from effects.bed.timeline import FOREVER, BedEvent, BedSettings
from effects.bed.voices import Region
from effects.shelf.loops import Loop

NAMES = tuple(f"effect-{i}" for i in range(12))
DAY_S = 24 * 3600.0


def _similarity(n: int, seed: int = 0) -> NDArray[np.float64]:
    points = np.random.default_rng(seed).standard_normal((n, 2))
    distance = np.linalg.norm(points[:, None] - points[None, :], axis=-1)
    return np.asarray(np.exp(-distance), np.float64)


def _event(time_s: float, kind: str, name: str) -> BedEvent:
    mix = (MixedEffect(name), MixedEffect(NAMES[9], -6.0)) if kind == "mix" else ()
    return BedEvent(time_s, kind, mix, BedSettings(40.0, 10.0, 1.0))


def _main(regions: list[Region]) -> list[Region]:
    return [r for r in regions if r.gain == 1.0]


def test_a_day_visits_every_effect_by_short_steps() -> None:
    similarity = _similarity(len(NAMES))
    schedule = EffectSchedule(NAMES, 7, similarity)
    regions = schedule.regions_between(0.0, DAY_S)
    main = _main(regions)
    assert {r.name for r in main} == set(NAMES)
    steps = [
        similarity[NAMES.index(a.name), NAMES.index(b.name)]
        for a, b in itertools.pairwise(main)
    ]
    chance = similarity[~np.eye(len(NAMES), dtype=bool)]
    # By far more than the spread of a mean of so many steps.
    error = np.std(chance) / len(steps) ** 0.5
    assert np.mean(steps) > np.mean(chance) + 5 * error
    for a, b in itertools.pairwise(main):
        assert a.name != b.name
        assert a.stop_s - a.fade_out_s == pytest.approx(b.start_s)
        assert a.fade_out_s == b.fade_in_s == 20.0
    stays = np.diff([r.start_s for r in main])
    assert np.mean(stays) == pytest.approx(90.0, rel=0.02)
    assert np.min(stays) > 40.0
    assert round_of.cache_info().currsize <= 256  # memory stays flat


def test_no_effect_ever_sounds_beside_itself() -> None:
    regions = EffectSchedule(
        NAMES, 3, settings=BedSettings(density=1.0)
    ).regions_between(0.0, DAY_S)
    for i, a in enumerate(regions):
        for b in regions[i + 1 : i + 8]:
            overlap = b.start_s < a.stop_s and a.start_s < b.stop_s
            assert not (overlap and a.name == b.name), (a, b)


def test_at_most_two_voices_stand_and_density_counts() -> None:
    for density in (0.0, 0.5, 1.0):
        schedule = EffectSchedule(NAMES, 3, settings=BedSettings(density=density))
        regions = schedule.regions_between(0.0, DAY_S)
        second = [r for r in regions if r.gain < 1.0]
        share = len(second) / len(_main(regions))
        assert share == pytest.approx(density, abs=0.05)


def test_any_time_is_found_at_once_and_gives_the_same() -> None:
    schedule, again = EffectSchedule(NAMES, 5), EffectSchedule(NAMES, 5)
    far = 400 * DAY_S
    late = schedule.regions_between(far, far + 1000.0)
    assert late
    assert late == again.regions_between(far, far + 1000.0)
    whole = schedule.regions_between(0.0, 5000.0)
    for begin in np.arange(0.0, 4800.0, 130.0):
        part = schedule.regions_between(begin, begin + 100.0)
        expected = [r for r in whole if r.start_s < begin + 100 and r.stop_s > begin]
        assert part == expected
    assert EffectSchedule(NAMES, 6).regions_between(0.0, 5000.0) != whole


@settings(max_examples=60, deadline=None)
@given(n=st.integers(1, 7), seed=st.integers(0, 1000))
def test_few_effects_rotate_too(n: int, seed: int) -> None:
    main = _main(EffectSchedule(NAMES[:n], seed).regions_between(0.0, 3600.0))
    assert {r.name for r in main} == set(NAMES[:n])
    assert all(a.name != b.name for a, b in itertools.pairwise(main))
    if n == 1:
        assert [r.stop_s for r in main] == [FOREVER]


def test_next_moves_on_and_leaves_the_past_alone() -> None:
    schedule = EffectSchedule(NAMES, 2)
    moved = schedule.with_event(BedEvent(130.0, "next"))
    before = schedule.name_at(129.0)
    assert moved.name_at(129.0) == before
    third = _main(schedule.regions_between(0.0, 400.0))[2].name
    assert moved.name_at(131.0) == third != before
    leaving = [r for r in _main(moved.regions_between(0.0, 400.0)) if r.name == before]
    assert leaving[0].stop_s == pytest.approx(150.0)
    for region in moved.regions_between(0.0, 100.0):
        assert region.start_s in [
            r.start_s for r in schedule.regions_between(0.0, 100.0)
        ]


def test_only_holds_one_effect_until_all_are_asked_for() -> None:
    wanted = NAMES[4]
    held = EffectSchedule(NAMES, 2).with_event(
        BedEvent(100.0, "mix", (MixedEffect(wanted),))
    )
    main = held.regions_between(200.0, 1e6)
    assert [(r.name, r.stop_s) for r in main] == [(wanted, FOREVER)]
    freed = held.with_event(BedEvent(5000.0, "all"))
    after = freed.regions_between(5100.0, 6000.0)
    assert wanted not in {r.name for r in _main(after)[:1]}
    assert len({r.name for r in _main(after)}) > 5


def test_a_mix_holds_each_effect_at_its_level() -> None:
    mix = mix_from(f"{NAMES[4]}:0,{NAMES[7]}:-6")
    held = EffectSchedule(NAMES, 2).with_event(BedEvent(100.0, "mix", mix))
    on = {r.name: r for r in held.regions_between(200.0, 1e6)}
    assert set(on) == {NAMES[4], NAMES[7]}
    assert on[NAMES[4]].gain == 1.0
    assert on[NAMES[7]].gain == pytest.approx(0.501, abs=1e-3)
    # What stays at its level goes on without a crossfade, where it is in its loop.
    other = mix_from(f"{NAMES[4]}:0,{NAMES[2]}:3")
    changed = held.with_event(BedEvent(300.0, "mix", other))
    after = {r.name: r for r in changed.regions_between(400.0, 1e6)}
    assert set(after) == {NAMES[4], NAMES[2]}
    assert (after[NAMES[4]].start_s, after[NAMES[4]].offset) == (
        on[NAMES[4]].start_s,
        on[NAMES[4]].offset,
    )
    # Asked for again, nothing changes, then or later.
    again = changed.with_event(BedEvent(500.0, "mix", other))
    back = [s.with_event(BedEvent(900.0, "all")) for s in (changed, again)]
    assert back[0].regions_between(0.0, 3e3) == back[1].regions_between(0.0, 3e3)


@pytest.mark.parametrize(
    "text", ["rain:loud", ":3", "rain:nan", "a,b,c,d,e", "rain,rain:-6", "rain,,wind"]
)
def test_a_text_that_is_no_mix_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"mix|NAME:DB"):
        mix_from(text)


def test_new_settings_hold_from_their_moment_on() -> None:
    quick = BedSettings(dwell_s=30.0, crossfade_s=5.0, density=0.0)
    schedule = EffectSchedule(NAMES, 2, settings=BedSettings(density=0.0))
    changed = schedule.with_event(BedEvent(1000.0, "settings", settings=quick))
    assert changed.name_at(999.0) == changed.name_at(1000.5)
    starts = [r.start_s for r in changed.regions_between(1200.0, 4000.0)]
    assert np.mean(np.diff(starts)) == pytest.approx(30.0, rel=0.05)
    late = changed.regions_between(1500.0, 2000.0)
    assert {r.fade_in_s for r in late} == {5.0}


@settings(max_examples=20, deadline=None)
@given(
    kinds=st.lists(
        st.tuples(
            st.sampled_from(["next", "mix", "all", "settings"]),
            st.floats(0.0, 200.0),
            st.sampled_from(NAMES[:5]),
        ),
        max_size=8,
    ),
    seed=st.integers(0, 50),
)
def test_whatever_events_come_there_is_always_an_effect(
    kinds: list[tuple[str, float, str]], seed: int
) -> None:
    schedule, now = EffectSchedule(NAMES[:5], seed), 0.0
    for kind, wait, name in kinds:
        now += wait
        schedule = schedule.with_event(_event(now, kind, name))
    for time_s in np.arange(5.0, 2000.0, 61.0):
        name = schedule.name_at(time_s)
        on = schedule.regions_between(time_s, time_s + 0.01)
        assert name in {r.name for r in _main(on)}
        assert len(_main(on)) <= len(kinds) + 2


@settings(max_examples=60, deadline=None)
@given(
    changes=st.lists(
        st.tuples(
            st.sampled_from(["next", "mix", "all", "settings"]),
            st.sampled_from([0.0, 3.0, 40.0, 170.0]),
            st.sampled_from(NAMES[:3]),
        ),
        max_size=8,
    ),
    n=st.integers(1, 3),
    seed=st.integers(0, 50),
)
def test_what_sounds_does_not_depend_on_when_it_is_asked_for(
    changes: list[tuple[str, float, str]], n: int, seed: int
) -> None:
    """Few effects: one that was the only one may well be the next in its turn."""
    schedule, now = EffectSchedule(NAMES[:n], seed), 0.0
    for kind, wait, name in changes:
        now += wait
        schedule = schedule.with_event(_event(now, kind, name))
    whole = schedule.regions_between(0.0, 1000.0)
    for begin in np.arange(0.0, 900.0, 17.0):
        end = begin + 60.0
        expected = [r for r in whole if r.start_s < end and r.stop_s > begin]
        assert schedule.regions_between(begin, end) == expected


def _long_used(n: int, seed: int, n_events: int) -> tuple[EffectSchedule, float]:
    """A schedule after so many events of all kinds, and the time of the last."""
    rng = random.Random(seed)
    schedule, now = EffectSchedule(NAMES[:n], seed), 0.0
    for _ in range(n_events):
        now += rng.choice([0.0, 2.0, rng.uniform(0.0, 40.0), rng.uniform(0.0, 900.0)])
        kind = rng.choice(["next", "mix", "all", "settings", "wait", "resume"])
        schedule = schedule.with_event(_event(now, kind, rng.choice(NAMES[: n + 1])))
    return schedule, now


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_window_shows_what_the_whole_stream_shows_after_many_events(n: int) -> None:
    for seed in range(4):
        schedule, now = _long_used(n, seed, 60)
        whole = schedule.regions_between(0.0, now + 1000.0)
        for begin in np.linspace(0.0, now + 500.0, 40):
            end = begin + 30.0
            expected = [r for r in whole if r.start_s < end and r.stop_s > begin]
            assert schedule.regions_between(begin, end) == expected


HELD = (MixedEffect(NAMES[0]), MixedEffect(NAMES[1], -6.0))


@pytest.mark.parametrize(
    ("n", "kinds", "mix"),
    [
        (5, ["next"], ()),
        (5, ["mix", "all"], HELD),
        (1, ["settings", "next"], ()),
        (5, ["settings"], HELD),  # while one mix is held for weeks
    ],
)
def test_after_weeks_of_changes_a_moment_is_found_as_soon_as_at_first(
    n: int, kinds: list[str], mix: Mix
) -> None:
    """Each change and each look cost about the same, however many came before."""

    def cost_s(n_events: int) -> float:
        schedule, times = EffectSchedule(NAMES[:n], 3), []
        if mix and "mix" not in kinds:
            schedule = schedule.with_event(BedEvent(1.0, "mix", mix))
        for number in range(n_events + 30):
            began, at = time.process_time(), 10.0 + 100.0 * number
            kind = kinds[number % len(kinds)]
            event = BedEvent(at, kind, mix if kind == "mix" else ())
            schedule = schedule.with_event(event)
            if number >= n_events:
                schedule.regions_between(at, at + 60.0)
                times.append(time.process_time() - began)
        return statistics.median(times)

    assert cost_s(3000) < 6.0 * cost_s(20) + 0.004


def test_events_that_make_no_sense_are_refused() -> None:
    schedule = EffectSchedule(NAMES, 1).with_event(BedEvent(50.0, "next"))
    for event in (
        BedEvent(40.0, "next"),
        BedEvent(60.0, "mix"),
        BedEvent(60.0, "next", (MixedEffect("rain"),)),
        BedEvent(60.0, "dance"),
    ):
        with pytest.raises(
            ValueError, match=r"order of time|names effects|none of next"
        ):
            schedule.with_event(event)
    with pytest.raises(ValueError, match="names"):
        EffectSchedule(())
    with pytest.raises(ValueError, match="shape"):
        EffectSchedule(NAMES, similarity=np.ones((2, 2)))


def test_levels_between_neighbours_stay_after_the_crossfade() -> None:
    """The bed of a whole day, at a low rate: levels of single effects, side by side."""
    rate = 200
    rng = np.random.default_rng(0)
    loops = {
        name: Loop(name, rng.standard_normal((7000 + i, 2)).astype(np.float32), rate)
        for i, name in enumerate(NAMES)
    }
    for loop in loops.values():
        loop.samples[:] /= np.std(loop.samples)
    schedule = EffectSchedule(NAMES, 9, settings=BedSettings(density=0.0))
    mixer, levels = LayerMixer(), []
    for begin in range(0, int(DAY_S) * rate, 600 * rate):
        end = begin + 600 * rate
        layers = layers_between(schedule, lambda name, _: loops[name], rate, begin, end)
        out = np.zeros((end - begin, 2), np.float32)
        mixer.mix_into(out, layers, begin)
        levels.append(np.mean(out.reshape(-1, 20 * rate, 2) ** 2, axis=(1, 2)))
    level_db = 10 * np.log10(np.concatenate(levels))[1:]  # the very first fades in
    assert np.max(np.abs(np.diff(level_db))) < 0.5


def _order(schedule: EffectSchedule, until_s: float) -> list[tuple[str, float, float]]:
    found = schedule.regions_between(0.0, until_s)
    return [(r.name, r.start_s, r.stop_s) for r in _main(found)]


@pytest.mark.parametrize("end", ["resume", "next", "mix"])
def test_the_order_that_waits_goes_on_where_it_stood(end: str) -> None:
    """A wait moves what comes after it, and begins nothing by itself."""
    schedule = EffectSchedule(NAMES, 4, settings=BedSettings(10.0, 1.0, 0.0))
    before = _order(schedule, 60.0)
    waits_s = before[1][1] - 0.5
    waiting = schedule.with_event(BedEvent(waits_s, "wait"))
    assert _order(waiting, 500.0) == [(before[0][0], 0.0, FOREVER)]
    assert waiting.waits_at(waits_s)
    assert not waiting.waits_at(waits_s - 0.1)
    mix = (MixedEffect(NAMES[3]),) if end == "mix" else ()
    ended = waiting.with_event(BedEvent(waits_s + 25.0, end, mix))
    assert not ended.waits_at(waits_s + 25.0)
    after = _order(ended, 100.0)
    assert after[0][0] == before[0][0]
    if end == "resume":
        for (name, *times), was in zip(after[1:], before[1:], strict=False):
            assert name == was[0]
            assert times == pytest.approx([was[1] + 25.0, was[2] + 25.0])
    else:
        assert after[0][2] == pytest.approx(waits_s + 26.0)
        assert after[1][1] == waits_s + 25.0


def test_a_change_of_settings_does_not_end_a_wait() -> None:
    schedule = EffectSchedule(NAMES, 4).with_event(BedEvent(5.0, "wait"))
    turned = BedEvent(6.0, "settings", settings=BedSettings(10.0))
    assert schedule.with_event(turned).waits_at(100.0)
