"""Sessions that end at any moment, before they play or later, by signals or alone."""

import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from engine.recording.recovery import repair_all
from tests.support.device_faults import children_of, is_running
from tests.support.playing import playing
from tests.support.virtual_audio import VirtualAudio

LIMIT_S = 20.0
PROGRAMME_S = 3.0  # of one that ends by itself
# Should it hang, it says where, when it is aborted.
TELLING = {"PYTHONFAULTHANDLER": "1"}


@dataclass(frozen=True)
class End:
    """How a session ended.

    Attributes:
        after_s: from its start to the signal; None: once it played.
        number: of the signal; None: its programme was over.
        again_s: from the first signal to a second one, if there was one.
        code: exit code.
        seconds: from the signal, or the programme's end, to the end.
        played: it had said that it plays.
        left: its processes that were there when it had ended.
        broken: files of its recording that are not whole, repaired or not.
        said: its lines.
    """

    after_s: float | None
    number: signal.Signals | None
    again_s: float | None
    code: int
    seconds: float
    played: bool
    left: tuple[int, ...]
    broken: tuple[str, ...]
    said: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether the exit code is that of a soft end, or of a signal before it."""
        codes = {0}
        if self.number is not None and (not self.played or self.again_s is not None):
            codes |= {128 + self.number, -self.number}
        own = all(line.startswith("latent: ") for line in self.said)
        return self.code in codes and own and not self.left and not self.broken


def end_at(
    home: Path,
    device: VirtualAudio,
    after_s: float | None,
    number: signal.Signals | None,
    again_s: float | None = None,
) -> End:
    """Start `latent play` with a recording, and end it after so long.

    Args:
        home: LATENT_HOME, to itself.
        device: that it plays on.
        after_s: from its start to the signal; None: once it plays.
        number: of the signal; None: its programme ends.
        again_s: until the signal is sent again.
    """
    folder = home / f"end-{time.monotonic_ns()}"
    folder.mkdir()
    asked: list[object] = ["--no-effects", "--record", folder / "end.flac"]
    asked += [] if number is not None else ["--minutes", PROGRAMME_S / 60.0]
    with playing(
        *asked, home=home, env={**device.env, **TELLING}, ready=after_s is None
    ) as player:
        if after_s is not None:
            time.sleep(after_s)
        children = children_of(player.process.pid)
        played = "playing, seed" in player.said
        ended_at = time.monotonic() + (PROGRAMME_S if number is None else 0.0)
        if number is not None:
            player.process.send_signal(number)
        if number is not None and again_s is not None:
            time.sleep(again_s)
            player.process.send_signal(number)
        try:
            code = player.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            player.process.send_signal(signal.SIGABRT)
            player.wait()
            raise AssertionError(f"it hangs:\n{player.said}") from None
        seconds = time.monotonic() - ended_at
        left = [pid for pid in children if is_running(pid)]
        if left:  # the session's end is theirs; they notice it at once
            time.sleep(0.5)
            left = [pid for pid in left if is_running(pid)]
        player.wait()
    cores = [p for p in (Path.cwd(), home) for p in p.glob("core*") if p.is_file()]
    assert not cores, cores
    broken = _broken(folder)
    return End(
        *(after_s, number, again_s, code, seconds, played),
        *(tuple(left), broken, tuple(player.lines)),
    )


def _broken(folder: Path) -> tuple[str, ...]:
    """Names of the recordings that are not whole, once what can be is repaired."""
    repair_all(folder)
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".cue":
            continue
        tested = subprocess.run(
            ["flac", "-t", "-s", str(path)], capture_output=True, check=False
        )
        if tested.returncode != 0:
            found.append(path.name)
    return tuple(found)
