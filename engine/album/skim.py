"""The skim: an album of fifty songs in five minutes.

Each song is heard for six seconds: its five sounds for a little over a second each,
crossfaded. A cue sheet says where each song begins.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from effects.audio.levels import Samples
from effects.audio.sound_reader import read_sound
from effects.audio.sound_writer import whole_sound_file
from effects.base.errors import InputError
from effects.base.whole_file import write_whole
from engine.compose.path import SYMBOLS
from engine.graph import Graph
from engine.recording.cue_sheet import CueTrack, cue_frame, cue_sheet

EXCERPT_S = 6.0  # of a song
JOIN_S = 0.25  # between two sounds, and two songs

_PROBES = 512  # places of a song that are asked which sound they are


def moments(graph: Graph) -> list[float]:
    """Where the five sounds of a song are at their purest, as shares of its length.

    A sound that the pattern does not have is left out.

    Args:
        graph: of one song, nothing of it rendered yet.
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
    """Two pieces, shape (n, 2), with an equal-power crossfade over `n_join` samples.

    With nothing before it, the second piece fades in from silence.
    """
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
    excerpts: Sequence[tuple[str, Path]], path: Path, sample_rate: int
) -> list[int]:
    """Join excerpts into a skim, with a cue sheet beside it.

    Args:
        excerpts: name of each song, and file of its excerpt.
        path: of the skim.
        sample_rate: Hz.

    Returns:
        The sample at which each begins.

    Raises:
        InputError: an excerpt cannot be read.
        RunError: a file could not be written.
    """
    join = round(JOIN_S * sample_rate)
    starts: list[int] = []
    pending = np.zeros((0, 2), np.float32)
    written = 0
    with whole_sound_file(path, sample_rate, {"title": "Skim"}) as write:
        for _, source in excerpts:
            samples = _read_excerpt(source, sample_rate)
            starts.append(max(0, written + len(pending) - join))
            pending = crossfaded(pending, samples, join)
            ready, pending = pending[:-join], pending[-join:]
            write(ready)
            written += len(ready)
        write(pending * np.linspace(1.0, 0.0, len(pending), dtype=np.float32)[:, None])
    tracks = [
        CueTrack(name, path.name, cue_frame(start, sample_rate))
        for (name, _), start in zip(excerpts, starts, strict=True)
    ]
    write_whole(path.with_suffix(".cue"), cue_sheet(tracks))
    return starts


def _read_excerpt(path: Path, sample_rate: int) -> Samples:
    samples, rate = read_sound(path, max_seconds=2.0 * EXCERPT_S)
    if samples.shape[1] != 2 or rate != sample_rate:
        raise InputError(f"{path}: not an excerpt of this album; remove it")
    return samples
