"""Clocks that are not the music's: a device that drifts, a wall clock that jumps."""

import ast
import os
import random
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from effects.audio.levels import Samples
from engine.graph import Settings, build
from engine.live import pacer as pacing
from engine.live.metrics import Metrics
from engine.live.pacer import BLOCK_S, FASTEST, RESTART_AFTER_S, Pacer
from engine.offline.journal_writer import new_journal_path
from engine.recording.naming import publish, recording_path
from engine.streams.shared_ring import SharedRing
from tests.support.command import ROOT
from tests.support.simulated_session import Kept, Pace, SimulatedSession, replayed

RATE = 24_000

# What may ask for the time of day: names and dates of files, and times to begin at.
DATED = {
    *("engine/app/keep_jobs.py", "engine/cli/keep.py", "engine/recording/naming.py"),
    *("engine/offline/journal_writer.py", "engine/album/review.py"),
    *("engine/album/tags.py", "effects/shelf/intake.py"),
    *("engine/cli/play.py", "engine/cli/runner.py"),  # --at 6:30
}
OF_THE_DAY = {"time", "time_ns", "now", "today", "utcnow", "localtime", "gmtime"}
CLASSES = {"time", "datetime", "date"}


@pytest.mark.parametrize("drift", [-0.01, 0.01])
def test_a_device_with_another_clock_is_the_only_one(
    drift: float, tmp_path: Path
) -> None:
    """Recording, listeners and journal get what it gets: nothing has to catch up.

    A hundredth in 40 s is what a bad crystal (100 ppm) makes of more than an hour.
    """
    seconds = 40.0

    def act(session: SimulatedSession) -> None:
        session.commands.command("record/start", "take")
        for _ in range(round(seconds)):
            session.sleep(1.0)
            fills.append(listener.waiting)
            streamed.append(listener.read().copy())
        session.commands.command("record/stop")
        session.sleep(1.0)
        session.session.stop()

    fills: list[int] = []
    streamed: list[Samples] = []
    graph = build(Settings(seed=4, sample_rate=RATE, effects=None))
    pace = Pace(device_s=1.0 + drift)
    session = SimulatedSession(graph, pace, tmp_path, act)
    ring = SharedRing.create(8 * RATE)
    listener = SharedRing.attach(os.dup(ring.descriptor), ring.capacity)
    kept = Kept()
    for tap in (ring, kept):
        session.session.add_tap(tap)
    session.play()
    heard = np.concatenate(kept.blocks)
    assert (session.metrics.underruns, session.metrics.concealments) == (0, 0)
    assert session.session.mixer.position == len(heard)
    assert len(heard) / RATE == pytest.approx(42.0 / (1.0 + drift), rel=0.02)
    sent = np.concatenate(streamed)
    np.testing.assert_array_equal(sent, heard[: len(sent)])
    assert ring.dropped == 0
    assert max(fills[3:]) - min(fills[3:]) <= RATE // 10, "no burst, no backlog"
    np.testing.assert_array_equal(replayed(session, len(heard)), heard)


class FakeTime:
    """Time that passes only while it is waited for, and then always too long.

    It stands in the place of the pacer's `time` and of the event that ends it.
    """

    def __init__(self, seconds: float, stalls: list[float]) -> None:
        self._ends, self._rng = seconds, random.Random(5)
        self._now, self._stalls = 1e6, stalls  # a machine that is up for days
        self.began = self._now

    @property
    def seconds(self) -> float:
        return self._now - self.began

    def monotonic(self) -> float:
        return self._now

    def wait(self, seconds: float) -> bool:
        self._now += seconds + self._rng.expovariate(1 / 0.0004)
        if self._stalls and self.seconds > self._ends / (len(self._stalls) + 1):
            self._now += self._stalls.pop()
        return False

    def sleep(self, seconds: float) -> None:
        self.wait(seconds)

    def is_set(self) -> bool:
        return self.seconds > self._ends


def run_by_clock(
    time: FakeTime, render: Callable[[Samples], int], monkeypatch: pytest.MonkeyPatch
) -> float:
    """Seconds of blocks that a pacer without a device asks for in this time."""
    monkeypatch.setattr(pacing, "time", time)
    metrics = Metrics()
    pacer = Pacer(8_000, render, metrics)
    pacer._due = time.monotonic()
    monkeypatch.setattr(pacer, "_stopping", time)
    pacer._run()
    return metrics.blocks * BLOCK_S


@pytest.mark.parametrize("stalls", [[], [0.9, 0.5, 0.2]])
def test_without_a_device_hours_by_the_clock_are_exact_and_nothing_bursts(
    stalls: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    time = FakeTime(8 * 3600.0, list(stalls))
    asked: deque[float] = deque(maxlen=100)
    least = [1e9]

    def render(out: Samples) -> int:
        asked.append(time.monotonic())
        if len(asked) == asked.maxlen:
            least[0] = min(least[0], asked[-1] - asked[0])
        return len(out)

    made_s = run_by_clock(time, render, monkeypatch)
    assert made_s == pytest.approx(time.seconds, abs=0.05)
    assert least[0] >= 99 * BLOCK_S / FASTEST


def test_a_machine_that_slept_is_not_caught_up_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made_s = run_by_clock(FakeTime(60.0, [30.0]), len, monkeypatch)
    assert made_s == pytest.approx(30.0, abs=RESTART_AFTER_S)


def test_nothing_that_sounds_asks_for_the_time_of_day() -> None:
    """A step of the wall clock, or summer time, is not heard."""
    asking = set()
    for room in ("engine", "effects"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Attribute) or node.attr not in OF_THE_DAY:
                    continue
                if isinstance(node.value, ast.Name) and node.value.id in CLASSES:
                    asking.add(path.relative_to(ROOT).as_posix())
    assert asking == DATED


def test_names_are_never_taken_twice_whatever_the_date(tmp_path: Path) -> None:
    moments = [
        datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC),  # stopped
        datetime(1970, 1, 1, tzinfo=UTC),  # a machine without a battery
        datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC),  # set back
    ]
    files: list[Path] = []
    journals: list[Path] = []
    for number, moment in enumerate(moments):
        made = tmp_path / f"{number}"
        made.write_text(f"{number}")
        journals.append(new_journal_path(tmp_path, now=moment))
        journals[-1].touch()
        files.append(publish(made, recording_path(tmp_path, moment)))
    assert len(set(files)) == len(set(journals)) == len(moments)
    assert [file.read_text() for file in files] == ["0", "1", "2", "3", "4"]
    assert {file.name[:23] for file in files} == {
        "latent-20261025T005959Z", "latent-19700101T000000Z", "latent-20380119T031408Z"
    }  # fmt: skip
