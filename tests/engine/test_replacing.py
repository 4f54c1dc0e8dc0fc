import subprocess
import threading
from collections.abc import Callable

import pytest

from engine.streams import replacing
from tests.support.streams import wait_until

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

    def start(self) -> Process:
        self.started.append(subprocess.Popen(self._command))
        return self.started[-1]

    def _run(self, first: Process) -> None:
        replacing.keep_replacing(
            first,
            attend=self.attended.append,
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
