"""What songs measure like: level, peaks, width, clicks and the trace of the hop.

Run as `bin/bench songs [N]`: N songs of two minutes with seeds from 1.
"""

import os
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LATENT_HOME", tempfile.mkdtemp(prefix="latent-bench-"))

import numpy as np
from rich.console import Console
from rich.table import Table

from effects.levels import Samples
from effects.loudness import integrated_lufs, short_term_lufs, true_peak_db
from engine.compose import preset
from engine.graph import Settings, build
from engine.live.controls import snapshot_of
from engine.render import render
from tests.support.signals import clicks

RATE = 44_100
SECONDS = 120.0


def song(seed: int) -> Samples:
    """Two minutes with the default preset."""
    shoreline = preset.load("shoreline")
    settings = Settings(
        seed=seed,
        sample_rate=RATE,
        duration=SECONDS,
        controls=snapshot_of(shoreline.controls),
        effects=shoreline.effects,
    )
    blocks: list[Samples] = []
    render(build(settings), lambda block: blocks.append(block.copy()))
    whole: Samples = np.concatenate(blocks)
    return whole


def main() -> None:
    """Print the table."""
    n_songs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    rows = []
    for seed in range(1, n_songs + 1):
        samples = song(seed)
        term = np.asarray(short_term_lufs(samples, RATE))[5:-8]
        rows.append(
            (
                integrated_lufs(samples, RATE),
                true_peak_db(samples, RATE),
                float(np.ptp(term)),
                float(np.asarray(np.corrcoef(samples.T))[0, 1]),
                float(len(clicks(samples))),
            )
        )
    measured = np.array(rows)
    names = (
        "integrated loudness, LUFS",
        "true peak, dBTP",
        "range of short-term loudness, LU",
        "correlation of left and right",
        "clicks",
    )
    table = Table("", "least", "median", "most", title=f"{n_songs} songs of 2 min")
    for name, column in zip(names, measured.T, strict=True):
        low, middle, high = np.quantile(column, [0.0, 0.5, 1.0])
        table.add_row(name, f"{low:.2f}", f"{middle:.2f}", f"{high:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
