"""`latent play` as a process of its own, watched line by line."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.command import ROOT, environment

START_S = 60.0  # a first start makes the loops of the bed
END_S = 90.0  # what is being kept is rendered at a low priority first


class Player:
    """A `latent play` that runs.

    Attributes:
        process: to send signals to.
        osc: UDP port that it listens on.
    """

    def __init__(self, process: "subprocess.Popen[str]", osc: int) -> None:
        self.process, self.osc = process, osc
        self._lines: list[tuple[float, str]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def lines(self) -> list[str]:
        """What it has said on stderr so far."""
        return [line for _, line in tuple(self._lines)]

    @property
    def said(self) -> str:
        """The same as one text."""
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, timeout: float = START_S) -> float:
        """Until it says that; returns the monotonic time at which it did."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for at, line in tuple(self._lines):
                if re.search(pattern, line):
                    return at
            if not self._reader.is_alive():
                break
            time.sleep(0.01)
        raise AssertionError(f"{pattern!r} was not said, but:\n{self.said}")

    def wait(self, timeout: float = END_S) -> int:
        """Until it has ended; returns its exit status."""
        status = self.process.wait(timeout)
        self._reader.join(timeout)
        return status

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and wait for it."""
        self.process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.wait()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.append((time.monotonic(), line.rstrip("\n")))


@contextmanager
def playing(
    *args: object, home: Path, env: Mapping[str, str] | None = None, ready: bool = True
) -> Iterator[Player]:
    """Run `latent play ARGS` while the block runs; killed at its end if need be.

    Args:
        args: of the command, made texts.
        home: LATENT_HOME.
        env: variables of a sound server; by default it plays to nobody.
        ready: enter the block once it plays.
    """
    port = free_port()
    command = [sys.executable, "-m", "engine.cli", "play", "--osc", str(port)]
    command += ["--no-audio"] if env is None else []
    with subprocess.Popen(
        [*command, *map(str, args)],
        cwd=ROOT,
        env={**environment(home), **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        player = Player(process, port)
        try:
            if ready:
                player.wait_for("playing, seed")
            yield player
        finally:
            if process.poll() is None:
                player.kill()


def free_port() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
