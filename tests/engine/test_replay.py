"""A live session, played to nobody in real time, against its replay."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from effects.levels import Samples
from engine.graph import Settings, build
from engine.live.session import Session
from engine.replay import edits_of, replay
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
    """What a session's master was, and what it wrote down."""
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
    session.fade("fade", 0.3, 0.4)
    time.sleep(0.5)
    producer.command("next")
    turn("tilt", 6.0)
    time.sleep(0.7)
    session.fade("fade", 0.2, 1.0)
    turn("hold", True)
    producer.command("go", "D")
    time.sleep(0.5)
    for step in range(10):
        turn("wiggle/rate", 0.05 + 0.05 * step)
        turn("width", 0.1 * step)
        time.sleep(0.03)
    turn("hold", False)
    producer.command("go", "")


def test_a_session_is_rendered_again_sample_for_sample() -> None:
    settings = Settings(seed=5, sample_rate=RATE, effects=None)
    heard, events = live(settings, 1.0, turn_everything)
    assert {"at": len(heard), "command": "end", "args": []} in events
    assert sum("set" in e for e in events) > 8
    rendered = again(settings, events, 0, len(heard))
    assert audio.residual_db(rendered, heard) < -120.0


def test_any_part_of_it_can_be_had_alone() -> None:
    settings = Settings(seed=6, sample_rate=RATE, effects=("wind", "waves"))
    heard, events = live(settings, 1.0, turn_everything)
    n = len(heard)
    for start, stop in ((0, n // 4), (n // 3 + 17, n // 2), (2 * n // 3, n)):
        rendered = again(settings, events, start, stop)
        residual = audio.residual_db(rendered, heard[start:stop])
        assert residual < -90.0, f"samples {start} to {stop}"
