"""A playing engine that is pelted with broken packets plays on as if nothing were."""

import random
import time
from pathlib import Path

from engine.control.controls import TABLE
from tests.support import audio, signals
from tests.support.mutants import pelt
from tests.support.osc import Client, packet
from tests.support.playing import Player, playing
from tests.support.virtual_audio import VirtualAudio

RATE = 48_000
N_PACKETS, PER_SECOND = 1000, 800.0
# Caches fill: decoded nodes and the next song's pool; and two loops of concealment of
# 11 MB come and go.
MOST_GROWN_KIB = 80 * 1024


def test_broken_packets_change_nothing_in_a_session_that_plays(tmp_path: Path) -> None:
    check_pelting(tmp_path, N_PACKETS)


def check_pelting(home: Path, n_packets: int) -> int:
    """Pelt a session with so many packets; returns KiB by which its memory grew."""
    asked = ["--seed", 3, "--no-effects"]
    with (
        VirtualAudio(RATE) as device,
        playing(*asked, home=home, env=device.env) as player,
    ):
        time.sleep(3.0)
        pelt(player.osc, 400, PER_SECOND, random.Random(1))  # caches are full by then
        before, memory = state(player), memory_kib(player)
        with device.capture() as capture:
            pelt(player.osc, n_packets, PER_SECOND, random.Random(2))
        assert state(player) == before
        grown = memory_kib(player) - memory
        heard = capture.samples()
        assert player.stop() == 0
    assert grown < MOST_GROWN_KIB
    assert " 0 underruns" in player.lines[-1]
    assert "Traceback" not in player.said
    assert "failed" not in player.said
    assert audio.longest_silence_s(heard, RATE) < 0.02
    assert not len(signals.clicks(heard))
    return grown


def state(player: Player) -> dict[str, object]:
    """The value of every control, asked for over OSC."""
    client = Client(player.osc)
    values: dict[str, object] = {}
    for control in TABLE:
        client.send(packet(f"/latent/{control.name}"))
        values[control.name] = client.until(f"/latent/{control.name}")[1]
    client.close()
    return values


def memory_kib(player: Player) -> int:
    status = Path(f"/proc/{player.process.pid}/status").read_text()
    line = next(row for row in status.splitlines() if row.startswith("VmRSS"))
    return int(line.split()[1])
