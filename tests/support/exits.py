"""Sessions that a signal ends at some moment, also before they play."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.device_faults import children_of, is_running
from tests.support.playing import playing
from tests.support.virtual_audio import VirtualAudio

LIMIT_S = 20.0
# Should it hang, it says where, when it is aborted.
TELLING = {"PYTHONFAULTHANDLER": "1"}


@dataclass(frozen=True)
class End:
    """How a session ended.

    Attributes:
        after_s: from its start to the signal; None: once it played.
        number: of the signal.
        code: exit code.
        seconds: from the signal to the end.
        played: it had said that it plays.
        left: its processes that were there when it had ended.
        said: its lines.
    """

    after_s: float | None
    number: signal.Signals
    code: int
    seconds: float
    played: bool
    left: tuple[int, ...]
    said: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether the exit code is that of a soft end, or of a signal before it."""
        softly = (0,) if self.played else (0, 128 + self.number, -self.number)
        own = all(line.startswith("latent: ") for line in self.said)
        return self.code in softly and own and not self.left


def end_at(
    home: Path, device: VirtualAudio, after_s: float | None, number: signal.Signals
) -> End:
    """Start `latent play` with a recording, and end it after so long."""
    file = home / f"end-{time.monotonic_ns()}.flac"
    asked = ["--no-effects", "--record", file]
    with playing(
        *asked, home=home, env={**device.env, **TELLING}, ready=after_s is None
    ) as player:
        if after_s is not None:
            time.sleep(after_s)
        children = children_of(player.process.pid)
        played = "playing, seed" in player.said
        asked_at = time.monotonic()
        player.process.send_signal(number)
        try:
            code = player.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            player.process.send_signal(signal.SIGABRT)
            player.wait()
            raise AssertionError(f"it hangs:\n{player.said}") from None
        seconds = time.monotonic() - asked_at
        left = [pid for pid in children if is_running(pid)]
        if left:  # the session's end is theirs; they notice it at once
            time.sleep(0.5)
            left = [pid for pid in left if is_running(pid)]
        player.wait()
    cores = [p for p in (Path.cwd(), home) for p in p.glob("core*") if p.is_file()]
    assert not cores, cores
    if os.path.exists(f"{file}.partial"):
        os.unlink(f"{file}.partial")
    said = tuple(player.lines)
    return End(after_s, number, code, seconds, played, tuple(left), said)
