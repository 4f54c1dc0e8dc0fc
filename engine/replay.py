"""A session again, from its journal: the same graph, with what was done at its sample.

What a live producer did to its ring, `Edited` does to a stretch of pending samples:
the old plan is rendered as far as the crossfade reaches, the music is told of the
change, and the new plan is spliced in. The mixer's blocks are cut where a gain was
turned. So the samples are those that were heard, from any place on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from effects.errors import InputError
from effects.levels import Samples
from engine.graph import Graph
from engine.live.controls import CONTROLS, Snapshot, snapshot_of
from engine.live.metrics import Metrics
from engine.live.mixer import MAX_BLOCK, Mixer
from engine.live.producer import SPLICE_S, splice
from engine.sound.music import COMMANDS, Music
from engine.sound.synthesis import N_LAYERS

WARM_UP_S = 3.0  # rendered and dropped, so that limiter and ramps have settled

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Edit:
    """Something done to a session from sample `at` on.

    Attributes:
        at: sample of the stream.
        values: controls that were set.
        command: or what was commanded.
        args: of the command.
    """

    at: int
    values: Mapping[str, Any]
    command: str | None = None
    args: tuple[Any, ...] = ()


def edits_of(events: Sequence[Mapping[str, Any]]) -> list[Edit]:
    """The edits among a journal's events, in their order.

    Raises:
        InputError: an event whose sample or values make no sense.
    """
    edits = []
    for event in events:
        if "set" in event:
            edits.append(Edit(int(event["at"]), dict(event["set"])))
        elif "command" in event:
            args = tuple(event.get("args", ()))
            edits.append(Edit(int(event["at"]), {}, str(event["command"]), args))
    return edits


def end_of(events: Sequence[Mapping[str, Any]]) -> int | None:
    """Sample at which the session ended, if it said so."""
    ends = [int(e["at"]) for e in events if e.get("command") == "end"]
    return ends[-1] if ends else None


def replay(
    graph: Graph,
    edits: Sequence[Edit],
    start: int,
    stop: int,
    write: Callable[[Samples], None],
    progress: Progress | None = None,
) -> None:
    """Render samples [start, stop) of a session's master into `write`.

    Args:
        graph: built from the journal's header.
        edits: of the journal.
        start: first sample of the master, as the mixer counted them.
        stop: one after the last.
        write: takes each block, shape (n, 2).
        progress: told samples done and in all.
    """
    begin = max(0, start - round(WARM_UP_S * graph.sample_rate))
    plan, gains, fades, bed = _sorted_out(edits)
    music = Edited(graph.music, graph.controls.snapshot, plan, begin)
    turned = _Turned(graph.controls.snapshot, gains)
    mixer = Mixer(
        music,
        graph.player,
        graph.sample_rate,
        lambda: turned.at(mixer.position),
        Metrics(),
    )
    mixer.position = begin
    for edit in bed:
        if graph.bed is not None:
            graph.bed.command(edit.at, str(edit.command), edit.args)
    cuts = sorted({e.at for e in (*gains, *fades)} | {start, stop})
    block = np.zeros((MAX_BLOCK, 2), np.float32)
    while mixer.position < stop:
        if graph.bed is not None:
            graph.bed.prepare(mixer.position)
        position = mixer.position
        while fades and fades[0].at <= position:
            _begin(mixer, fades.pop(0))
        ahead = next((c for c in cuts if c > position), stop)
        part = block[: min(MAX_BLOCK, ahead - position)]
        mixer.render(part)
        if position >= start:
            write(part)
            if progress:
                progress(position + len(part) - start, stop - start)


def _begin(mixer: Mixer, edit: Edit) -> None:
    fade = mixer.fade if edit.command == "fade" else mixer.night
    seconds, level = map(float, edit.args)
    fade.begin(edit.at, seconds, level)


class Edited:
    """A mixer's source: music with edits spliced in, from sample `begin` on.

    Args:
        music: the stream.
        controls: in force at its beginning.
        edits: of plan and music commands, in the order in which they were made.
        begin: the first sample that will be read; earlier edits are taken in at once.
    """

    def __init__(
        self, music: Music, controls: Snapshot, edits: Sequence[Edit], begin: int
    ) -> None:
        self._music, self._controls = music, controls
        self._position = begin
        self._pending = np.zeros((0, N_LAYERS), np.float32)
        self._splice = round(SPLICE_S * music.sample_rate)
        early = [edit for edit in edits if edit.at < begin]
        for edit in early:
            self._tell(edit)
        self._edits = list(edits[len(early) :])
        music.position = begin

    def read_into(self, out: Samples) -> int:
        """Fill `out` with the next music, and with silence after its end."""
        filled = 0
        while filled < len(out):
            while self._edits and self._edits[0].at <= self._position:
                self._apply(self._edits.pop(0))
            self._reach(1)
            if not len(self._pending):
                break
            n = min(len(self._pending), len(out) - filled)
            if self._edits:
                n = min(n, self._edits[0].at - self._position)
            out[filled : filled + n] = self._pending[:n]
            self._pending = self._pending[n:]
            self._position += n
            filled += n
        out[filled:] = 0.0
        return filled

    def _apply(self, edit: Edit) -> None:
        self._reach(self._splice)
        old = self._pending[: self._splice]
        self._tell(edit)
        self._pending = np.zeros((0, N_LAYERS), np.float32)
        self._reach(max(1, len(old)))
        self._pending = splice(old, self._pending, self._music.sample_rate)

    def _tell(self, edit: Edit) -> None:
        if edit.command is not None:
            self._music.command(edit.at, edit.command, edit.args)
            return
        self._controls = snapshot_of({**self._controls, **edit.values})
        self._music.replan(edit.at, self._controls)

    def _reach(self, n_samples: int) -> None:
        """Render until so many samples are pending, or the music has ended."""
        pieces = [self._pending]
        while sum(map(len, pieces)) < n_samples:
            hop = self._music.next()
            if hop is None:
                break
            pieces.append(hop)
        if len(pieces) > 1:
            self._pending = np.concatenate(pieces)


class _Turned:
    """The snapshot of the mixer's controls at a sample."""

    def __init__(self, initial: Snapshot, edits: Sequence[Edit]) -> None:
        self._edits = sorted(edits, key=lambda edit: edit.at)
        self._snapshot = initial

    def at(self, position: int) -> Snapshot:
        while self._edits and self._edits[0].at <= position:
            values = self._edits.pop(0).values
            self._snapshot = snapshot_of({**self._snapshot, **values})
        return self._snapshot


