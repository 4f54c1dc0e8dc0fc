"""How fast the engine is, as ratios of the time that its audio fills.

Run as `bin/bench engine`. Medians of several runs in one process, one thread; speeds
are of processor time, the rest of the clock's.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

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
from tests.support.kept_figures import Figure, keep

RATE = 48_000
BLOCKS = (64, 128, 256, 512)  # samples that a device may ask for
AHEAD_EVERY_S = 0.4  # less than what is made ahead
MINUTES = 4.0


def render_speed(*, bed: bool) -> float:
    """Seconds of a song that are rendered in a second of processor time.

    Args:
        bed: with it, or the music alone.
    """
    settings = Settings(seed=7, sample_rate=RATE, duration=60.0 * MINUTES)
    graph = build(settings if bed else replace(settings, effects=None))
    if graph.bed is not None:
        graph.bed.prepare(0)  # loops are made once in a lifetime
    started = time.process_time()
    render(graph, _nothing)
    return 60.0 * MINUTES / (time.process_time() - started)


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
    """Seconds to make what sounds in an underrun; needed once a minute at most."""
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
    """Print the table, and keep its figures."""
    figures = [
        _speed("render, 4 min with bed", bed=True),
        _speed("render, 4 min, music alone", bed=False),
    ]
    for n in BLOCKS:
        figures += _shares(f"device's callback, {n} samples", device_share(n))
        figures += _shares(f"mixer, {n} samples", mixer_share(n))
        starved = mixer_share(n, starved=True)
        figures += _shares(f"mixer in an underrun, {n} samples", starved)
    figures += [
        Figure("making a concealment", 1000 * _median(concealment_time, 5), "ms"),
        Figure("changed control to new hop", _median(replan_time, 3), "ms"),
        Figure("decoding 64 latents", 100 * decode_share(), "% of their audio"),
    ]
    console = Console()
    table = Table("engine", "measured", title=f"one thread, {RATE} Hz")
    for figure in figures:
        table.add_row(figure.name, str(figure))
    console.print(table)
    keep("engine", figures, console)


def _speed(name: str, *, bed: bool) -> Figure:
    speed = _median(lambda: render_speed(bed=bed), 3)
    return Figure(name, speed, "x real time", more_is_better=True)


def _shares(name: str, shares: tuple[float, float]) -> list[Figure]:
    median, worst = shares
    return [
        Figure(f"{name}, median", 100 * median, "% of the period"),
        Figure(f"{name}, p99.9", 100 * worst, "% of the period"),
    ]


def _hop(graph: Graph) -> Samples:
    hop = graph.music.next()
    assert hop is not None
    return hop


def _nothing(block: Samples) -> None:
    """Where rendered blocks go."""


def _over_period(times: list[float], n: int) -> tuple[float, float]:
    period = n / RATE
    return statistics.median(times) / period, float(np.quantile(times, 0.999)) / period


def _median(measure: Callable[[], float], runs: int) -> float:
    return statistics.median(measure() for _ in range(runs))


if __name__ == "__main__":
    main()
