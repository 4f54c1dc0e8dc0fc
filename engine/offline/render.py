"""Rendering a graph as fast as it goes, through the mixer that a live session has."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from effects.audio.levels import Samples
from effects.audio.sound_writer import whole_sound_file
from effects.bed.frames import BATCH
from effects.bed.masking import BandEnvelope
from engine.graph import Graph
from engine.live.metrics import Metrics
from engine.live.mixer import MAX_BLOCK, Mixer
from engine.sound.music import Music
from engine.sound.synthesis import N_LAYERS

_REPORT_EVERY = 16  # blocks between reports of progress

Progress: TypeAlias = Callable[[int, int], None]  # takes what is done, and all


class RenderedMusic:
    """A mixer's source that renders music when it is read.

    Args:
        music: the stream.
    """

    def __init__(self, music: Music) -> None:
        self._music = music
        self._pending = np.zeros((0, N_LAYERS), np.float32)

    @property
    def band_envelope(self) -> BandEnvelope:
        """Of the music's partials, as far as they are rendered."""
        return self._music.band_envelope

    def read_into(self, out: Samples) -> int:
        """Fill `out`, shape (n, N_LAYERS), with the next music, then silence.

        Returns:
            How many samples are music.
        """
        filled = 0
        while filled < len(out):
            if not len(self._pending):
                hop = self._music.next()
                if hop is None:
                    break
                self._pending = hop
            n = min(len(self._pending), len(out) - filled)
            out[filled : filled + n] = self._pending[:n]
            self._pending = self._pending[n:]
            filled += n
        out[filled:] = 0.0
        return filled


def render(
    graph: Graph, write: Callable[[Samples], None], progress: Progress | None = None
) -> Metrics:
    """Render a finite graph block by block into `write`.

    Args:
        graph: with a duration.
        write: takes each block, shape (n, 2), before it is overwritten.
        progress: takes samples done and in all.

    Returns:
        Counters of the mixer.

    Raises:
        ValueError: the graph's music has no end.
    """
    total = graph.music.n_samples
    if total is None:
        raise ValueError("only a stream with an end can be rendered")
    metrics = Metrics()
    mixer = Mixer(
        RenderedMusic(graph.music),
        graph.ducked_bed(batch=BATCH),
        graph.sample_rate,
        lambda: graph.controls.snapshot,
        metrics,
    )
    block = np.zeros((MAX_BLOCK, 2), np.float32)
    skip = mixer.latency  # the master comes late by this much: cut it off the front
    done = 0
    while done < total:
        if graph.bed is not None:
            graph.bed.prepare(mixer.position)
        mixer.render(block)
        audible = block[skip : skip + total - done]
        skip = max(0, skip - len(block))
        write(audible)
        done += len(audible)
        if progress and (metrics.frames % _REPORT_EVERY == 0 or done == total):
            progress(done, total)
        metrics.frames += 1
    return metrics


def render_to_file(
    graph: Graph,
    path: Path,
    tags: dict[str, str] | None = None,
    progress: Progress | None = None,
) -> Metrics:
    """Render into a file that appears under its name only when it is whole.

    Args:
        graph: with a duration.
        path: of the file; its ending names the format.
        tags: title, artist, comment and so on.
        progress: takes samples done and in all.

    Raises:
        InputError: the path cannot be written.
        RunError: writing failed on the way, as on a full disk.
    """
    with whole_sound_file(path, graph.sample_rate, tags) as write:
        return render(graph, write, progress)
