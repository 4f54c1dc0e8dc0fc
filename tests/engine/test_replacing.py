import errno
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import pytest

from engine.streams import replacing
from tests.support.waiting import wait_until

Process = subprocess.Popen[bytes]


class Kept:
    """A process that is kept running in a thread."""

    def __init__(self, command: list[str]) -> None:
        self.started: list[Process] = []
        self.attended: list[Process] = []
        self.said: list[str] = []
        self.stopping = threading.Event()
        self._command = command
        first = self.start()
        self.thread = threading.Thread(target=self._run, args=[first], daemon=True)
        self.thread.start()

    def attend(self, process: Process) -> None:
        self.attended.append(process)

    def start(self) -> Process:
        self.started.append(subprocess.Popen(self._command))
        return self.started[-1]

    def _run(self, first: Process) -> None:
        replacing.keep_replacing(
            first,
            attend=self.attend,
            start=self.start,
            stopping=self.stopping,
            say=self.said.append,
            name="the helper",
        )


@pytest.fixture
def keep(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], Kept]:
    monkeypatch.setattr(replacing, "RESTART_S", (0.2, 1.6))
    return Kept


def test_a_process_that_is_killed_is_replaced(
    keep: Callable[[list[str]], Kept],
) -> None:
    kept = keep(["sleep", "60"])
    kept.started[0].kill()
    wait_until(lambda: len(kept.started) == 2, 10.0, "a second")
    kept.started[1].kill()
    wait_until(lambda: len(kept.started) == 3, 10.0, "a third")
    kept.stopping.set()
    kept.started[2].kill()
    kept.thread.join(10.0)
    assert not kept.thread.is_alive()
    assert len(kept.started) == 3, "none after the end"
    wait_until(lambda: kept.attended == kept.started, 1.0, "all attended")


def test_one_that_ends_at_once_is_waited_for_longer_and_longer(
    keep: Callable[[list[str]], Kept],
) -> None:
    kept = keep(["true"])
    wait_until(lambda: len(kept.said) > 5, 20.0, "five ends")
    kept.stopping.set()
    kept.thread.join(10.0)
    waits = [float(line.split()[-2]) for line in kept.said[:5]]
    assert waits == [0.2, 0.4, 0.8, 1.6, 1.6]
    assert kept.said[0] == "the helper ended; starting it again in 0.2 s"


def test_one_that_cannot_be_started_is_tried_again(
    keep: Callable[[list[str]], Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = keep(["sleep", "60"])
    popen = subprocess.Popen
    failures: list[int] = []

    def failing(*args: Any, **named: Any) -> Any:
        if len(failures) < 3:
            failures.append(1)
            raise OSError(errno.EMFILE, "Too many open files")
        return popen(*args, **named)

    monkeypatch.setattr(subprocess, "Popen", failing)
    kept.started[0].kill()
    wait_until(lambda: len(kept.started) == 2, 10.0, "a second")
    assert kept.said[1:] == ["the helper: Too many open files"], "once for all"
    kept.stopping.set()
    kept.started[1].kill()
    kept.thread.join(10.0)
    assert not kept.thread.is_alive()


def test_one_that_talks_nonsense_is_replaced(
    keep: Callable[[list[str]], Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    def attend(kept: Kept, process: Process) -> None:
        raise ValueError("no such line")

    monkeypatch.setattr(Kept, "attend", attend)
    kept = keep(["sleep", "60"])
    wait_until(lambda: len(kept.started) == 2, 10.0, "a second")
    assert kept.started[0].wait(10.0) < 0
    kept.stopping.set()
    kept.thread.join(10.0)
    assert not kept.thread.is_alive()
