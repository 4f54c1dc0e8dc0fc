"""A session again, from its journal: the same graph, with what was done at its sample.

What a live producer did to its ring, `Edited` does to a stretch of pending samples:
the old plan is rendered as far as the crossfade reaches, the music is told of the
change, and the new plan is spliced in. The mixer's blocks are cut where a gain was
turned. So the samples are those that were heard, from any place on.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from effects.audio.levels import Samples
from effects.base.errors import InputError
from effects.base.paths import state_dir
from effects.bed.masking import Course
from engine.control.controls import CONTROLS, Snapshot, snapshot_of
from engine.graph import Graph, Settings, build
from engine.live.metrics import Metrics
from engine.live.mixer import MAX_BLOCK, Mixer, Source
from engine.offline.journal import Event, read_journal
from engine.sound.bed import Bed
from engine.sound.music import COMMANDS, Music
from engine.sound.splice import SPLICE_S, splice
from engine.sound.synthesis import N_LAYERS

WARM_UP_S = 3.0  # rendered and dropped, so that limiter and ramps have settled

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Edit:
    """Something done to a session from sample `at` on.

    Attributes:
        at: sample of the stream from which it holds.
        values: controls that were set.
        command: or what was commanded.
        args: of the command.
        spliced: sample at which a change of the music is spliced in; at once if None.
    """

    at: int
    values: Mapping[str, Any]
    command: str | None = None
    args: tuple[Any, ...] = ()
    spliced: int | None = None

    @property
    def heard(self) -> int:
        """Sample of the stream from which it is heard."""
        return self.at if self.spliced is None else self.spliced


@dataclass(frozen=True)
class Played:
    """A session as its journal tells it.

    Attributes:
        graph: built anew.
        events: of the journal.
        sample_rate: at which it was played, Hz; events count samples of it.
        end: the sample at which it ended, or that it has reached by now.
    """

    graph: Graph
    events: Sequence[Event]
    sample_rate: int
    end: int


def load_session(
    path: Path, *, sample_rate: int | None = None, model: Path | None = None
) -> Played:
    """The session of a journal, ready to be rendered.

    Args:
        path: of the journal.
        sample_rate: to render at, Hz; that of the session by default.
        model: folder, where it is no longer where it was.

    Raises:
        InputError: not a journal, or its model is not the one it was played with.
    """
    journal = read_journal(path)
    header, extra = journal.header, journal.header.extra
    folder = extra.get("model_dir")
    duration = extra.get("duration")
    settings = Settings(
        seed=header.seed,
        sample_rate=sample_rate or header.sample_rate,
        duration=None if duration is None else float(str(duration)),
        controls=snapshot_of(header.controls),
        model=model or (Path(str(folder)) if folder else None),
        grammar=header.grammar or "seed",
        effects=tuple(header.effects) if extra.get("bed", True) else None,
        like=str(extra.get("like", "")),
    )
    graph = build(settings)
    if header.model and graph.model.hash != header.model:
        raise InputError(
            f"{path}: was played with model {header.model[:12]}, but this one is "
            f"{graph.model.hash[:12]}; name its folder with --model"
        )
    end = max((int(str(e.get("at", 0))) for e in journal.events), default=0)
    return Played(graph, journal.events, header.sample_rate, end)


def running_journal() -> Path | None:
    """The journal of the session that plays now, the latest if there are several."""
    for path in sorted((state_dir() / "journals").glob("*.jsonl"), reverse=True):
        try:
            extra = read_journal(path).header.extra
            os.kill(int(str(extra["pid"])), 0)
        except (InputError, OSError, KeyError, ValueError):
            continue
        if not any(e.get("command") == "end" for e in read_journal(path).events):
            return path
    return None


def edits_of(events: Sequence[Event], scale: float = 1.0) -> list[Edit]:
    """The edits among a journal's events, in their order.

    Args:
        events: of the journal.
        scale: sample rate to render at over that of the journal.
    """
    edits = []
    for event in events:
        at = round(int(str(event.get("at", 0))) * scale)
        values, heard = event.get("set"), event.get("heard")
        spliced = round(heard * scale) if isinstance(heard, int) else None
        if isinstance(values, Mapping):
            edits.append(Edit(at, dict(values), spliced=spliced))
        elif "command" in event:
            args = event.get("args", ())
            assert isinstance(args, Sequence)
            command = str(event["command"])
            edits.append(Edit(at, {}, command, tuple(args), spliced))
    return edits


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
    the music stem is the master less that, as in `stems`.

    Args:
        graph: built from the journal's header.
        edits: of the journal.
        start: first sample of the master, as the mixer counted them.
        stop: one after the last.
        write: takes each block, shape (n, 2).
        progress: told samples done and in all.
        write_stems: takes music and effects of each block, which sum to it.
    """
    begin = max(0, start - round(WARM_UP_S * graph.sample_rate))
    plan, gains, fades, bed = _sorted_out(edits)
    music = Edited(graph.music, graph.controls.snapshot, plan, begin)
    if graph.bed is not None:
        for edit in bed:
            _turn_bed(graph.bed, edit)
    mixer = _turned_mixer(graph, music, gains, begin)
    bed_alone = (
        _turned_mixer(graph, _Silence(music), gains, begin) if write_stems else None
    )
    cuts = sorted({e.at for e in (*gains, *fades)} | {start, stop})
    block, effects = (np.zeros((MAX_BLOCK, 2), np.float32) for _ in range(2))
    while (position := mixer.position) < stop:
        if graph.bed is not None:
            graph.bed.prepare(position)
        begun = [edit for edit in fades if edit.at <= position]
        del fades[: len(begun)]
        ahead = next((c for c in cuts if c > position), stop)
        n = min(MAX_BLOCK, ahead - position)
        _render(mixer, block[:n], begun)
        if bed_alone is not None:
            _render(bed_alone, effects[:n], begun)
        if position >= start:
            write(block[:n])
            if write_stems:
                write_stems(block[:n] - effects[:n], effects[:n])
            if progress:
                progress(position + n - start, stop - start)


