"""How fast the engine is, as ratios of the time that its audio fills.

Run as `bin/bench engine`. Medians of several runs in one process, one thread.
"""

import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LATENT_HOME", tempfile.mkdtemp(prefix="latent-bench-"))

import numpy as np
from rich.console import Console
from rich.table import Table

from effects.audio.levels import Samples
from engine.control.controls import snapshot_of
from engine.graph import Graph, Settings, build
from engine.live.device_ring import DeviceEnd, MixerEnd
from engine.live.metrics import Metrics
from engine.live.mixer import MAX_BLOCK, Mixer
from engine.live.music_ring import MusicRing
from engine.live.ring_reader import RingReader
from engine.offline.render import render
from engine.sound.synthesis import N_LAYERS

RATE = 48_000
BLOCKS = (64, 512)  # samples that a device may ask for
AHEAD_EVERY_S = 0.4  # less than what is made ahead
MINUTES = 4.0


def render_speed() -> float:
    """Times real time of rendering a song with its bed."""
    graph = build(Settings(seed=7, sample_rate=RATE, duration=60.0 * MINUTES))
    assert graph.bed is not None
    graph.bed.prepare(0)  # loops are made once in a lifetime
    started = time.perf_counter()
    render(graph, _nothing)
    return 60.0 * MINUTES / (time.perf_counter() - started)


def device_share(n: int) -> tuple[float, float]:
    """Median and 99.9th percentile of the device's callback over the block's time.

    Args:
        n: samples of a block.
    """
    mixer = MixerEnd(RATE)
    device = DeviceEnd(mixer.plan)
    block, times = np.zeros((n, 2), np.float32), []
    out = memoryview(block.data).cast("B").cast("f")
    for _ in range(5000):
        mixer.write(block)
        started = time.perf_counter()
        device.take(out, n)
        times.append(time.perf_counter() - started)
    mixer.close()
    return _over_period(times, n)


def mixer_share(n: int, *, starved: bool = False) -> tuple[float, float]:
    """Median and 99.9th percentile of the mixer's time over the block's.

    Args:
        n: samples of a block.
        starved: the ring is empty, and the concealment sounds.
    """
    graph = build(Settings(seed=7, sample_rate=RATE))
    assert graph.bed is not None
    graph.bed.prepare(0)
    metrics = Metrics()
    ring = MusicRing(20 * RATE, N_LAYERS)
    reader = RingReader(ring, RATE, metrics, MAX_BLOCK)
    while ring.available < 12 * RATE:
        hop = _hop(graph)
        if starved:
            reader.concealment = graph.music.concealment()
            break
        ring.write(hop)
    mixer = Mixer(
        reader,
        graph.ducked_bed(),
        RATE,
        lambda: graph.controls.snapshot,
        metrics,
    )
    block = np.zeros((n, 2), np.float32)
    times = []
    for number in range(round(10.0 * RATE / n)):
        if number % round(AHEAD_EVERY_S * RATE / n) == 0:
            mixer.make_bed_ahead()  # by a thread of its own, while it plays
        started = time.perf_counter()
        mixer.render(block)
        times.append(time.perf_counter() - started)
    return _over_period(times, n)


def replan_time() -> float:
    """Milliseconds from a changed control to the first new hop, without the margin."""
    graph = build(Settings(seed=7, sample_rate=RATE))
    for _ in range(6):
        _hop(graph)
    times = []
    for number in range(12):
        controls = snapshot_of({"wiggle/amount": 0.5 + 0.05 * number})
        started = time.perf_counter()
        graph.music.replan(4 * RATE, controls)
        _hop(graph)
        times.append(1000.0 * (time.perf_counter() - started))
    return statistics.median(times)


def concealment_time() -> float:
    """Seconds to make what sounds in an underrun; needed every 8 s at most."""
    graph = build(Settings(seed=7, sample_rate=RATE, effects=None))
    _hop(graph)
    started = time.perf_counter()
    graph.music.concealment()
    return time.perf_counter() - started


def decode_share() -> float:
    """Time to decode 64 latents over the audio that they fill."""
    graph = build(Settings(seed=7, sample_rate=RATE, effects=None))
    z = graph.model.sample(64, np.random.default_rng(0))
    times = []
    for _ in range(20):
        started = time.perf_counter()
        graph.model.decode(z)
        times.append(time.perf_counter() - started)
    hop = float(graph.controls.snapshot["hop"])
    return statistics.median(times) / (64.0 * hop)


def main() -> None:
    """Print the table."""
    rows = [("render, 4 min with bed", f"{_median(render_speed, 3):.0f} x real time")]
    for n in BLOCKS:
        rows += [
            (f"device's callback, {n} samples", _share(device_share(n))),
            (f"mixer, {n} samples", _share(mixer_share(n))),
            (
                f"mixer in an underrun, {n} samples",
                _share(mixer_share(n, starved=True)),
            ),
        ]
    rows += [
        ("making a concealment", f"{1000 * _median(concealment_time, 5):.0f} ms"),
        ("changed control to new hop", f"{_median(replan_time, 3):.0f} ms"),
        ("decoding 64 latents", f"{100 * decode_share():.3f} % of their audio"),
    ]
    table = Table("engine", "measured", title=f"{_machine()}, one thread, {RATE} Hz")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _hop(graph: Graph) -> Samples:
    hop = graph.music.next()
    assert hop is not None
    return hop


def _nothing(block: Samples) -> None:
    """Where rendered blocks go."""


def _over_period(times: list[float], n: int) -> tuple[float, float]:
    period = n / RATE
    return statistics.median(times) / period, float(np.quantile(times, 0.999)) / period


def _share(shares: tuple[float, float]) -> str:
    median, worst = shares
    return f"{100 * median:.1f} % of the period, p99.9 {100 * worst:.1f} %"


def _median(measure: Callable[[], float], runs: int) -> float:
    return statistics.median(measure() for _ in range(runs))


def _machine() -> str:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    return f"{platform.machine()}, {os.cpu_count()} cores, {commit}"


if __name__ == "__main__":
    main()
