"""Rendering a session again from its journal: every change at its sample.

`EditedMusic` splices the changes of the music in, the mixer's blocks are cut where a
gain was turned or a fade began, and the bed gets the commands that it got. So the
samples are those that were heard, from any place on.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from effects.audio.levels import Samples
from effects.bed.frames import BATCH
from effects.bed.masking import BandEnvelope
from engine.control.controls import Snapshot, snapshot_of
from engine.graph import Graph
from engine.live.fade import FadeKind, FadeRequest
from engine.live.metrics import Metrics
from engine.live.mixer import MAX_BLOCK, Mixer, MusicSource
from engine.offline.concealed_music import ConcealedMusic
from engine.offline.edited_music import EditedMusic
from engine.offline.edits import Edit, sort_edits
from engine.offline.render import Progress
from engine.sound.bed import Bed

WARM_UP_S = 3.0  # rendered and dropped, so that limiter and ramps have settled


def replay(
    graph: Graph,
    edits: Sequence[Edit],
    start: int,
    stop: int,
    write: Callable[[Samples], None],
    progress: Progress | None = None,
    write_stems: Callable[[Samples, Samples], None] | None = None,
) -> None:
    """Render samples [start, stop) of a session's master into `write`.

    The effects stem is what the mixer makes of the bed alone, with every gain and fade;
    the music stem is the rest of the master, as in `stems`.

    Args:
        graph: built from the journal's header.
        edits: of the journal.
        start: first sample of the master, as the mixer counted them.
        stop: one after the last.
        write: takes each block, shape (n, 2).
        progress: takes samples done and in all.
        write_stems: takes music and effects of each block, which sum to it.
    """
    begin = max(0, start - round(WARM_UP_S * graph.sample_rate))
    done = sort_edits(edits)
    edited = EditedMusic(graph.music, graph.controls.snapshot, done.music, begin)
    music = ConcealedMusic(graph.music, edited, done.turns, begin)
    if graph.bed is not None:
        for edit in done.bed:
            _turn_bed(graph.bed, edit)
    mixer = _mixer_at(graph, music, done.gains, begin)
    bed_alone = None
    if write_stems:
        bed_alone = _mixer_at(graph, _SilentSource(music), done.gains, begin)
    fades = deque(sorted(done.fades, key=lambda edit: edit.at))
    cuts = sorted({e.at for e in (*done.gains, *fades)} | {start, stop})
    block, effects = (np.zeros((MAX_BLOCK, 2), np.float32) for _ in range(2))
    while (position := mixer.position) < stop:
        if graph.bed is not None:
            graph.bed.prepare(position)
        begun = _taken(fades, position)
        n = min(MAX_BLOCK, cuts[bisect_right(cuts, position)] - position)
        _render(mixer, block[:n], begun)
        if bed_alone is not None:
            _render(bed_alone, effects[:n], begun)
        if position >= start:
            write(block[:n])
            if write_stems:
                write_stems(block[:n] - effects[:n], effects[:n])
            if progress:
                progress(position + n - start, stop - start)


def _mixer_at(
    graph: Graph, source: MusicSource, gains: Sequence[Edit], position: int
) -> Mixer:
    """A mixer that starts at a sample, with the gains that were in force at each."""
    timeline = _GainTimeline(graph.controls.snapshot, gains)
    mixer = Mixer(
        source,
        graph.ducked_bed(batch=BATCH),
        graph.sample_rate,
        lambda: timeline.at(mixer.position),
        Metrics(),
    )
    mixer.position = position
    return mixer


def _taken(edits: deque[Edit], position: int) -> list[Edit]:
    """Take those that hold from a position on."""
    taken = []
    while edits and edits[0].at <= position:
        taken.append(edits.popleft())
    return taken


def _render(mixer: Mixer, block: Samples, fades: Sequence[Edit]) -> None:
    for edit in fades:
        _begin(mixer, edit)
    mixer.render(block)


def _turn_bed(bed: Bed, edit: Edit) -> None:
    if edit.command is not None:
        bed.command(edit.at, edit.command, edit.args)
    else:
        bed.turn(edit.at, edit.values)


def _begin(mixer: Mixer, edit: Edit) -> None:
    kind = FadeKind(edit.command or "")
    seconds, level = map(float, edit.args[:2])
    start = float(edit.args[2]) if len(edit.args) > 2 else None
    eased = edit.args[3:4] == (True,)
    mixer.fades[kind].begin(edit.at, FadeRequest(kind, seconds, level, start, eased))


class _SilentSource:
    """A mixer's source of silence, under which the bed is ducked as under music."""

    def __init__(self, music: MusicSource) -> None:
        self._music = music

    @property
    def band_envelope(self) -> BandEnvelope:
        return self._music.band_envelope

    def read_into(self, out: Samples) -> int:
        out.fill(0.0)
        return len(out)


class _GainTimeline:
    """The controls that the mixer reads, at each sample; asked in rising order."""

    def __init__(self, initial: Snapshot, edits: Sequence[Edit]) -> None:
        self._edits = deque(sorted(edits, key=lambda edit: edit.at))
        self._snapshot = initial

    def at(self, position: int) -> Snapshot:
        while self._edits and self._edits[0].at <= position:
            values = self._edits.popleft().values
            self._snapshot = snapshot_of({**self._snapshot, **values})
        return self._snapshot
