"""How soon there is sound, what playing costs, and what it holds.

Run as `bin/bench start [MINUTES]`: on a null sink of PulseAudio, with the bed, OSC and
a recording. Needs pulseaudio and parec.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from tests.support.command import ROOT, environment
from tests.support.kept_figures import Figure, keep
from tests.support.monitor import Monitor, monitored
from tests.support.playing import playing
from tests.support.virtual_audio import VirtualAudio

RUNS = 5
HEARD = 1e-5  # amplitude: the music fades in from nothing
MAKE_S = 40.0
SETTLE_S = 20.0  # after which a session does what it will do all the time
GIVE_UP_S = 60.0
RADIO, RECORDING = "playing", "playing and recording"


def help_cpu_s(home: Path) -> float:
    """CPU seconds of `latent --help`."""
    before = _children_s()
    command = [sys.executable, "-m", "engine.cli", "--help"]
    subprocess.run(
        command, cwd=ROOT, env=environment(home), stdout=subprocess.DEVNULL, check=True
    )
    return _children_s() - before


def first_sound_s(device: VirtualAudio, home: Path) -> float:
    """Seconds from the start of `latent play` to sound out of the sink."""
    with monitored(device) as monitor:
        silent_until = len(monitor.samples())
        started = time.monotonic()
        with playing(home=home, env=device.env, ready=False) as player:
            at = _first_heard(monitor, silent_until)
            player.stop()
        return monitor.time_of(at) - started


def playing_costs(device: VirtualAudio, home: Path, seconds: float) -> dict[str, float]:
    """Shares of a core of two sessions, and memory, MB, of the one that records."""
    asked = ("--seed", 7)
    with playing(*asked, home=home, env=device.env) as player:
        time.sleep(MAKE_S)  # loops, which a session that is measured finds made
        radio = _share_of_core(psutil.Process(player.process.pid), seconds)
        player.stop()
    file = home / "session.flac"
    with playing(*asked, "--record", file, home=home, env=device.env) as player:
        time.sleep(SETTLE_S)
        session = psutil.Process(player.process.pid)
        share = _share_of_core(session, seconds)
        whole = [session, *session.children(recursive=True)]
        memory = [each.memory_full_info() for each in whole]
        player.stop()
    return {
        RADIO: 100.0 * radio,
        RECORDING: 100.0 * share,
        "session's own": memory[0].uss / 2**20,
        "session with its share of what is mapped": memory[0].pss / 2**20,
        "session resident": memory[0].rss / 2**20,
        "all processes, with their shares": sum(m.pss for m in memory) / 2**20,
    }


def _first_heard(monitor: Monitor, silent_until: int) -> int:
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        heard = np.abs(monitor.samples()[silent_until:]).max(axis=1, initial=0.0)
        if (found := np.flatnonzero(heard > HEARD)).size:
            return silent_until + int(found[0])
        time.sleep(0.02)
    raise AssertionError("nothing was heard")


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _share_of_core(session: psutil.Process, seconds: float) -> float:
    cpu, began = _cpu_s(session), time.monotonic()
    time.sleep(seconds)
    return (_cpu_s(session) - cpu) / (time.monotonic() - began)


def _cpu_s(session: psutil.Process) -> float:
    times = [p.cpu_times() for p in (session, *session.children(recursive=True))]
    return float(sum(t.user + t.system for t in times))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", nargs="?", type=float, default=2.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, VirtualAudio() as device:
        home = Path(folder) / "home"
        cpu = statistics.median(help_cpu_s(home) for _ in range(RUNS))
        figures = [Figure("latent --help", cpu, "CPU s")]
        cold = first_sound_s(device, home)
        figures.append(Figure("first sound, no loop made yet", cold, "s"))
        costs = playing_costs(device, home, 60.0 * given.minutes)
        warm = [first_sound_s(device, home) for _ in range(RUNS)]
        figures += [
            Figure("first sound, loops made", statistics.median(warm), "s"),
            Figure("the same, at most", max(warm), "s"),
            *(Figure(n, costs.pop(n), "% of a core") for n in (RADIO, RECORDING)),
            *(Figure(f"memory, {name}", size, "MB") for name, size in costs.items()),
        ]
    console = Console()
    table = Table("start and size", "measured")
    for figure in figures:
        table.add_row(figure.name, str(figure))
    console.print(table)
    console.print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    keep("start", figures, console)


if __name__ == "__main__":
    main()
