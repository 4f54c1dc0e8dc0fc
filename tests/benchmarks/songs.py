"""What songs measure like: level, peaks, width, clicks, joins, and how they differ.

Run as `bin/bench songs [N [SECONDS]]`: N songs (10) of two minutes with seeds from 1,
with their bed. Ends with 1 if a limit is not kept.
"""

import os
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LATENT_HOME", tempfile.mkdtemp(prefix="latent-bench-"))

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from effects.audio.loudness import integrated_lufs, short_term_lufs, true_peak_db
from engine.compose import preset
from engine.compose.loudness_plan import FADE_IN_S, FADE_OUT_S
from engine.graph import TARGET_LUFS
from tests.support.signals import clicks
from tests.support.songs import (
    RATE,
    Mix,
    hear,
    hear_mix,
    join_dips_db,
    nearest_db,
    settings,
)

# Name, lowest and highest that is allowed.
LIMITS = (
    ("integrated loudness, LUFS", TARGET_LUFS - 0.5, TARGET_LUFS + 0.5),
    ("true peak, dBTP", -np.inf, -1.0),
    ("range of short-term loudness, LU", 0.0, 12.0),
    ("correlation of left and right", 0.3, 1.0),
    ("clicks", 0.0, 0.0),
    ("deepest dip at a join, held still, dB", -np.inf, 1.0),
    ("distance of the nearest other song, dB", 3.0, np.inf),
)


def song(seed: int, seconds: float) -> Mix:
    """A song with the default preset and its bed."""
    shoreline = preset.load("shoreline")
    controls = {**shoreline.controls, "song/minutes": seconds / 60.0}
    chosen = settings(seed, controls, seconds=seconds, effects=shoreline.effects)
    return hear_mix(chosen)


def still_dips_db(seed: int, seconds: float) -> NDArray[np.float64]:
    """Dips at the joins of the same song when nothing moves inside its sounds.

    Swells and notes lower the level between two sections as well, and would hide what
    a join does.
    """
    still = {"motion/depth": 0.0, "foreground/density": 0.0}
    controls = {**preset.load("shoreline").controls, "song/minutes": seconds / 60.0}
    heard = hear(settings(seed, {**controls, **still}, seconds=seconds))
    return join_dips_db(heard.samples, heard.song)


def measures(mix: Mix, seed: int, seconds: float) -> tuple[float, ...]:
    """All but the last of `LIMITS`, of one song."""
    term = short_term_lufs(mix.samples, RATE, hop_s=0.5)
    inner = term[round(2 * FADE_IN_S) : len(term) - round(2 * FADE_OUT_S)]
    return (
        integrated_lufs(mix.samples, RATE),
        true_peak_db(mix.samples, RATE),
        float(np.ptp(inner)),
        float(np.asarray(np.corrcoef(mix.samples.T))[0, 1]),
        float(len(clicks(mix.samples))),
        float(still_dips_db(seed, seconds).max()),
    )


def main() -> None:
    """Print the table."""
    given = [float(word) for word in sys.argv[1:]]
    count, seconds = [*given, *(10.0, 120.0)[len(given) :]]
    rows: list[tuple[float, ...]] = []
    sections: list[NDArray[np.float32]] = []
    for seed in range(1, int(count) + 1):
        mix = song(seed, seconds)
        rows.append(measures(mix, seed, seconds))
        sections.append(mix.sections)
    measured = np.column_stack([np.array(rows), nearest_db(sections)])
    title = f"{len(rows)} songs of {seconds:g} s"
    table = Table("", "least", "median", "most", "limit", title=title)
    missed = False
    for (name, low, high), column in zip(LIMITS, measured.T, strict=True):
        least, middle, most = np.quantile(column, [0.0, 0.5, 1.0])
        kept = bool(low <= least and most <= high)
        missed |= not kept
        limit = " to ".join(f"{b:g}" for b in (low, high) if np.isfinite(b))
        table.add_row(
            name,
            *(f"{value:.2f}" for value in (least, middle, most)),
            f"{limit}{'' if kept else ' MISSED'}",
        )
    Console().print(table)
    sys.exit(int(missed))


if __name__ == "__main__":
    main()
