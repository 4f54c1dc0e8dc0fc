"""A radio of many hours: whether it repeats, falls silent, or grows.

Run as `bin/bench radio [--hours H] [--seed S]`: composes and decodes every node of H
simulated hours (12) without synthesis, and renders 20 s of audio at five places of
them. Ends with 1 if a limit is not kept. About 15 s of computing an hour.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LATENT_HOME", tempfile.mkdtemp(prefix="latent-bench-"))

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from effects.audio.levels import Samples
from effects.audio.loudness import short_term_lufs
from engine.album.gate import smoothed
from engine.compose import grammar as grammars
from engine.compose import preset
from engine.control.controls import Snapshot, snapshot_of
from engine.offline.render import RenderedMusic
from engine.sound.music import Music
from engine.sound.synthesis import N_LAYERS
from model.config import AXIS
from model.inference import TimbreModel
from model.spectrum import loudness
from tests.support.signals import clicks
from tests.support.songs import RATE

LOWEST_LUFS = -28.0  # of any node: what is aimed at is -18
MOST_GROWTH_MB = 24.0  # after the first hour
NEAREST_DB = 0.5  # of two sections of different songs, over tenths of an octave
STRETCH_S = 20.0


def radio(model: TimbreModel, controls: Snapshot, seed: int) -> Music:
    """An endless stream."""
    grammar = grammars.load("seed")
    return Music(model, grammar, controls, seed=seed, sample_rate=RATE)


def resident_mb() -> float:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def stretch(music: Music, controls: Snapshot, at: int) -> Samples:
    """Mono of some seconds of audio from a sample on."""
    music.replan(at, controls)
    layers = np.zeros((round(STRETCH_S * RATE), N_LAYERS), np.float32)
    RenderedMusic(music).read_into(layers)
    return np.asarray(layers[:, :1])


def nearest_db(sections: NDArray[np.float32], songs: NDArray[np.intp]) -> float:
    """Distance of the nearest sections of two songs that do not meet, dB."""
    smooth = smoothed(sections)
    nearest = np.inf
    for row in range(1, len(smooth)):
        others = np.abs(songs[:row] - songs[row]) > 1
        if others.any():
            apart = np.abs(smooth[:row][others] - smooth[row]).mean(axis=1)
            nearest = min(nearest, AXIS.range_db * float(apart.min()))
    return nearest


def n_repeats(sections: NDArray[np.float32], songs: Sequence[int]) -> int:
    """Sections that are, to a quarter of a dB, one of another song."""
    prints: dict[bytes, int] = {}
    seen = 0
    for row, song in zip(smoothed(sections), songs, strict=True):
        print_of = np.round(4.0 * AXIS.range_db * row).tobytes()
        seen += prints.setdefault(print_of, song) != song
    return seen


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    model = TimbreModel.load()
    controls = snapshot_of(preset.load("shoreline").controls)
    music = radio(model, controls, given.seed)
    nodes = music._nodes
    hop = round(nodes.step_s * RATE)
    n_nodes = int(given.hours * 3600 * RATE / hop)
    levels, sections, songs = np.zeros(n_nodes), [], []
    heard, memory = None, 0.0
    for number in range(n_nodes):
        found = nodes.nodes(number, 1).values()
        power = np.sum([node.bands[i] for ((node, i),) in found], axis=0)
        levels[number] = loudness(power, model.axis)
        now = music.now(number * hop)
        if (now.index, now.symbol) != heard:
            heard = (now.index, now.symbol)
            sections.append(model.axis.from_power(power))
            songs.append(now.index)
        if number == n_nodes // max(2, round(given.hours)):
            memory = resident_mb()
    growth = resident_mb() - memory
    timbres = np.stack(sections)
    repeats = n_repeats(timbres, songs)
    nearest = nearest_db(timbres, np.array(songs))
    places = (np.linspace(0.02, 0.98, 5) * n_nodes).astype(int) * hop
    audio = [stretch(music, controls, int(at)) for at in places]
    quietest = min(float(np.min(short_term_lufs(part, RATE))) for part in audio)

    rows = (
        ("songs", f"{songs[-1] + 1}", "", True),
        ("sections", f"{len(sections)}", "", True),
        ("sections heard in another song before", f"{repeats}", "0", repeats == 0),
        (
            "nearest sections of two songs, dB",
            f"{nearest:.2f}",
            f"over {NEAREST_DB}",
            nearest > NEAREST_DB,
        ),
        (
            "softest node, LUFS",
            f"{levels.min():.1f}",
            f"over {LOWEST_LUFS}",
            bool(levels.min() > LOWEST_LUFS),
        ),
        ("loudest node, LUFS", f"{levels.max():.1f}", "", True),
        ("bad timbres", f"{music.bad_frames}", "0", music.bad_frames == 0),
        (
            "memory after the first hour, MB",
            f"{growth:+.1f}",
            f"under {MOST_GROWTH_MB:g}",
            growth < MOST_GROWTH_MB,
        ),
        (
            "softest 3 s of sampled audio, LUFS of the middle",
            f"{quietest:.1f}",
            f"over {LOWEST_LUFS - 3.0}",
            quietest > LOWEST_LUFS - 3.0,
        ),
        (
            "clicks in it",
            f"{sum(len(clicks(part)) for part in audio)}",
            "0",
            not any(len(clicks(part)) for part in audio),
        ),
    )
    table = Table("", "measured", "limit", title=f"radio of {given.hours:g} h")
    for name, value, limit, kept in rows:
        table.add_row(name, value, limit if kept else f"{limit} MISSED")
    Console().print(table)
    sys.exit(int(not all(kept for *_, kept in rows)))


if __name__ == "__main__":
    main()
