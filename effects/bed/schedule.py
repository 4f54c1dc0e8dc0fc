"""Which effect plays when: a pure function of names, seed, settings and events.

A clock runs in units of the dwell time and names the stay in force (`tours`). Events
act on that clock: `next` makes it jump to the next stay, `only` jumps and halts it,
new settings change its speed. Any moment of a radio that runs for weeks is found at
once, and nothing is remembered but the events.

Beside the main voice a second, softer one comes in the middle of a stay and goes in
the middle of the next.
"""

from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from effects.bed import order as tours

FOREVER = float("inf")
FIRST_FADE_S = 4.0
SECOND_GAIN = 0.4  # -8 dB: both together are 0.6 dB louder than the first alone


@dataclass(frozen=True)
class Settings:
    """How effects change.

    Attributes:
        dwell_s: mean time from one effect's entry to the next one's.
        crossfade_s: length of the transition.
        density: share of stays that are given a second layer, 0..1.
    """

    dwell_s: float = 90.0
    crossfade_s: float = 20.0
    density: float = 0.5


@dataclass(frozen=True)
class Segment:
    """One effect, from where it begins to fade in to where it is silent again."""

    name: str
    start_s: float
    stop_s: float  # infinite if nothing follows
    fade_in_s: float
    fade_out_s: float
    gain: float = 1.0
    offset: float = 0.0  # place in the loop where it begins, 0..1 of its length


@dataclass(frozen=True)
class Event:
    """A wish at a moment.

    Attributes:
        time_s: when; not before the event that came last.
        kind: "next", "only", "all" (ends "only"), or "settings".
        name: of the only effect; it need not be one of the rotation's.
        settings: new ones.
    """

    time_s: float
    kind: str
    name: str = ""
    settings: Settings = Settings()


@dataclass(frozen=True)
class _Piece:
    """A stretch in which the clock runs evenly from `clock`, or stands still."""

    start_s: float
    clock: float
    settings: Settings
    only: str = ""

    @property
    def speed(self) -> float:
        return 0.0 if self.only else 1.0 / self.settings.dwell_s

    def clock_at(self, time_s: float) -> float:
        return self.clock + max(0.0, time_s - self.start_s) * self.speed


