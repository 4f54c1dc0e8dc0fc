"""From an OSC packet to changed sound, at the monitor of a PulseAudio null sink.

Run as `bin/bench latency [N]`: N packets of each speed, 40 by default. A real `latent
play` is sent changes at random moments. When each was heard is found by comparing what
the monitor gave with the session rendered again from its journal without that change:
the first sample that departs from it. The latency of the device is found with clicks
through the same kind of stream, and taken off. Then comes a minute in which 200
messages arrive every second.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import TypeAlias

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table as Printed

from effects.audio.levels import Samples
from engine.offline.edits import Edit, edits_of
from engine.offline.played_session import load_session
from engine.offline.replay import replay
from engine.osc.messages import message
from tests.support import audio, signals
from tests.support.monitor import Monitor, monitored
from tests.support.osc import Client, sweep
from tests.support.playing import Player, playing
from tests.support.virtual_audio import VirtualAudio

RATE = 48_000
EVERY_S = (0.5, 0.9)  # between packets: longer than a change takes to be over
DEPARTED_DB = -50.0  # below the music: from here on the sound is another
WINDOW_S = 0.02  # of levels
SPAN_S = (0.35, 0.5)  # looked at before and after a change
SOONER_S = 0.2  # the new sound alone, to compare levels with
N_CLICKS = 20
FLOOD_S, FLOOD_HZ = 60.0, 200

Table: TypeAlias = tuple[tuple[str, float | str | None], ...]

# One after the other, and again: each changes what is heard when it comes.
FAST: Table = (
    ("master/gain", -6.0),
    ("tilt", 6.0),
    ("width", 0.2),
    ("master/mute", 1.0),
    ("master/mute", 0.0),
    ("master/gain", 0.0),
    ("tilt", 0.0),
    ("width", 1.0),
)
LATENT: Table = (
    ("wiggle/amount", 1.5),
    ("rank/brightness", 0.9),
    ("tuning/key", "G#"),
    ("rank/motion", 0.8),
    ("next", None),
    ("rank/pitch", 0.7),
    ("wiggle/amount", 0.3),
    ("rank/brightness", -0.9),
    ("tuning/key", "D"),
    ("rank/motion", -0.8),
    ("rank/pitch", -0.7),
)

CLICKS = """
import sys, time
import sounddevice
rate, n = int(sys.argv[1]), int(sys.argv[2])
times, wanted = [], [False]
def callback(out, n_samples, when, status):
    block = memoryview(out).cast("f")
    block[:] = memoryview(bytes(8 * n_samples)).cast("f")
    if wanted[0]:
        wanted[0] = False
        times.append(time.monotonic())
        block[0] = block[1] = 0.5
stream = sounddevice.RawOutputStream(
    rate, channels=2, dtype="float32", latency=0.2, callback=callback
)
stream.start()
time.sleep(1.0)
for number in range(n):
    wanted[0] = True
    time.sleep(0.31 + 0.007 * number)
