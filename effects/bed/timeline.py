"""When each slot of the order begins, after all that was asked for on the way.

A clock counts dwell times from the start of the stream and says which slot is in force.
Events act on the clock: `next` lets it jump to the next slot, `mix` to the next slot
and stops it there while chosen effects play, new settings change its speed. Between
events it runs evenly, so any moment is found at once. An event adds a span and changes
none of those before, and the clock never goes back.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from effects.bed.mix import Mix
from effects.bed.order import OrderBasis, effect_in, slot_at, slot_begin

FOREVER = float("inf")
KINDS = ("next", "mix", "all", "settings", "wait", "resume")


@dataclass(frozen=True)
class BedSettings:
    """How effects follow one another.

    Attributes:
        dwell_s: mean time from one effect's entry to the next one's.
        crossfade_s: length of the transition.
        density: share of slots in which a second effect joins, 0..1.
    """

    dwell_s: float = 90.0
    crossfade_s: float = 20.0
    density: float = 0.5


@dataclass(frozen=True)
class BedEvent:
    """A change of what the bed plays.

    Attributes:
        time_s: from which it holds.
        kind: "next" goes on to the next effect, "mix" to chosen ones, "all" from
            there back to the order, and "settings" changes the settings. "wait" stops
            the clock, since a loop is not there yet, and "resume" lets it go on.
        mix: the chosen effects; they need not be in the order.
        settings: the new ones.
    """

    time_s: float
    kind: str
    mix: Mix = ()
    settings: BedSettings = BedSettings()


@dataclass(frozen=True)
class ClockSpan:
    """A span of time in which the clock runs evenly, or stands still.

    Attributes:
        start_s: its beginning.
        clock: of the slots, at `start_s`, in dwell times.
        settings: in force.
        chosen: effects that play while the clock stands still, or none.
        waits: the clock stands still until a loop is there.
        first: number of the span in which the earliest of the effects began that may
            have gone on up to this one. What came before has ended at its beginning.
        continued: slots on either side of a jump of the clock at `start_s` over which
            their effect goes on.
    """

    start_s: float
    clock: float
    settings: BedSettings
    chosen: Mix = ()
    waits: bool = False
    first: int = 0
    continued: tuple[int, ...] = ()

    @property
    def speed(self) -> float:
        """Dwell times a second."""
        return 0.0 if self.chosen or self.waits else 1.0 / self.settings.dwell_s

    def clock_at(self, time_s: float) -> float:
        """The clock at a time in the span."""
        return self.clock + max(0.0, time_s - self.start_s) * self.speed


@dataclass(frozen=True)
class Timeline:
    """The spans of a stream, from its start to all time.

    Attributes:
        names: of the effects in the order.
        basis: of the order.
        spans: in order of time, the first of them from 0 s on.
    """

    names: tuple[str, ...]
    basis: OrderBasis
    spans: tuple[ClockSpan, ...]

    @cached_property
    def ends(self) -> tuple[float, ...]:
        """Where each span ends, in seconds; the last never does."""
        return (*(span.start_s for span in self.spans[1:]), FOREVER)

    @cached_property
    def longest_fade_s(self) -> float:
        """The longest crossfade of all settings that were in force."""
        return max(span.settings.crossfade_s for span in self.spans)

    def span_at(self, time_s: float) -> ClockSpan:
        """The span that holds at a time."""
        index = bisect_right(self.spans, time_s, key=lambda span: span.start_s) - 1
        return self.spans[max(0, index)]

    def slot_at(self, time_s: float) -> int:
        """Number of the slot in force at a time."""
        return slot_at(self.basis, self.span_at(time_s).clock_at(time_s))

    def name_in(self, slot: int) -> str:
        """Name of the effect in a slot."""
        return self.names[effect_in(self.basis, slot)]

    def time_after(self, clock: float) -> float:
        """The last time at which the clock shows `clock`, in seconds."""
        known = bisect_right(self.spans, clock, key=lambda span: span.clock)
        for i in reversed(range(known)):
            span, end_s = self.spans[i], self.ends[i]
            if span.speed:
                return min(span.start_s + (clock - span.clock) / span.speed, end_s)
            if span.waits and not span.chosen:
                return end_s  # what it did not come to, the next event jumps over
        return 0.0 if self.spans[0].speed else FOREVER

    def time_until(self, clock: float) -> float:
        """The first time at which the clock has come to `clock`, in seconds."""
        after = bisect_left(self.spans, clock, key=lambda span: span.clock)
        if after:
            span = self.spans[after - 1]
            if span.speed:
                time_s = span.start_s + (clock - span.clock) / span.speed
                if time_s < self.ends[after - 1]:
                    return time_s
        return self.spans[after].start_s if after < len(self.spans) else FOREVER

    def chosen_from(self, time_s: float) -> float:
        """The first time from `time_s` on at which effects are chosen, in seconds."""
        after = bisect_left(self.spans, time_s, key=lambda span: span.start_s)
        for span in islice(self.spans, after, None):
            if span.chosen:
                return span.start_s
        return FOREVER

    def after(self, event: BedEvent) -> "Timeline":
        """The timeline with one more event, which is not earlier than its last span."""
        last = self.spans[-1]
        clock = last.clock_at(event.time_s)
        settings, chosen, waits = last.settings, last.chosen, last.waits
        if event.kind == "settings":
            settings = event.settings
        elif event.kind in ("wait", "resume"):
            waits = event.kind == "wait"
        elif event.kind != "next" and event.mix == chosen:
            return self  # it is so already
        else:
            clock = _next_slot(self.names, self.basis, clock, chosen)
            chosen, waits = (event.mix if event.kind == "mix" else ()), False
        span = ClockSpan(event.time_s, clock, settings, chosen, waits)
        # Of events at one time the last counts.
        kept = self.spans[:-1] if last.start_s == event.time_s else self.spans
        return replace(self, spans=(*kept, self._joined(kept, span)))

    def _joined(self, spans: tuple[ClockSpan, ...], span: ClockSpan) -> ClockSpan:
        """A new span that knows which effects go on at its beginning."""
        if not spans:
            return span
        before = spans[-1]
        left = before.clock_at(span.start_s)
        if left == span.clock and before.chosen == span.chosen:
            return replace(span, first=before.first)
        beside = [slot_at(self.basis, clock) for clock in (left, span.clock)]
        leaving, coming = (
            {(effect.name, effect.gain) for effect in chosen}
            or {(self.name_in(slot), 1.0)}
            for chosen, slot in zip((before.chosen, span.chosen), beside, strict=True)
        )
        if not leaving & coming:
            return replace(span, first=len(spans))
        slots = tuple(beside) if left != span.clock else ()
        return replace(span, first=before.first, continued=slots)


def even_timeline(
    names: tuple[str, ...], basis: OrderBasis, settings: BedSettings
) -> Timeline:
    """The timeline of a stream for which nothing was asked.

    Args:
        names: of the effects in the order.
        basis: of the order.
        settings: in force at the start.
    """
    return Timeline(names, basis, (ClockSpan(0.0, 0.0, settings),))


def _next_slot(
    names: tuple[str, ...], basis: OrderBasis, clock: float, chosen: Mix
) -> float:
    """Beginning of the slot that follows; after chosen effects, none of their own."""
    slot = slot_at(basis, clock)
    of_slot = names[effect_in(basis, slot)]
    is_own = any(of_slot == effect.name for effect in chosen) and len(names) > 1
    if is_own or not chosen:
        slot += 1
    return slot_begin(basis, slot)
