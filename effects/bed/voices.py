"""The voices of the bed: which effect each of them plays from when to when.

The main voice plays the effect of each slot. The second voice is softer and plays from
the middle of a slot to the middle of the next. Chosen effects take the place of both.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from effects.base.streams import Purpose, stream
from effects.bed.mix import MAX_EFFECTS
from effects.bed.order import CANDIDATES, effect_in, slot_begin
from effects.bed.timeline import FOREVER, Timeline

FIRST_FADE_S = 4.0  # at most, of what plays from the start of the stream
SECOND_GAIN = 0.4  # -8 dB: both together are 0.6 dB louder than the first alone


@dataclass(frozen=True)
class Region:
    """One effect, from where it begins to fade in to where it is silent again.

    Attributes:
        name: of the effect.
        start_s: where it begins.
        stop_s: where it is silent again; infinite if nothing follows.
        fade_in_s: from `start_s`.
        fade_out_s: up to `stop_s`.
        gain: linear.
        offset: place in the loop where it begins, 0..1 of its length.
    """

    name: str
    start_s: float
    stop_s: float
    fade_in_s: float
    fade_out_s: float
    gain: float = 1.0
    offset: float = 0.0


class Voice(StrEnum):
    """A voice; its regions are numbered by slots, or by spans if it has no slots."""

    MAIN = "main"
    SECOND = "second"
    CHOSEN = "chosen"


def main_regions(timeline: Timeline, slots: Iterable[int]) -> list[Region]:
    """Regions of the main voice in these slots."""
    regions = []
    for slot in slots:
        begin, end = (slot_begin(timeline.basis, slot + i) for i in range(2))
        name = timeline.name_in(slot)
        regions += _between(timeline, Voice.MAIN, slot, name, begin, end)
    return regions


def second_regions(timeline: Timeline, slots: Iterable[int]) -> list[Region]:
    """Regions of the second voice that begin in these slots."""
    regions = []
    for slot in slots:
        name = _second_name(timeline, slot)
        if not name:
            continue
        begins = [slot_begin(timeline.basis, slot + i) for i in range(3)]
        begin, end = 0.5 * (begins[0] + begins[1]), 0.5 * (begins[1] + begins[2])
        found = _between(timeline, Voice.SECOND, slot, name, begin, end)
        drawn = stream(Purpose.BED_SECOND, timeline.basis.seed, slot).random()
        regions += [
            region
            for region in found
            if drawn < timeline.span_at(region.start_s).settings.density
        ]
    return regions


def chosen_regions(timeline: Timeline, first: int) -> list[Region]:
    """Regions of the effects that were chosen by an event, each at its level.

    Args:
        timeline: of the stream.
        first: number of the earliest span that is looked at.
    """
    regions = []
    for i, end_s in _runs(timeline, first):
        span = timeline.spans[i]
        for k, effect in enumerate(span.chosen):
            number = i * MAX_EFFECTS + k
            args = (number, effect.name, span.start_s, end_s)
            region = _region(timeline, Voice.CHOSEN, *args)
            regions.append(replace(region, gain=effect.gain))
    return regions


def sole_regions(timeline: Timeline, first: int) -> list[Region]:
    """Regions of the main voice when only one effect is in the order.

    It plays without end unless an event chooses another one.

    Args:
        timeline: of the stream.
        first: number of the earliest span that is looked at.
    """
    name = timeline.names[0]
    return [
        _region(timeline, Voice.MAIN, i, name, timeline.spans[i].start_s, end_s)
        for i, end_s in _runs(timeline, first)
        if not timeline.spans[i].chosen
    ]


def _runs(timeline: Timeline, first: int) -> Iterator[tuple[int, float]]:
    """Number of the first of spans with the same chosen effects, and their end."""
    begin = first
    for i in range(first + 1, len(timeline.spans)):
        if timeline.spans[i].chosen != timeline.spans[begin].chosen:
            yield begin, timeline.ends[i - 1]
            begin = i
    yield begin, FOREVER


def continued_slots(timeline: Timeline, first: int) -> frozenset[int]:
    """Slots on either side of a jump of the clock over which their effect goes on.

    Their regions may have begun any time before the jump.

    Args:
        timeline: of the stream.
        first: number of the earliest span that is looked at.
    """
    spans = islice(timeline.spans, first + 1, None)
    return frozenset(slot for span in spans for slot in span.continued)


def merged(regions: Iterable[Region]) -> list[Region]:
    """Regions by start; an effect that follows itself goes on without a crossfade."""
    done: list[Region] = []
    leaving: dict[tuple[str, float, float], list[int]] = {}  # places of regions
    for region in sorted(regions, key=lambda r: (r.start_s, r.name)):
        places = leaving.get((region.name, region.gain, region.start_s))
        if places:
            i = places.pop(0)
            done[i] = region = replace(
                done[i], stop_s=region.stop_s, fade_out_s=region.fade_out_s
            )
        else:
            i = len(done)
            done.append(region)
        leaving_s = region.stop_s - region.fade_out_s
        leaving.setdefault((region.name, region.gain, leaving_s), []).append(i)
    return done


def _second_name(timeline: Timeline, slot: int) -> str:
    """Name of an effect like the one in a slot for the second voice, or nothing.

    It is none that the main voice plays around the slot, nor one that the second voice
    plays in the slots beside it.
    """
    used = _main_names(timeline, slot)
    if slot % 2:  # even slots choose first, odd ones among what is left
        for beside in (slot - 1, slot + 1):
            used |= {_near_name(timeline, beside, _main_names(timeline, beside))}
    return _near_name(timeline, slot, used)


def _main_names(timeline: Timeline, slot: int) -> set[str]:
    """Names that the main voice plays from the slot before to the second one after."""
    return {timeline.name_in(max(0, slot + i)) for i in (-1, 0, 1, 2)}


def _near_name(timeline: Timeline, slot: int, used: set[str]) -> str:
    """Name of one of the effects nearest to the one in a slot, but for used ones."""
    row = timeline.basis.similarity[effect_in(timeline.basis, slot)]
    left = [i for i, name in enumerate(timeline.names) if name not in used]
    if not left:
        return ""
    near = sorted(left, key=lambda i: -row[i])[:CANDIDATES]
    rng = stream(Purpose.BED_SECOND_NAME, timeline.basis.seed, slot)
    return timeline.names[near[int(rng.integers(len(near)))]]


def _between(
    timeline: Timeline, voice: Voice, slot: int, name: str, begin: float, end: float
) -> list[Region]:
    """The region from one time of the clock to another, unless an event skips it."""
    start_s = timeline.time_after(begin)
    stop_s = min(timeline.time_until(end), timeline.chosen_from(start_s))
    if start_s >= stop_s:
        return []
    return [_region(timeline, voice, slot, name, start_s, stop_s)]


def _region(
    timeline: Timeline,
    voice: Voice,
    number: int,
    name: str,
    start_s: float,
    leaving_s: float,
) -> Region:
    """A region that begins to fade out at `leaving_s`."""
    fade_in_s = timeline.span_at(start_s).settings.crossfade_s
    if start_s == 0.0:
        fade_in_s = min(fade_in_s, FIRST_FADE_S)
    fade_out_s = 0.0
    if leaving_s < FOREVER:
        fade_out_s = timeline.span_at(leaving_s).settings.crossfade_s
    rng = stream(Purpose.BED_START, timeline.basis.seed, voice, number)
    gain = SECOND_GAIN if voice is Voice.SECOND else 1.0
    stop_s = leaving_s + fade_out_s
    return Region(name, start_s, stop_s, fade_in_s, fade_out_s, gain, rng.random())
