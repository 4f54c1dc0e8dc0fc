"""Pictures: the spectrogram of a song, and a cover drawn from an album's spectra.

matplotlib is imported when something is drawn, and not needed otherwise.
"""

import io
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.audio.transforms import real_fft
from effects.base.whole_file import whole_file

FFT = 4096
COLUMNS = 1092  # pixels of the axes
ROWS = 420
LOW_HZ = 30.0
TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
RANGE_DB = 90.0
COVER_PIXELS = 1000


def can_draw() -> bool:
    """Whether matplotlib is there."""
    return find_spec("matplotlib") is not None


def spectrogram_db(samples: Samples, n_columns: int = COLUMNS) -> NDArray[np.float32]:
    """Level of each bin along a song, dB re the loudest, shape (FFT / 2 + 1, n)."""
    # Channel by channel: a mean over two neighbours in memory takes ten times as long.
    mono = sum(samples.T[1:], samples.T[0]) / np.float32(samples.shape[1])
    if len(mono) < FFT:
        mono = np.pad(mono, (0, FFT - len(mono)))
    n_columns = min(n_columns, max(1, len(mono) // (FFT // 4)))
    window = np.hanning(FFT).astype(np.float32)
    level = np.empty((n_columns, FFT // 2 + 1), np.float32)
    starts = np.linspace(0, len(mono) - FFT, n_columns).astype(int).tolist()
    for row, start in zip(level, starts, strict=True):
        np.abs(real_fft(mono[start : start + FFT] * window), out=row)
    level += np.float32(1e-9)
    np.log10(level, out=level)
    level *= 20.0
    level -= level.max()
    return level.T


def log_rows(
    level: NDArray[np.float32], sample_rate: int, n_rows: int = ROWS
) -> NDArray[np.float32]:
    """A spectrogram's rows at equal steps in pitch, from `LOW_HZ` to the top.

    Where several bins fall into a row the loudest one is kept, so that no partial is
    lost; between bins it is a straight line.
    """
    hertz = np.geomspace(LOW_HZ, sample_rate / 2.0, n_rows + 1)
    bins = hertz * (FFT / sample_rate)
    rows = []
    for low, high in pairwise(bins):
        first, last = int(np.ceil(low)), min(int(np.floor(high)), len(level) - 1)
        if last > first:
            rows.append(level[first : last + 1].max(axis=0))
        else:
            middle = min(0.5 * (low + high), len(level) - 1.001)
            share = middle - int(middle)
            below, above = level[int(middle)], level[int(middle) + 1]
            rows.append((1.0 - share) * below + share * above)
    return np.asarray(rows, np.float32)


def draw_spectrogram(
    samples: Samples, sample_rate: int, path: Path, title: str
) -> None:
    """Draw a spectrogram into a PNG, whole or not at all.

    Args:
        samples: shape (n, 2).
        sample_rate: Hz.
        path: of the PNG.
        title: stands above it.

    Raises:
        RunError: it could not be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    level = log_rows(spectrogram_db(samples), sample_rate)
    figure = Figure(figsize=(12.0, 5.0), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.07, 0.1, 0.91, 0.82))
    octaves = np.log2(sample_rate / 2.0 / LOW_HZ)
    axes.imshow(
        level,
        origin="lower",
        aspect="auto",
        extent=(0.0, len(samples) / sample_rate, 0.0, octaves),
        vmin=-RANGE_DB,
        vmax=0.0,
        cmap="magma",
    )
    ticks = [hertz for hertz in TICKS_HZ if hertz < sample_rate / 2.0]
    axes.set_yticks([np.log2(hertz / LOW_HZ) for hertz in ticks], map(str, ticks))
    axes.set_xlabel("s")
    axes.set_ylabel("Hz")
    axes.set_title(title)
    with whole_file(path) as temporary:
        # Twice as quick as PNG's usual effort, and a fifteenth larger.
        figure.savefig(temporary, format="png", pil_kwargs={"compress_level": 1})


def draw_cover(songs: Sequence[NDArray[np.float32]]) -> bytes:
    """A square PNG: the album once around a circle, from low within to high without.

    Args:
        songs: smoothed timbres along each, shape (n, n_bands), 0..1.
    """
    from matplotlib import colormaps
    from matplotlib.image import imsave

    around = np.concatenate(list(songs)).T  # bands by time
    around = around - np.percentile(around, 5.0)
    around /= max(float(np.percentile(around, 99.5)), 1e-6)
    place = (np.arange(COVER_PIXELS) + 0.5) / COVER_PIXELS * 2.0 - 1.0
    x, y = np.meshgrid(place, place)
    radius = np.hypot(x, y)
    turn = (np.arctan2(x, -y) / (2.0 * np.pi)) % 1.0
    band = (radius - 0.12) / 0.84 * (around.shape[0] - 1)
    # Mirrored in time, so that end and start meet without a seam.
    time = (1.0 - np.abs(2.0 * turn - 1.0)) * (around.shape[1] - 1)
    level = _between(around, band, time)
    edge = np.clip((0.97 - radius) / 0.03, 0.0, 1.0) * np.clip(
        (radius - 0.10) / 0.05, 0.0, 1.0
    )
    colours = colormaps["magma"](np.clip(0.05 + 0.9 * level * edge, 0.0, 1.0))
    file = io.BytesIO()
    imsave(file, np.round(255.0 * colours[..., :3]).astype(np.uint8), format="png")
    return file.getvalue()


def _between(
    table: NDArray[np.float32], row: NDArray[np.float64], column: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values of a table between its rows and columns, by straight lines."""
    row = np.clip(row, 0.0, table.shape[0] - 1.001)
    column = np.clip(column, 0.0, max(0.0, table.shape[1] - 1.001))
    i, j = row.astype(np.intp), column.astype(np.intp)
    next_j = np.minimum(j + 1, table.shape[1] - 1)
    down, right = row - i, column - j
    upper = table[i, j] * (1.0 - right) + table[i, next_j] * right
    lower = table[i + 1, j] * (1.0 - right) + table[i + 1, next_j] * right
    return np.asarray(upper * (1.0 - down) + lower * down)
