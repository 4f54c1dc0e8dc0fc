"""A live session, played to nobody in real time, against its replay."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soxr

from effects.audio.levels import Samples
from effects.audio.limiter import Limiter
from effects.base.errors import InputError
from effects.shelf.library import Library
from engine.compose.likeness import text_of
from engine.control.controls import CONTROLS, snapshot_of
from engine.graph import Settings, build
from engine.live.fade import FadeKind
from engine.live.session import Session
from engine.offline.edits import edits_of
from engine.offline.replay import replay
from tests.support import audio

RATE = 44_100


class Kept:
    """A tap that keeps all."""

    def __init__(self) -> None:
        self.blocks: list[Samples] = []

    def write(self, samples: Samples) -> bool:
        self.blocks.append(samples.copy())
        return True


def live(
    settings: Settings, seconds: float, act: Callable[[Session], None]
) -> tuple[Samples, list[dict[str, object]]]:
    """What a session's master was, and what it wrote down, however busy the machine."""
    events: list[dict[str, object]] = []
    session = Session(
        build(settings), None, lambda line: None, lambda e: events.append(dict(e))
    )
    kept = Kept()
    session.add_tap(kept)
    session.start()
    player = threading.Thread(target=session.run)
    player.start()
    act(session)
    time.sleep(seconds)
    session.stop()
    player.join(10.0)
    assert not player.is_alive()
    return np.concatenate(kept.blocks), events


def again(
    settings: Settings,
    events: list[dict[str, object]],
    start: int,
    stop: int,
) -> Samples:
    blocks: list[Samples] = []
    replay(
        build(settings),
        edits_of(events),
        start,
        stop,
        lambda block: blocks.append(block.copy()),
    )
    return np.concatenate(blocks)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENT_HOME", str(tmp_path))


def turn_everything(session: Session) -> None:
    """Twenty changes of all kinds, some at once, some on each other's heels."""
    controls, producer = session.graph.controls, session.producer

    def turn(name: str, value: object) -> None:
        controls.set(name, value)
        producer.wake()

    time.sleep(0.6)
    turn("wiggle/amount", 1.2)
    turn("master/gain", -6.0)
    time.sleep(0.13)
    turn("master/gain", -2.0)
    turn("rank/brightness", 0.9)
    time.sleep(0.4)
    turn("hop", 0.5)
    session.fade(FadeKind.MAIN, 0.3, 0.4)
    time.sleep(0.5)
    producer.command("next")
    turn("tilt", 6.0)
    time.sleep(0.7)
    session.fade(FadeKind.MAIN, 0.2, 1.0)
    turn("hold", True)
    producer.command("go", "D")
    time.sleep(0.5)
    for step in range(10):
        turn("wiggle/rate", 0.05 + 0.05 * step)
        turn("width", 0.1 * step)
        time.sleep(0.03)
    turn("hold", False)
    producer.command("go", "")
    producer.command("like", text_of(np.linspace(-1.0, 1.0, 32, dtype=np.float32)))


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for another thread, for longer than any busy machine takes."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_session_is_rendered_again_sample_for_sample() -> None:
    settings = Settings(seed=5, sample_rate=RATE, effects=None)
    heard, events = live(settings, 1.0, turn_everything)
    assert {"at": len(heard), "command": "end", "args": []} in events
    assert sum("set" in e for e in events) > 8
    rendered = again(settings, events, 0, len(heard))
    np.testing.assert_array_equal(rendered, heard)


