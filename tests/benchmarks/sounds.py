"""The bundled nature sounds: rendered, measured, drawn, and their tables written.

Run as `bin/bench sounds` for the table of figures; with a folder, a picture of each
sound goes there. `--write` writes what is kept of the sounds in the source anew, as
must be done when a generator was changed: the modulation features and the timbres.
"""

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import signal

from effects.audio.levels import peak_db
from effects.generators import GENERATORS, features
from effects.shelf.library import PREPARED_RATE, at_rate
from effects.shelf.loops import Loop, finished_loop
from effects.shelf.similarity import modulation_features
from engine.sound import effect_timbres as hearing
from model.config import SAMPLE_RATE
from tests.support.signals import clicks

ROW = 10  # features in a line of the table


def main() -> None:
    """Render all, print the table, and do what was asked for."""
    folders = [Path(a) for a in sys.argv[1:] if not a.startswith("-")]
    loops: list[Loop] = []
    table = Table("", "s", "CPU s", "peak, dBFS", "clicks", title="bundled sounds")
    for name, generator in GENERATORS.items():
        begin = time.process_time()
        samples = generator.render(PREPARED_RATE)
        loop = finished_loop(samples, PREPARED_RATE, name, mode="generated")
        took = time.process_time() - begin
        figures = took, peak_db(loop.samples), len(clicks(loop.samples))
        table.add_row(name, f"{loop.seconds:.0f}", *(f"{x:.1f}" for x in figures))
        for folder in folders:
            draw(loop, folder / f"{name}.png")
        loops.append(loop)
    Console().print(table)
    if "--write" in sys.argv:
        write_features(Path(features.__file__), loops)
        at_44 = [at_rate(loop, SAMPLE_RATE) for loop in loops]
        hearing.write_table(hearing.TABLE, at_44)


def draw(loop: Loop, path: Path) -> None:
    """Spectrogram, spectrum and level of a sound."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mono, rate = loop.samples.mean(axis=1), loop.sample_rate
    figure, (image, spectrum, level) = plt.subplots(3, 1, figsize=(14, 10))
    hz, seconds, power = signal.spectrogram(mono, rate, nperseg=2048)
    power_db = 10.0 * np.log10(power + 1e-16)
    image.pcolormesh(seconds, hz, power_db, vmin=-130, vmax=-60, rasterized=True)
    image.set(yscale="symlog", ylim=(20, 20_000), title=loop.name, ylabel="Hz")
    hz, power = signal.welch(mono, rate, nperseg=16_384)
    spectrum.semilogx(hz[1:], 10.0 * np.log10(power[1:] + 1e-16))
    spectrum.set(xlim=(20, 20_000), xlabel="Hz", ylabel="dB")
    frame = rate // 100
    n = len(mono) // frame
    blocks = loop.samples[: n * frame].reshape(n, -1)
    level.plot(np.arange(n) / 100.0, 10.0 * np.log10(np.mean(blocks**2, axis=1)))
    level.set(xlabel="s", ylabel="dB")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=60)
    plt.close(figure)


def write_features(path: Path, loops: list[Loop]) -> None:
    """Put the modulation features of these loops into the module that keeps them."""
    head = path.read_text().partition("# fmt: off\n")[0]
    lines = ["# fmt: off", "FEATURES: Mapping[str, tuple[float, ...]] = {"]
    for loop in sorted(loops, key=lambda loop: loop.name):
        values = [f"{x:.1f}," for x in modulation_features(loop)]
        lines.append(f'    "{loop.name}": (')
        for start in range(0, len(values), ROW):
            lines.append("        " + " ".join(values[start : start + ROW]))
        lines.append("    ),")
    path.write_text(head + "\n".join([*lines, "}"]) + "\n# fmt: on\n")


if __name__ == "__main__":
    main()
