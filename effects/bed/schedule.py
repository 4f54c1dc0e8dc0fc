"""Which effect plays when: a pure function of names, seed, settings and events.

Any moment of a stream that runs for weeks is found at once, and nothing is remembered
but what the events made of the clock. Of those before it only the ones count through
which an effect went on that still sounds.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from effects.bed.mix import Mix
from effects.bed.order import OrderBasis
from effects.bed.timeline import (
    KINDS,
    BedEvent,
    BedSettings,
    Timeline,
    even_timeline,
)
from effects.bed.voices import (
    Region,
    chosen_regions,
    continued_slots,
    main_regions,
    merged,
    second_regions,
    sole_regions,
)

ROUNDED_S = 1.0  # more than times of weeks are rounded by


@dataclass(frozen=True, eq=False)
class EffectSchedule:
    """The schedule of a stream's effects.

    >>> schedule = EffectSchedule(("rain", "wind", "waves"), seed=1)
    >>> first = schedule.regions_between(0.0, 10.0)[0]
    >>> first.start_s, first.name == schedule.name_at(10.0)
    (0.0, True)

    Attributes:
        names: effects to choose from, at least one.
        seed: another seed, another order.
        similarity: shape (n, n), higher is nearer; None: all alike.
        settings: in force at the start.
        changed: the timeline after what was asked for since; None: nothing was.

    Raises:
        ValueError: names that are missing or doubled, or a similarity that does not
            fit them.
    """

    names: tuple[str, ...]
    seed: int = 0
    similarity: NDArray[np.float64] | None = None
    settings: BedSettings = field(default_factory=BedSettings)
    changed: Timeline | None = None

    def __post_init__(self) -> None:
        """Check names and similarity."""
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError("a schedule needs names of effects, each of them once")
        n = len(self.names)
        if self.similarity is not None and self.similarity.shape != (n, n):
            raise ValueError(
                f"similarity of {n} effects must be of shape ({n}, {n}), "
                f"got {self.similarity.shape}"
            )

    def with_event(self, event: BedEvent) -> "EffectSchedule":
        """The schedule after one more event; what comes before it stays as it was.

        Raises:
            ValueError: an event of an unknown kind, without a name that it needs, or
                earlier than the last that changed anything.
        """
        if event.time_s < self._timeline.spans[-1].start_s:
            raise ValueError("events must be in order of time")
        if event.kind not in KINDS:
            raise ValueError(f"event {event.kind!r} is none of {', '.join(KINDS)}")
        if (event.kind == "mix") != bool(event.mix):
            raise ValueError("an event of kind 'mix', and no other, names effects")
        return replace(self, changed=self._timeline.after(event))

    def regions_between(self, begin_s: float, end_s: float) -> list[Region]:
        """All regions that sound at some time in [begin_s, end_s), by start."""
        timeline, begin_s = self._timeline, max(0.0, begin_s)
        # What fades out at `begin_s` was left up to a crossfade earlier.
        leaving_s = max(0.0, begin_s - timeline.longest_fade_s - ROUNDED_S)
        first = timeline.span_at(leaving_s).first
        if len(self.names) == 1:
            found = sole_regions(timeline, first)
        else:
            low, high = timeline.slot_at(leaving_s), timeline.slot_at(end_s)
            slots = range(max(0, low - 2), high + 1)
            # A continued effect begins in its first slot, however long ago that was.
            others = continued_slots(timeline, first).difference(slots)
            found = main_regions(timeline, slots) + main_regions(timeline, others)
            found += second_regions(timeline, slots)
        regions = merged([*found, *chosen_regions(timeline, first)])
        return [r for r in regions if r.start_s < end_s and r.stop_s > begin_s]

    def name_at(self, time_s: float) -> str:
        """Name of the effect that the main voice plays, or fades in, at a time.

        Of a mix it is the first.
        """
        chosen = self._timeline.span_at(time_s).chosen
        if chosen:
            return chosen[0].name
        return self._timeline.name_in(self._timeline.slot_at(time_s))

    def chosen_at(self, time_s: float) -> Mix:
        """The effects that were asked for and play, or fade in, at a time."""
        return self._timeline.span_at(time_s).chosen

    def waits_at(self, time_s: float) -> bool:
        """Whether the order stands still at a time, since a loop was not there."""
        return self._timeline.span_at(time_s).waits

    @cached_property
    def _timeline(self) -> Timeline:
        if self.changed is not None:
            return self.changed
        n = len(self.names)
        matrix = np.ones((n, n)) if self.similarity is None else self.similarity
        rows = tuple(tuple(float(x) for x in row) for row in matrix)
        basis = OrderBasis(self.seed, rows)
        return even_timeline(self.names, basis, self.settings)