def test_any_part_of_it_can_be_had_alone_in_stems_and_at_another_rate() -> None:
    controls = snapshot_of({"effects/ducking": 6.0, "effects/crossfade": 1.0})
    effects = ("wind", "waves")
    settings = Settings(seed=6, sample_rate=RATE, effects=effects, controls=controls)

    def act(session: Session) -> None:
        with pytest.raises(InputError, match="no such effect"):
            session.command_bed("effects/only", "applause")
        session.command_bed("effects/only", "waves")
        session.command_bed("effects/mix", "waves:0")  # it is so already
        turn_everything(session)
        bed = session.graph.bed
        assert bed is not None
        wait_until(lambda: bed.sounding(session.mixer.position) == ("waves",))
        quick = {"effects/ducking": 12.0, "effects/dwell": 10.0, "effects/density": 1.0}
        session.graph.controls.update(quick)
        session.command_bed("effects/only")
        session.command_bed("effects/next")
        time.sleep(2.0)

    for name in effects:
        Library().load(name, RATE)  # made once: the session has to find them
    heard, events = live(settings, 1.0, act)
    assert any(
        e.get("set") == {"effects/dwell": 10.0, "effects/density": 1.0} for e in events
    )
    assert [e["command"] for e in events if "effects" in str(e.get("command"))] == [
        *("effects/only", "effects/only", "effects/next")
    ]
    n = len(heard)
    check_stems(settings, events, heard)
    check_rate(settings, events, heard)
    for start, stop in ((0, n // 4), (n // 3 + 17, n // 2), (2 * n // 3, n)):
        rendered = again(settings, events, start, stop)
        if start == 0:
            np.testing.assert_array_equal(rendered, heard[:stop])
        residual = audio.residual_db(rendered, heard[start:stop])
        assert residual < -90.0, f"samples {start} to {stop}"


@pytest.mark.parametrize("seed", [11, 12])
def test_whatever_was_done_any_part_of_it_can_be_had_again(seed: int) -> None:
    """Anything at any moment, some things at once; drawn, and so the same each time."""
    rng = random.Random(seed)
    turned = [c for c in CONTROLS.values() if not c.name.startswith("master/")]

    def act(session: Session) -> None:
        for _ in range(40):
            kind, control = rng.random(), rng.choice(turned)
            if kind < 0.55:
                norm = rng.random()
                session.graph.controls.set(control.name, control.from_norm(norm))
            elif kind < 0.7:
                session.producer.command("go", rng.choice(["A", "C", "E", ""]))
            elif kind < 0.78:
                session.producer.command("next")
            elif kind < 0.88:
                session.fade(rng.choice(list(FadeKind)), rng.uniform(0.1, 1.0), 0.5)
            else:
                args = ["wind", "waves", "", f"waves:-{rng.randrange(9)},rain:-3"]
                name = rng.choice(["next", "only", "mix"])
                given = {"next": [], "only": args[:3], "mix": args}[name]
                session.command_bed(
                    f"effects/{name}", *rng.sample(given, k=bool(given))
                )
            time.sleep(rng.choice([0.0, 0.0, 0.01, 0.05, 0.2, 0.7]))

    for name in ("wind", "waves", "rain"):
        Library().load(name, RATE)
    start = snapshot_of({"effects/dwell": 10.0, "effects/crossfade": 1.0})
    settings = Settings(
        seed=11, sample_rate=RATE, effects=("wind", "waves"), controls=start
    )
    heard, events = live(settings, 2.0, act)
    n = len(heard)
    for first, last in ((0, n), (n // 3, n // 2), (n // 2, n), (3 * n // 4, n)):
        rendered = again(settings, events, first, last)
        if first == 0:
            np.testing.assert_array_equal(rendered, heard[:last])
        residual = audio.residual_db(rendered, heard[first:last])
        assert residual < -90.0, f"samples {first} to {last}"


def check_stems(
    settings: Settings, events: list[dict[str, object]], heard: Samples
) -> None:
    """Stems sum to what was heard, and the effects are the bed with its gains."""
    stems: list[list[Samples]] = [[], []]

    def keep(music: Samples, effects: Samples) -> None:
        stems[0].append(music)
        stems[1].append(effects.copy())

    replay(
        build(settings),
        edits_of(events),
        0,
        len(heard),
        lambda block: None,
        write_stems=keep,
    )
    music, effects = map(np.concatenate, stems)
    assert audio.residual_db(music + effects, heard) < -90.0
    bed_off = [
        *edits_of(events),
        *edits_of([{"at": 0, "set": {"effects/gain": -60.0}}]),
    ]
    blocks: list[Samples] = []
    replay(build(settings), bed_off, 0, len(heard), lambda b: blocks.append(b.copy()))
    assert audio.residual_db(np.concatenate(blocks), music) < -40.0
    assert audio.residual_db(music, heard) > -60.0, "there is a bed to take out"


def check_rate(
    settings: Settings, events: list[dict[str, object]], heard: Samples
) -> None:
    """The same session at 48 kHz is the same music, resampled."""
    rate = 48_000
    blocks: list[Samples] = []
    stop = round(len(heard) * rate / RATE)
    replay(
        build(replace(settings, sample_rate=rate)),
        edits_of(events, rate / RATE),
        0,
        stop,
        lambda block: blocks.append(block.copy()),
    )
    # The limiter's delay is a number of samples, whatever they last.
    late = [Limiter(each).latency for each in (RATE, rate)]
    expected = soxr.resample(heard[late[0] :], RATE, rate, quality="VHQ")
    rendered = np.concatenate(blocks)[late[1] :]
    n = min(len(rendered), len(expected)) - rate // 10
    for event in events:  # partials of a concealment lie in other bins
        if "conceal" in event:
            at = event["at"]
            assert isinstance(at, int)
            n = min(n, round(at * rate / RATE) - rate // 10)
    assert audio.residual_db(rendered[:n], expected[:n]) < -20.0