def _sorted_out(
    edits: Sequence[Edit],
) -> tuple[list[Edit], list[Edit], list[Edit], list[Edit]]:
    """Edits of the music's plan, of the mixer's gains, of fades, and of the bed."""
    plan: list[Edit] = []
    gains: list[Edit] = []
    fades: list[Edit] = []
    bed: list[Edit] = []
    for edit in _split(edits):
        if edit.command in COMMANDS:
            plan.append(edit)
        elif edit.command in ("fade", "night"):
            fades.append(edit)
        elif edit.command is not None and edit.command.startswith("effects/"):
            bed.append(edit)
        elif edit.values:
            is_gain = CONTROLS[next(iter(edit.values))].acts == "block"
            (gains if is_gain else plan).append(edit)
    return plan, gains, fades, bed


def _split(edits: Sequence[Edit]) -> Iterator[Edit]:
    """Edits whose values act either in the mixer or in the music, never in both."""
    for edit in edits:
        if edit.command is not None:
            yield edit
            continue
        unknown = [name for name in edit.values if name not in CONTROLS]
        if unknown:
            raise InputError(f"the journal sets {unknown[0]}, which is no control")
        for is_gain in (True, False):
            values = {
                name: value
                for name, value in edit.values.items()
                if (CONTROLS[name].acts == "block") is is_gain
                and (is_gain or not name.startswith("effects/"))
            }
            if values:
                yield Edit(edit.at, values)