time.sleep(0.5)
print(stream.latency, *times)
stream.close()
"""


@dataclass(frozen=True)
class Sent:
    """A packet that was sent.

    Attributes:
        name: of the control or command.
        at: monotonic time in s.
        is_fast: acts after the ring.
    """

    name: str
    at: float
    is_fast: bool


@dataclass(frozen=True)
class Heard:
    """What became of a packet: seconds until it was heard, clicks, and a dip in dB."""

    sent: Sent
    delay_s: float
    n_clicks: int
    dip_db: float


def device_latency(device: VirtualAudio) -> tuple[float, float]:
    """Seconds from the callback to the monitor, median; and what PortAudio states."""
    with monitored(device) as monitor:
        done = subprocess.run(
            [sys.executable, "-c", CLICKS, str(RATE), str(N_CLICKS)],
            env={**os.environ, **device.env},
            capture_output=True,
            text=True,
            check=True,
        )
        samples = monitor.samples()[:, 0]
    stated, *times = map(float, done.stdout.split())
    clicks = np.flatnonzero(np.abs(samples) > 0.25)
    assert len(clicks) == len(times) == N_CLICKS
    pairs = zip(clicks, times, strict=True)
    return statistics.median(monitor.time_of(int(c)) - t for c, t in pairs), stated


def play_changes(player: Player, n_each: int, rng: np.random.Generator) -> list[Sent]:
    """Send packets of one speed, then of the other, at random moments."""
    sent = []
    client = Client(player.osc)
    for table in (FAST, LATENT):
        for name, value in islice(cycle(table), n_each):
            time.sleep(rng.uniform(*EVERY_S))
            packet = _packet(name, value)
            sent.append(Sent(name, time.monotonic(), table is FAST))
            client.send(packet)
    time.sleep(1.5)
    client.close()
    return sent


def find_changes(
    journal: Path, sent: Sequence[Sent], monitor: Monitor, device_s: float
) -> list[Heard]:
    """Each packet with the time of its change in what the monitor gave."""
    captured = monitor.samples()
    edits = [
        edit
        for edit in edits_of(load_session(journal).events)
        if edit.values or edit.command == "next"
    ]
    others = [
        edit
        for edit in edits_of(load_session(journal).events)
        if not edit.values and edit.command != "next"
    ]
    assert len(edits) == len(sent), f"{len(edits)} edits for {len(sent)} packets"
    edits.sort(key=lambda edit: edit.at)
    whole = _rendered(journal, [*edits, *others], 0, round(8.0 * RATE))
    start = captured[: 20 * RATE]
    shift = audio.align(
        np.pad(start, ((0, RATE), (0, 0))), whole[2 * RATE :], 12 * RATE
    )
    shift -= 2 * RATE  # sample n of the session is sample n + shift of the capture
    residual = audio.residual_db(
        captured[shift + 2 * RATE : shift + 8 * RATE], whole[2 * RATE :]
    )
    assert residual < -80.0, f"the capture is not the session: {residual:.0f} dB"
    found = []
    for number, edit in enumerate(edits):
        first = edit.heard - round(SPAN_S[0] * RATE)
        last = edit.heard + round(SPAN_S[1] * RATE)
        # The new sound alone: of a change of plan, from where it was made on.
        sooner = edit.heard - round(SOONER_S * RATE)
        if edit.spliced is None:
            earlier = replace(edit, at=sooner)
        else:
            earlier = replace(edit, spliced=edit.at)
        before = _rendered(journal, [*others, *edits[:number]], first, last)
        after = _rendered(journal, [*others, *edits[:number], earlier], first, last)
        real = captured[first + shift : last + shift]
        at = _departure(real, before)
        if at is None:
            continue
        delay = monitor.time_of(first + shift + at) - sent[number].at - device_s
        dip = _dip_db(real, before, after)
        found.append(Heard(sent[number], delay, len(signals.clicks(real)), dip))
    return found


def flood(player: Player, monitor: Monitor, seconds: float) -> tuple[int, float]:
    """Sweep controls of both speeds; returns messages sent and the longest silence."""
    begin = len(monitor.samples())
    n_sent = sweep(player.osc, seconds, FLOOD_HZ)
    return n_sent, audio.longest_silence_s(monitor.samples()[begin:], RATE)


def main() -> None:
    """Measure and print."""
    n_each = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    folder = tempfile.TemporaryDirectory(prefix="latent-latency-")
    home = Path(folder.name)
    with VirtualAudio(RATE) as device:
        device_s, stated_s = device_latency(device)
        with (
            monitored(device) as monitor,
            playing("--seed", 7, "--no-effects", home=home, env=device.env) as player,
        ):
            time.sleep(5.0)
            sent = play_changes(player, n_each, np.random.default_rng(1))
            assert player.stop() == 0
        changes_said = player.lines[-1]
        (journal,) = (home / "state" / "journals").glob("*.jsonl")
        found = find_changes(journal, sent, monitor, device_s)
        with (
            monitored(device) as monitor,
            playing("--seed", 8, home=home, env=device.env) as player,
        ):
            time.sleep(3.0)
            n_sent, silence_s = flood(player, monitor, FLOOD_S)
            assert player.stop() == 0
    table = Printed("change", "heard", "p50 ms", "p95 ms", "max ms", "clicks", "dip dB")
    groups = {"fast": [h for h in found if h.sent.is_fast]}
    groups["latent"] = [h for h in found if not h.sent.is_fast]
    for name in dict.fromkeys(h.sent.name for h in found):
        groups[name] = [h for h in found if h.sent.name == name]
    for name, rows in groups.items():
        delays = [1000.0 * h.delay_s for h in rows]
        n = sum(name in ("fast" if s.is_fast else "latent", s.name) for s in sent)
        table.add_row(
            name,
            f"{len(rows)}/{n}",
            *(f"{np.quantile(delays, q):.0f}" for q in (0.5, 0.95, 1.0)),
            str(sum(h.n_clicks for h in rows)),
            f"{min(h.dip_db for h in rows):.2f}",
        )
    console = Console()
    console.print(table)
    console.print(
        f"without the device's {1000 * device_s:.0f} ms from callback to monitor "
        f"(PortAudio states {1000 * stated_s:.0f})\n{changes_said}\n"
        f"{n_sent} messages in {FLOOD_S:.0f} s: longest silence {silence_s:.3f} s\n"
        f"{player.lines[-1]}"
    )


def _packet(name: str, value: float | str | None) -> bytes:
    types = "" if value is None else "s" if isinstance(value, str) else "f"
    return message(f"/latent/{name}", types, () if value is None else (value,))


def _rendered(journal: Path, edits: Sequence[Edit], first: int, last: int) -> Samples:
    blocks: list[Samples] = []
    ordered = sorted(edits, key=lambda edit: edit.at)
    graph = load_session(journal).graph
    replay(graph, ordered, first, last, lambda block: blocks.append(block.copy()))
    return np.concatenate(blocks)


def _departure(real: Samples, twin: Samples) -> int | None:
    """The first sample at which the sound is another than its twin's."""
    level = np.sqrt(np.mean(np.square(twin, dtype=np.float64)))
    if level < 1e-6:  # it was mute before
        level = np.sqrt(np.mean(np.square(real, dtype=np.float64)))
    differs = np.max(np.abs(real - twin), axis=1) > level * 10.0 ** (DEPARTED_DB / 20.0)
    return int(np.argmax(differs)) if differs.any() else None


def _dip_db(real: Samples, before: Samples, after: Samples) -> float:
    """By how much the level falls below that of the old and of the new sound."""
    window = round(WINDOW_S * RATE)

    def levels(samples: Samples) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        power = np.mean(np.square(samples, dtype=np.float64), axis=1)
        return np.convolve(power, np.ones(window) / window, "valid")

    floor = np.minimum(levels(before), levels(after))
    return float(10.0 * np.log10(np.min((levels(real) + 1e-9) / (floor + 1e-9))))


if __name__ == "__main__":
    main()
