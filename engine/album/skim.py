"""The skim: an album of fifty songs in five minutes.

Of each song its five sounds are heard for a little over a second, crossfaded into one
another; then comes the next song. A cue sheet says where each begins.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from effects.audio.levels import Samples
from effects.audio.sound_writer import whole_sound_file
from engine.compose.path import SYMBOLS
from engine.graph import Graph

EXCERPT_S = 6.0  # of a song
JOIN_S = 0.25  # between two sounds, and two songs
N_SOUNDS = len(SYMBOLS)

_PROBES = 512  # places of a song that are asked which sound they are


def moments(graph: Graph) -> list[float]:
    """Where the five sounds of a song are at their purest, as shares of its length.

    Args:
        graph: of one song, not yet turned. A sound that the pattern does not have is
            left out.
    """
    total = graph.music.n_samples
    assert total is not None
    places = np.linspace(0, total - 1, _PROBES).astype(int)
    now = [graph.music.now(int(place)) for place in places]
    sounding = [here.pattern[here.symbol] for here in now]
    steps = [here.symbol for here in now]
    found = []
    for symbol in SYMBOLS:
        if symbol in sounding:
            step = steps[sounding.index(symbol)]
            inside = [i for i, other in enumerate(steps) if other == step]
            found.append(inside[len(inside) // 2] / _PROBES)
    return found


def excerpt(samples: Samples, sample_rate: int, at: Sequence[float]) -> Samples:
    """Six seconds of a song: what is heard around each of the moments, joined.

    Args:
        samples: shape (n, 2).
        sample_rate: Hz.
        at: shares of the length.
    """
    join = round(JOIN_S * sample_rate)
    n_total = min(len(samples), round(EXCERPT_S * sample_rate))
    n_piece = (n_total + (len(at) - 1) * join) // len(at)
    if n_piece <= 2 * join:
        return samples[:n_total].copy()
    joined = np.zeros((0, 2), np.float32)
    for share in at:
        start = round(share * len(samples)) - n_piece // 2
        start = min(max(start, 0), len(samples) - n_piece)
        joined = crossfaded(joined, samples[start : start + n_piece], join)
    return joined


def crossfaded(before: Samples, after: Samples, n_join: int) -> Samples:
    """Two pieces with equal-power crossfade; the first one fades in from silence."""
    rise = np.sin(0.5 * np.pi * (np.arange(n_join) + 0.5) / n_join)[:, None]
    rise = rise.astype(np.float32)
    piece = after.copy()
    piece[:n_join] *= rise
    if not len(before):
        return piece
    result = np.concatenate([before, piece[n_join:]])
    overlap = slice(len(before) - n_join, len(before))
    result[overlap] = before[-n_join:] * rise[::-1] + piece[:n_join]
    return result


def write_skim(
    excerpts: Iterable[tuple[str, Path]], path: Path, sample_rate: int
) -> list[tuple[str, float]]:
    """Join excerpts into a skim, with a cue sheet beside it.

    Args:
        excerpts: name of each song, and file of its excerpt.
        path: of the skim.
        sample_rate: Hz.

    Returns:
        Each name and the second at which it begins.

    Raises:
        RunError: the file could not be written.
    """
    import soundfile as sf

    join = round(JOIN_S * sample_rate)
    starts: list[tuple[str, float]] = []
    pending = np.zeros((0, 2), np.float32)
    written = 0
    with whole_sound_file(path, sample_rate, {"title": "Skim"}) as write:
        for name, source in excerpts:
            samples, _ = sf.read(source, dtype="float32", always_2d=True)
            starts.append((name, max(0, written + len(pending) - join) / sample_rate))
            pending = crossfaded(pending, samples, join)
            ready, pending = pending[:-join], pending[-join:]
            write(ready)
            written += len(ready)
        write(pending * np.linspace(1.0, 0.0, len(pending), dtype=np.float32)[:, None])
    return starts


def cue_sheet(
    audio: str, tracks: Sequence[tuple[str, float]], performer: str = ""
) -> str:
    """A cue sheet of tracks in one file: titles and the seconds at which they begin."""
    lines = [f'PERFORMER "{_quoted(performer)}"'] if performer else []
    lines.append(f'FILE "{_quoted(audio)}" WAVE')
    for number, (title, second) in enumerate(tracks, 1):
        lines += [
            f"  TRACK {number:02d} AUDIO",
            f'    TITLE "{_quoted(title)}"',
            f"    INDEX 01 {cue_time(second)}",
        ]
    return "\n".join(lines) + "\n"


def cue_time(seconds: float) -> str:
    """Minutes, seconds and frames of 1/75 s, as cue sheets have them.

    >>> cue_time(61.5)
    '01:01:37'
    """
    frames = int(seconds * 75.0 + 1e-6)
    return f"{frames // 4500:02d}:{frames // 75 % 60:02d}:{frames % 75:02d}"


def _quoted(text: str) -> str:
    return text.replace('"', "'").replace("\n", " ")