def _turned_mixer(
    graph: Graph, source: Source, gains: Sequence[Edit], position: int
) -> Mixer:
    """A mixer that starts at a sample, its gains turned as they were."""
    turned = _Turned(graph.controls.snapshot, gains)
    mixer = Mixer(
        source,
        graph.player,
        graph.sample_rate,
        lambda: turned.at(mixer.position),
        Metrics(),
    )
    mixer.position = position
    return mixer


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
    fade = mixer.fade if edit.command == "fade" else mixer.night
    seconds, level = map(float, edit.args[:2])
    start = float(edit.args[2]) if len(edit.args) > 2 else None
    fade.begin(edit.at, seconds, level, start, edit.args[3:4] == (True,))


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
        early = [edit for edit in edits if edit.heard < begin]
        for edit in early:
            self._tell(edit)
        self._edits = list(edits[len(early) :])
        music.position = begin

    @property
    def room(self) -> Course:
        """Of the music's partials, as far as they are rendered."""
        return self._music.room

    def read_into(self, out: Samples) -> int:
        """Fill `out` with the next music, and with silence after its end."""
        filled = 0
        while filled < len(out):
            while self._edits and self._edits[0].heard <= self._position:
                self._apply(self._edits.pop(0))
            self._reach(1)
            if not len(self._pending):
                break
            n = min(len(self._pending), len(out) - filled)
            if self._edits:
                n = min(n, self._edits[0].heard - self._position)
            out[filled : filled + n] = self._pending[:n]
            self._pending = self._pending[n:]
            self._position += n
            filled += n
        out[filled:] = 0.0
        return filled

    def _apply(self, edit: Edit) -> None:
        self._reach(self._splice)
        old, early = self._pending[: self._splice], edit.heard - edit.at
        room = self._music.room
        self._tell(edit)
        self._pending = np.zeros((0, N_LAYERS), np.float32)
        self._reach(early + max(1, len(old)))
        self._music.room = self._music.room.joined(room, edit.heard, self._splice)
        new = self._pending[early:]
        self._pending = splice(old, new, self._music.sample_rate)

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


class _Silence:
    """A mixer's source without music, but with the room that a music is left."""

    def __init__(self, music: Source) -> None:
        self._music = music

    @property
    def room(self) -> Course:
        return self._music.room

    def read_into(self, out: Samples) -> int:
        out.fill(0.0)
        return len(out)


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
            acts = CONTROLS[next(iter(edit.values))].acts
            {"block": gains, "bed": bed}.get(acts, plan).append(edit)
    return plan, gains, fades, bed


def _split(edits: Sequence[Edit]) -> Iterator[Edit]:
    """Edits whose values act in the mixer, in the bed, or in the music alone."""
    for edit in edits:
        if edit.command is not None:
            yield edit
            continue
        unknown = [name for name in edit.values if name not in CONTROLS]
        if unknown:
            raise InputError(f"the journal sets {unknown[0]}, which is no control")
        for where in (("block",), ("bed",), ("plan", "song")):
            values = {
                name: value
                for name, value in edit.values.items()
                if CONTROLS[name].acts in where
            }
            if values:
                yield Edit(edit.at, values, spliced=edit.spliced)