@dataclass(frozen=True, eq=False)
class Rotation:
    """The schedule of effects.

    >>> rotation = Rotation(("rain", "wind", "waves"), seed=1)
    >>> first = rotation.segments_until(10.0)[0]
    >>> first.start_s, first.name == rotation.name_at(10.0)
    (0.0, True)

    Attributes:
        names: effects to choose from, at least one.
        seed: another seed, another order.
        similarity: shape (n, n), higher is nearer; None: all alike.
        settings: in force at the start.
        events: wishes since, in order of time.
    """

    names: tuple[str, ...]
    seed: int = 0
    similarity: NDArray[np.float64] | None = None
    settings: Settings = Settings()
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        """Check names and similarity."""
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError("a rotation needs names, each once")
        n = len(self.names)
        if self.similarity is not None and self.similarity.shape != (n, n):
            raise ValueError(f"similarity must be of shape ({n}, {n})")

    def with_event(self, event: Event) -> "Rotation":
        """The schedule after one more event; what was before it stays as it was."""
        if self.events and event.time_s < self.events[-1].time_s:
            raise ValueError("events must come in order of time")
        if event.kind not in ("next", "only", "all", "settings"):
            raise ValueError(f"unknown kind of event: {event.kind}")
        if event.kind == "only" and not event.name:
            raise ValueError("only which effect of the rotation, or beside it?")
        return replace(self, events=(*self.events, event))

    def segments_between(self, begin_s: float, end_s: float) -> list[Segment]:
        """All segments that sound at some time in [begin_s, end_s), by start."""
        begin_s = max(0.0, begin_s)
        sole = len(self.names) == 1
        found = self._sole() if sole else self._stays(begin_s, end_s)
        found += self._only_segments()
        merged = _merged(sorted(found, key=lambda s: (s.start_s, s.name)))
        return [s for s in merged if s.start_s < end_s and s.stop_s > begin_s]

    def segments_until(self, end_s: float) -> list[Segment]:
        """All segments that start before `end_s`."""
        return self.segments_between(0.0, end_s)

    def name_at(self, time_s: float) -> str:
        """The main voice's effect in force (fading in, or on) at a time."""
        piece = self._piece_at(time_s)
        if piece.only:
            return piece.only
        return self._name(tours.stay_at(self._plan, self._clock(time_s)))

    @cached_property
    def _plan(self) -> tours.Plan:
        n = len(self.names)
        matrix = np.ones((n, n)) if self.similarity is None else self.similarity
        rows = tuple(tuple(float(x) for x in row) for row in matrix)
        return tours.Plan(n, self.seed, rows)

    @cached_property
    def _pieces(self) -> list[_Piece]:
        pieces = [_Piece(0.0, 0.0, self.settings)]
        for event in self.events:
            last = pieces[-1]
            clock = last.clock_at(event.time_s)
            settings, only = last.settings, last.only
            if event.kind == "settings":
                settings = event.settings
            elif event.kind == "all" and not only:
                continue
            else:
                clock = self._jump(clock, only)
                only = event.name if event.kind == "only" else ""
            if last.start_s == event.time_s:  # wishes of one moment: the last counts
                pieces.pop()
            pieces.append(_Piece(event.time_s, clock, settings, only))
        return pieces

    @cached_property
    def _lasting(self) -> frozenset[int]:
        """Stays that end or begin in a jump, over which their effect goes on."""
        stays = set()
        for before, piece in pairwise(self._pieces):
            left = before.clock_at(piece.start_s)
            beside = [tours.stay_at(self._plan, clock) for clock in (left, piece.clock)]
            name = before.only or self._name(beside[0])
            if left != piece.clock and name == (piece.only or self._name(beside[1])):
                stays |= set(beside)
        return frozenset(stays)

    def _jump(self, clock: float, only: str) -> float:
        """Where the clock goes on: at the next stay, and not with the same effect."""
        if only:
            stay = tours.stay_at(self._plan, clock)
            stay += self._name(stay) == only and len(self.names) > 1
        else:
            stay = tours.stay_at(self._plan, clock) + 1
        return tours.begin(self._plan, stay)

    def _piece_at(self, time_s: float) -> _Piece:
        index = bisect_right(self._pieces, time_s, key=lambda p: p.start_s) - 1
        return self._pieces[max(0, index)]

    def _clock(self, time_s: float) -> float:
        return self._piece_at(time_s).clock_at(time_s)

    def _begins_at(self, clock: float) -> float:
        """When the clock leaves `clock` behind: after any halt there."""
        for piece, end_s in reversed(self._spans()):
            if piece.clock <= clock and piece.speed:
                time_s = piece.start_s + (clock - piece.clock) / piece.speed
                return min(time_s, end_s)
        return 0.0 if self._pieces[0].speed else FOREVER

    def _ends_at(self, clock: float) -> float:
        """When the clock first reaches or jumps over `clock`."""
        for piece, end_s in self._spans():
            if piece.clock >= clock:
                return piece.start_s
            if piece.speed:
                time_s = piece.start_s + (clock - piece.clock) / piece.speed
                if time_s < end_s:
                    return time_s
        return FOREVER

    def _spans(self) -> list[tuple[_Piece, float]]:
        ends = [piece.start_s for piece in self._pieces[1:]]
        return list(zip(self._pieces, [*ends, FOREVER], strict=True))

    def _name(self, stay: int) -> str:
        return self.names[tours.name_index(self._plan, stay)]

    def _main(self, stay: int) -> list[Segment]:
        begin = tours.begin(self._plan, stay)
        end = tours.begin(self._plan, stay + 1)
        return self._between(self._name(stay), begin, end, 1.0, stay)

    def _second(self, stay: int) -> list[Segment]:
        name = self._second_name(stay)
        if not name:
            return []
        begins = [tours.begin(self._plan, stay + i) for i in range(3)]
        begin, end = 0.5 * (begins[0] + begins[1]), 0.5 * (begins[1] + begins[2])
        found = self._between(name, begin, end, SECOND_GAIN, -1 - stay)
        if not found:
            return []
        drawn = self._rng(stay, 3).random()
        density = self._piece_at(found[0].start_s).settings.density
        return found if drawn < density else []

    def _second_name(self, stay: int) -> str:
        """A near one that is neither on, nor next, nor was the second before."""
        used = self._main_names(stay)
        if stay % 2:  # every other choice is made first, the rest give way to it
            used |= {self._free_choice(stay - 1, used_by=self._main_names(stay - 1))}
            used |= {self._free_choice(stay + 1, used_by=self._main_names(stay + 1))}
        return self._free_choice(stay, used_by=used)

    def _main_names(self, stay: int) -> set[str]:
        return {self._name(max(0, stay + i)) for i in (-1, 0, 1, 2)}

    def _free_choice(self, stay: int, used_by: set[str]) -> str:
        row = self._plan.similarity[tours.name_index(self._plan, stay)]
        left = [i for i, name in enumerate(self.names) if name not in used_by]
        if not left:
            return ""
        near = sorted(left, key=lambda i: -row[i])[: tours.CANDIDATES]
        return self.names[near[int(self._rng(stay, 4).integers(len(near)))]]

    def _between(
        self, name: str, begin: float, end: float, gain: float, salt: int
    ) -> list[Segment]:
        start_s = self._begins_at(begin)
        stop_s = self._ends_at(end)
        for piece in self._pieces:
            if piece.only and piece.start_s >= start_s:
                stop_s = min(stop_s, piece.start_s)
        if start_s >= stop_s:
            return []
        return [self._made(name, start_s, stop_s, gain, salt)]

    def _stays(self, begin_s: float, end_s: float) -> list[Segment]:
        """Both voices of the stays that may sound in [begin_s, end_s), and others."""
        # What fades out at `begin_s` began to be left up to a crossfade earlier.
        slack = max(piece.settings.crossfade_s for piece in self._pieces)
        low = tours.stay_at(self._plan, self._clock(max(0.0, begin_s - slack)))
        high = tours.stay_at(self._plan, self._clock(end_s))
        near, found = range(max(0, low - 2), high + 1), []
        for stay in near:
            found += [*self._main(stay), *self._second(stay)]
        # What goes on from before `begin_s` has its beginning there, however long ago.
        for stay in self._lasting.difference(near):
            found += self._main(stay)
        return found

    def _sole(self) -> list[Segment]:
        """Of the only name in the rotation: it stays, but for what is wished for."""
        return [
            self._made(self.names[0], piece.start_s, end_s, 1.0, i)
            for i, (piece, end_s) in enumerate(self._spans())
            if not piece.only
        ]

    def _only_segments(self) -> list[Segment]:
        return [
            self._made(piece.only, piece.start_s, end_s, 1.0, 1_000_000 + i)
            for i, (piece, end_s) in enumerate(self._spans())
            if piece.only
        ]

    def _made(
        self, name: str, start_s: float, stop_s: float, gain: float, salt: int
    ) -> Segment:
        fade_in = self._piece_at(start_s).settings.crossfade_s
        if start_s == 0.0:
            fade_in = min(fade_in, FIRST_FADE_S)
        fade_out = 0.0
        if stop_s < FOREVER:
            fade_out = self._piece_at(stop_s).settings.crossfade_s
        offset = float(self._rng(salt, 5).random())
        return Segment(
            name, start_s, stop_s + fade_out, fade_in, fade_out, gain, offset
        )

    def _rng(self, number: int, purpose: int) -> np.random.Generator:
        key = [self.seed & (2**63 - 1), number & (2**63 - 1), purpose]
        return np.random.default_rng(key)


def _merged(segments: list[Segment]) -> list[Segment]:
    """An effect that follows itself directly goes on instead of crossfading."""
    merged: list[Segment] = []
    for segment in segments:
        for i, earlier in enumerate(merged):
            follows = earlier.stop_s - earlier.fade_out_s == segment.start_s
            if follows and (earlier.name, earlier.gain) == (segment.name, segment.gain):
                merged[i] = replace(
                    earlier, stop_s=segment.stop_s, fade_out_s=segment.fade_out_s
                )
                break
        else:
            merged.append(segment)
    return merged
