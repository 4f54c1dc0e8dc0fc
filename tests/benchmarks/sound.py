"""How songs move, beside recordings that are named: a table, and pictures.

Run as `bin/bench sound [FOLDER [REFERENCE...]]`: a song of each preset is rendered into
FOLDER without its bed, and measured; references are sound files, or folders of them.
With FOLDER a picture of each song and reference is drawn into it, and one that shows
them side by side. SEED=N takes another seed than 1.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LATENT_HOME", tempfile.mkdtemp(prefix="latent-bench-"))

import numpy as np
from rich.console import Console
from rich.table import Table

from effects.audio.conversion import to_stereo
from effects.audio.levels import Samples
from effects.audio.sound_reader import read_sound
from effects.audio.sound_search import list_sounds
from engine import api as latent
from engine.compose import preset
from tests.support.listening import FINE_STEP, FINE_WINDOW, RATE, measures, spectra

SECONDS = 120.0
SKIPPED_S = 15.0  # of a recording's beginning
SHOWN_S = 60.0


def reference(path: Path) -> Samples:
    """Two minutes of a recording, from where it has begun."""
    samples, _ = read_sound(path, sample_rate=RATE)
    skipped = round(min(SKIPPED_S, max(0.0, len(samples) / RATE - SECONDS)) * RATE)
    return to_stereo(samples[skipped : skipped + round(SECONDS * RATE)])


def song(name: str, seed: int, folder: Path | None) -> Samples:
    """A song of a preset, without its fades; kept in a folder if there is one."""
    fades_s = SKIPPED_S
    made = latent.compose(seed, (SECONDS + 2 * fades_s) / 60.0, name, effects=False)
    if folder is not None:
        made.save(folder / f"{name}-{seed}.flac")
    fades = round(fades_s * RATE)
    return made.render()[fades:-fades]


def draw(sounds: dict[str, Samples], path: Path) -> None:
    """Spectrograms of the first minute of each sound, below one another by pairs."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = -(-len(sounds) // 2)
    size = (14.0, 2.6 * rows) if len(sounds) > 1 else (10.0, 3.6)
    figure, places = plt.subplots(
        rows, min(2, len(sounds)), figsize=size, constrained_layout=True, squeeze=False
    )
    hertz = np.fft.rfftfreq(FINE_WINDOW, 1.0 / RATE)
    shown = (hertz > 30.0) & (hertz < 12_000.0)
    for axes, (name, samples) in zip(places.flat, sounds.items(), strict=False):
        mono = samples[: round(SHOWN_S * RATE)].mean(axis=1)
        level = 10.0 * np.log10(spectra(mono, FINE_WINDOW, FINE_STEP) + 1e-9)
        seconds = np.arange(len(level)) * FINE_STEP / RATE
        top = np.percentile(level, 99.9)
        axes.pcolormesh(
            seconds, hertz[shown], level[:, shown].T, vmin=top - 75.0, vmax=top,
            cmap="magma", rasterized=True, shading="nearest",
        )  # fmt: skip
        axes.set(yscale="log", title=name, xlabel="seconds", ylabel="Hz")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def main() -> None:
    """Render, measure, draw, and print the table."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    seed = int(os.environ.get("SEED", "1"))
    songs = {name: song(name, seed, folder) for name in preset.names()}
    paths = [path for word in sys.argv[2:] for path in list_sounds(Path(word))]
    references = {path.stem: reference(path) for path in paths}
    ours = {name: measures(samples) for name, samples in songs.items()}
    theirs = [measures(samples) for samples in references.values()]
    if folder is not None:
        for name, samples in {**songs, **references}.items():
            draw({name: samples}, folder / f"{name}.png")
        pairs = [*songs.items()]
        if references:
            beside = list(references.items()) * len(songs)
            pairs = [p for both in zip(pairs, beside, strict=False) for p in both]
            pairs = [(f"{i}: {n}", s) for i, (n, s) in enumerate(pairs, 1)]
        draw(dict(pairs), folder / "side-by-side.png")

    table = Table("", *(["references q25 / median / q75"] if theirs else []), "songs")
    for name in ours:
        table.add_column(name, justify="right")
    for measure in next(iter(ours.values())):
        row = [float(values[measure]) for values in ours.values()]
        cells = [f"{np.median(row):.2f}"]
        if theirs:
            quartiles = np.quantile(
                [values[measure] for values in theirs], [0.25, 0.5, 0.75]
            )
            cells.insert(0, " / ".join(f"{value:.2f}" for value in quartiles))
        table.add_row(measure, *cells, *(f"{value:.2f}" for value in row))
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
