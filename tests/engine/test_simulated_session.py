"""Whole sessions in simulated time: what was heard, and its replay to the bit."""

import gc
import random
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.shelf.library import Library
from engine.control.controls import snapshot_of
from engine.graph import Settings, build
from tests.support.simulated_session import (
    Kept,
    Pace,
    SimulatedSession,
    chosen,
    replayed,
)
from tests.support.storms import EFFECTS, RATE, storm


@pytest.fixture(scope="module", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Effects are made once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENT_HOME", str(tmp_path_factory.mktemp("home")))
        for name in EFFECTS:
            Library().load(name, RATE)
        yield


def played(
    settings: Settings,
    act: Callable[[SimulatedSession], None],
    folder: Path,
    pace: Pace = Pace(),  # noqa: B008
) -> tuple[SimulatedSession, Samples]:
    session = SimulatedSession(build(settings), pace, folder, act)
    kept = Kept()
    session.session.add_tap(kept)
    session.play()
    return session, np.concatenate(kept.blocks)


def busy(session: SimulatedSession) -> None:
    session.sleep(2.0)
    session.graph.controls.set("wiggle/amount", 1.2)
    session.commands.command("effects/next")
    session.sleep(1.3)
    session.commands.command("pause")
    session.sleep(0.7)
    session.commands.command("play")
    session.commands.command("next")
    session.graph.controls.set("master/gain", -3.0)
    session.sleep(2.0)
    session.session.stop()


def test_the_same_session_is_the_same_every_time(tmp_path: Path) -> None:
    settings = Settings(seed=3, sample_rate=RATE, effects=EFFECTS)
    runs = []
    for _ in range(2):
        rng = random.Random(5)
        slabs_s = chosen(rng, [0.01, 0.02, 0.5, 4.0])
        pace = Pace(slabs_s, cut=chosen(rng, [333, 2048]))
        session, heard = played(settings, busy, tmp_path, pace)
        runs.append((session.events, heard))
    np.testing.assert_array_equal(runs[0][1], runs[1][1])
    assert str(runs[0][0]) == str(runs[1][0])


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_the_replay_of_a_storm_is_what_was_heard(seed: int, tmp_path: Path) -> None:
    outcome = storm(seed, tmp_path, seconds=6.0)
    assert outcome.n_packets > 20
    assert outcome.is_exact, outcome


@pytest.mark.parametrize(("stall_s", "breaks"), [(8.0, 0), (14.0, 1), (300.0, 1)])
def test_while_the_producer_stalls_the_sound_stays_and_is_replayed(
    tmp_path: Path, stall_s: float, breaks: int
) -> None:
    """Ten seconds of a stall are not heard; after that the last sound stays."""
    stalled: list[float] = []
    played_s = [0.0]

    def slab_s() -> float:
        if played_s[0] < 4.0 or stalled:
            return 0.02
        stalled.append(stall_s)
        return stall_s

    def act(session: SimulatedSession) -> None:
        while session.session.seconds < stall_s + 12.0:
            played_s[0] = session.session.seconds
            session.sleep(0.1)
        session.session.stop()

    settings = Settings(seed=8, sample_rate=RATE, effects=EFFECTS)
    session, heard = played(settings, act, tmp_path, Pace(slab_s))
    assert stalled == [stall_s]
    metrics = session.metrics
    assert (metrics.underruns, metrics.concealments) == (breaks, breaks)
    turns = [
        event["conceal"]["music"] for event in session.events if "conceal" in event
    ]
    assert turns == [False, True] * breaks
    resumed = [e for e in session.events if e.get("command") == "resume"]
    assert len(resumed) == breaks, "what nobody could hear is left out"
    assert session.session.mixer.position == len(heard), "no position is off"
    sound = np.abs(heard[6 * RATE :][: round(stall_s) * RATE])
    loudest = sound.reshape(-1, RATE // 4, 2).max(axis=(1, 2))
    assert loudest.min() > 1e-3, "it is never silent"
    np.testing.assert_array_equal(replayed(session, len(heard)), heard)


def test_a_session_that_has_ended_leaves_nothing(tmp_path: Path) -> None:
    """Neither threads nor its rings: a program may play one after another."""
    before = threading.active_count(), sys.getswitchinterval(), gc.get_freeze_count()
    pace = Pace(lambda: 3.0, lambda: 7.0)  # threads are at work when it ends
    settings = Settings(seed=3, sample_rate=RATE, effects=EFFECTS)
    session, _ = played(settings, busy, tmp_path, pace)
    left = [weakref.ref(part) for part in (session.session, session.graph)]
    del session
    gc.collect()
    assert [ref() for ref in left] == [None, None]
    after = threading.active_count(), sys.getswitchinterval(), gc.get_freeze_count()
    assert after == before


Act = Callable[[SimulatedSession], None]


def nothing(session: SimulatedSession) -> None:
    pass


def mixed(session: SimulatedSession) -> None:
    session.commands.command("effects/mix", "rain:-3,wind:-6")


def chosen_and_back(session: SimulatedSession) -> None:
    session.commands.command("effects/only", "wind")
    session.sleep(3.0)
    session.commands.command("effects/only", "")


def jumped(session: SimulatedSession) -> None:
    session.commands.command("next")
    session.commands.command("go", "C")


def turned(session: SimulatedSession) -> None:
    session.graph.controls.set("effects/crossfade", 5.0)
    session.commands.command("effects/next")


@pytest.mark.parametrize(
    ("seconds", "waits", "cut", "act_at", "then"),
    [
        (35.0, 1, 960, 0.0, nothing),
        (45.0, 2, 960, 0.0, nothing),  # it ends while the second loop is loaded
        (140.0, 4, 4096, 0.0, nothing),
        (60.0, 2, 960, 9.5, mixed),
        (68.0, 3, 333, 8.8, chosen_and_back),
        (68.0, 2, 64, 15.0, jumped),
        (68.0, 3, 960, 36.5, turned),
    ],
)
def test_the_order_of_effects_waits_for_each_loop_that_is_late(
    tmp_path: Path, seconds: float, waits: int, cut: int, act_at: float, then: Act
) -> None:
    """Where a crossfade begins, both its loops are there; the journal tells."""
    controls = snapshot_of({"effects/dwell": 10.0, "effects/crossfade": 2.0})
    settings = Settings(seed=2, sample_rate=RATE, effects=EFFECTS, controls=controls)
    takes = iter([0.0, 0.0, *[25.0] * 100])

    def act(session: SimulatedSession) -> None:
        is_done = False
        while session.session.seconds < seconds:
            if session.session.seconds >= act_at and not is_done:
                is_done = True
                then(session)
            bed = session.graph.bed
            assert bed is not None
            ahead = session.session.mixer.position
            sounding.append(tuple(bed.sounding(ahead)))
            session.sleep(0.5)
        session.session.stop()

    sounding: list[tuple[str, ...]] = []
    pace = Pace(loop_s=lambda: next(takes), cut=lambda: cut)
    session, heard = played(settings, act, tmp_path, pace)
    rows = [event for event in session.events if event.get("command")]
    waited = [event["at"] for event in rows if event["command"] == "effects/wait"]
    assert waited[0] < 10 * RATE
    assert len(waited) == waits, rows
    assert all(sounding), "some effect always sounds"
    np.testing.assert_array_equal(replayed(session, len(heard)), heard)


def test_the_music_does_not_wait_for_the_first_loop_to_be_made(tmp_path: Path) -> None:
    settings = Settings(seed=2, sample_rate=RATE, effects=EFFECTS)
    takes = iter([6.0, *[0.0] * 100])
    sounding: dict[int, tuple[str, ...]] = {}

    def act(session: SimulatedSession) -> None:
        bed = session.graph.bed
        assert bed is not None
        while (seconds := session.session.seconds) < 20.0:
            sounding[int(seconds)] = bed.sounding(session.session.mixer.position)
            session.sleep(0.5)
        session.session.stop()

    pace = Pace(loop_s=lambda: next(takes))
    session, heard = played(settings, act, tmp_path, pace)
    rows = [e for e in session.events if "effects" in str(e.get("command"))]
    assert [row["command"] for row in rows] == ["effects/wait", "effects/resume"]
    assert rows[0]["at"] == 0
    assert 6.0 <= rows[1]["at"] / RATE < 9.0
    assert not sounding[4]
    assert sounding[12]
    assert np.abs(heard[RATE : 2 * RATE]).max() > 1e-3, "the music is there"
    np.testing.assert_array_equal(replayed(session, len(heard)), heard)


def test_a_loop_that_is_asked_for_early_makes_no_wait(tmp_path: Path) -> None:
    """It takes 20 s to be made, and the order asks for it more than that ahead."""
    settings = Settings(seed=2, sample_rate=RATE, effects=EFFECTS)
    takes = iter([0.0, *[20.0] * 100])

    def act(session: SimulatedSession) -> None:
        session.sleep(40.0)
        session.session.stop()

    pace = Pace(slab_s=lambda: 0.02, loop_s=lambda: next(takes))
    session, _ = played(settings, act, tmp_path, pace)
    assert not any(e.get("command") == "effects/wait" for e in session.events)


@pytest.mark.parametrize(("asks_for", "most_s"), [(2, 27.0), (1, 24.0), (0, 1.0)])
def test_what_is_asked_for_does_not_wait_for_what_the_order_will_need(
    asks_for: int, most_s: float, tmp_path: Path
) -> None:
    """The order's next loop is being loaded for 25 s, as is what is asked for."""
    values = {"effects/dwell": 10.0, "effects/crossfade": 2.0, "effects/density": 0.0}
    settings = Settings(
        seed=2, sample_rate=RATE, effects=EFFECTS, controls=snapshot_of(values)
    )
    takes = iter([0.0, *[25.0] * 100])
    asked_at: list[int] = []

    def act(session: SimulatedSession) -> None:
        bed = session.graph.bed
        assert bed is not None
        order = list(dict.fromkeys(bed.schedule.name_at(s) for s in range(600)))
        session.sleep(4.0)
        for name in (order[asks_for], order[asks_for]):  # the second is nothing new
            session.commands.command("effects/mix", f"{name}:-3")
        asked_at.append(session.session.mixer.position)
        session.sleep(80.0)
        session.session.stop()

    pace = Pace(loop_s=lambda: next(takes), forget_every=1 << 30)
    session, heard = played(settings, act, tmp_path, pace)
    rows = [event for event in session.events if event.get("command")]
    (mixed_at,) = [e["at"] for e in rows if e["command"] == "effects/mix"]
    assert 0.0 < (mixed_at - asked_at[0]) / RATE < most_s
    np.testing.assert_array_equal(replayed(session, len(heard)), heard)


class _Silenced:
    """A decoder that gives nothing for the sounds of one song."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self.beyond: tuple[NDArray[np.float32], float] | None = None  # a half space

    def run(self, outputs: object, inputs: dict[str, NDArray[np.float32]]) -> object:
        (spectrum,) = self._decoder.run(outputs, inputs)
        if self.beyond is not None:
            direction, limit = self.beyond
            spectrum[inputs["z"] @ direction > limit] = 0.0
        return [spectrum]


def test_a_song_that_a_model_gives_no_sound_is_left(tmp_path: Path) -> None:
    graph = build(Settings(seed=3, sample_rate=RATE, effects=None))
    model = graph.music._model
    decoder = _Silenced(model._decoder)
    song = graph.music._schedule.song(graph.music._schedule.at(0.0)[-1])
    middle = song.waypoints[:, :32].mean(axis=0).astype(np.float32)
    middle /= np.linalg.norm(middle)
    decoder.beyond = middle, float((song.waypoints[:, :32] @ middle).min()) - 1.5

    def act(session: SimulatedSession) -> None:
        session.sleep(40.0)
        session.session.stop()

    model._decoder = decoder
    try:
        session = SimulatedSession(graph, Pace(), tmp_path, act)
        kept = Kept()
        session.session.add_tap(kept)
        session.play()
        heard = np.concatenate(kept.blocks)
        again = replayed(session, len(heard))
    finally:
        model._decoder = decoder._decoder
    assert session.metrics.silences == 1
    assert session.said == ["the music was silent: a sound of the model is; next song"]
    loudness = np.abs(heard[2 * RATE : 39 * RATE]).reshape(-1, RATE // 5, 2)
    assert loudness.max(axis=(1, 2)).min() > 1e-3, "it was left before it was heard"
    np.testing.assert_array_equal(again, heard)
