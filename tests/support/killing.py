"""`latent play` killed while it records, and what a repair makes of the recording."""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support import audio
from tests.support.command import latent
from tests.support.osc import Client, number, packet
from tests.support.playing import playing

LONGEST_S = 4.0  # that a session lives once it plays
TURNED = ("wiggle/amount", "master/gain", "rank/pitch", "width")


@dataclass(frozen=True)
class Loss:
    """What a kill cost.

    Attributes:
        seconds: that were played and are not in the repaired file.
        residual_db: of the file against the session rendered again from its journal.
        steps: of 24 bits, by which the two differ at most.
        by_restart: repaired by the next start, and not by `latent recover`.
    """

    seconds: float
    residual_db: float
    steps: float
    by_restart: bool


def kill_while_recording(home: Path, name: str, rng: np.random.Generator) -> Loss:
    """Play, turn controls, kill at a random moment, repair, and compare.

    Args:
        home: LATENT_HOME; others may play in it.
        name: of the recording.
        rng: for seed, moment and values.

    Raises:
        AssertionError: the repaired file is none, or `flac -t` refuses it.
    """
    file = home / "data" / "recordings" / f"{name}.flac"
    file.parent.mkdir(parents=True, exist_ok=True)
    asked = ["--seed", int(rng.integers(1000)), "--record", file]
    with playing(*asked, home=home) as player:
        client = Client(player.osc)
        end = time.monotonic() + rng.uniform(0.3, LONGEST_S)
        while time.monotonic() < end:
            turned = str(rng.choice(TURNED))
            client.send(number(f"/latent/norm/{turned}", rng.uniform(0.3, 0.9)))
            time.sleep(min(0.15, max(0.0, end - time.monotonic())))
        client.send(packet("/latent/status"))
        uptime = float(str(client.until("/latent/status")[2]))
        asked_at = time.monotonic()
        player.process.kill()
        played = uptime + time.monotonic() - asked_at
        player.wait()
        client.close()
    by_restart = bool(rng.random() < 0.5)
    if by_restart:
        with playing("--no-effects", home=home) as again:
            again.stop()
    else:
        recovered = latent("recover", f"{file}.partial", home=home)
        assert recovered.returncode == 0, recovered.stderr
    tested = subprocess.run(["flac", "-t", "-s", str(file)], capture_output=True)
    assert tested.returncode == 0, tested.stderr
    recorded, rate = audio.load(file)
    seconds = len(recorded) / rate
    rendered = file.with_name(f"{name}-again.wav")
    journal = _journal_of(player.process.pid, home)
    done = latent("replay", journal, rendered, "--to", seconds, home=home)
    assert done.returncode == 0, done.stderr
    expected = audio.load(rendered)[0]
    residual = audio.residual_db(recorded, expected)
    steps = float(np.max(np.abs(recorded - expected))) * 2**23
    return Loss(played - seconds, residual, steps, by_restart)


def _journal_of(pid: int, home: Path) -> Path:
    for path in (home / "state" / "journals").glob("*.jsonl"):
        with path.open() as file:
            if json.loads(file.readline())["pid"] == pid:
                return path
    raise AssertionError(f"no journal of process {pid}")
