"""Messages that begin files are bounded, however many come."""

import contextlib
import itertools
from pathlib import Path

import pytest

from effects.base.errors import InputError
from effects.base.paths import config_dir
from engine.app.allowance import AT_ONCE, EVERY_S
from engine.graph import Settings, build
from tests.support.simulated_session import Pace, SimulatedSession

WAIT_S = 4 * EVERY_S


def flooded(session: SimulatedSession, command: str, other: str = "") -> list[int]:
    """How many of a flood were obeyed: at once, and after a rest."""
    numbers, done = itertools.count(), []
    for rest_s in (0.2, WAIT_S):
        session.sleep(rest_s)
        obeyed = 0
        for _ in range(3 * AT_ONCE):
            with contextlib.suppress(InputError):
                session.commands.command(command, f"mine-{next(numbers)}")
                obeyed += 1
            if other:
                session.commands.command(other)
        done.append(obeyed)
    session.session.stop()
    return done


@pytest.mark.parametrize(
    ("command", "other"), [("preset/save", ""), ("record/start", "record/stop")]
)
def test_a_flood_begins_few_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, other: str
) -> None:
    monkeypatch.setenv("LATENT_HOME", str(tmp_path / "home"))
    done: list[int] = []
    session = SimulatedSession(
        build(Settings(seed=1, sample_rate=24_000, effects=None)),
        Pace(),
        tmp_path / "recordings",
        lambda played: done.extend(flooded(played, command, other)),
    )
    session.play()
    assert done == [AT_ONCE, 4]
    if not other:
        own = list((config_dir() / "presets").iterdir())
        assert len(own) == sum(done) == len([s for s in session.said if "saved" in s])
