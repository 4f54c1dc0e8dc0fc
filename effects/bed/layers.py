"""From a schedule to layers: the control side of the bed.

Not for the callback: loops are loaded here. Call `layers` every few seconds for what
comes next, and hand the result to `BedPlayer.set_layers`.
"""

from collections.abc import Callable

from effects.bed.player import Layer
from effects.bed.schedule import FOREVER, Rotation, Segment
from effects.shelf.loops import Loop


def layers(
    rotation: Rotation,
    load: Callable[[str, int], Loop],
    sample_rate: int,
    begin: int,
    end: int,
) -> tuple[Layer, ...]:
    """Layers of all that sounds at positions [begin, end).

    The same segment gives an equal layer whenever it is asked for, so that calls with
    overlapping ranges replace one another without a jump.

    Args:
        rotation: the schedule.
        load: `Library.load`.
        sample_rate: Hz, of the positions and loops.
        begin: first absolute sample.
        end: one after the last.

    Returns:
        In order of start.

    Raises:
        InputError: an effect cannot be loaded.
    """
    segments = rotation.segments_between(begin / sample_rate, end / sample_rate)
    return tuple(
        layer_of(segment, load(segment.name, sample_rate), sample_rate)
        for segment in segments
    )


def layer_of(segment: Segment, loop: Loop, sample_rate: int) -> Layer:
    """One segment as a layer."""
    stop = None
    if segment.stop_s < FOREVER:
        stop = round(segment.stop_s * sample_rate)
    return Layer(
        loop.samples,
        start=round(segment.start_s * sample_rate),
        fade_in=round(segment.fade_in_s * sample_rate),
        stop=stop,
        fade_out=round(segment.fade_out_s * sample_rate),
        gain=segment.gain,
        offset=int(segment.offset * len(loop.samples)),
        power=loop.power,
    )
