"""From a schedule to the layers that a player mixes.

Not for the callback: loops are loaded here. Call `layers_between` every few seconds for
what comes next, and hand the result to `PublishedLayers.replace`.
"""

from collections.abc import Callable

from effects.bed.loop_layer import LoopLayer
from effects.bed.schedule import EffectSchedule
from effects.bed.timeline import FOREVER
from effects.bed.voices import Region
from effects.shelf.loops import Loop


def layers_between(
    schedule: EffectSchedule,
    load: Callable[[str, int], Loop],
    sample_rate: int,
    begin: int,
    end: int,
) -> tuple[LoopLayer, ...]:
    """Layers of all that sounds at positions [begin, end).

    A region gives an equal layer whenever it is asked for, so that the layers of
    overlapping stretches replace one another without a jump.

    Args:
        schedule: of the effects.
        load: `Library.load`.
        sample_rate: Hz, of the positions and loops.
        begin: first absolute sample.
        end: one after the last.

    Returns:
        In order of start.

    Raises:
        InputError: an effect cannot be loaded.
    """
    regions = schedule.regions_between(begin / sample_rate, end / sample_rate)
    return tuple(
        layer_of(region, load(region.name, sample_rate), sample_rate)
        for region in regions
    )


def layer_of(region: Region, loop: Loop, sample_rate: int) -> LoopLayer:
    """The layer that plays a region's loop, with positions in samples."""
    stop = None
    if region.stop_s < FOREVER:
        stop = round(region.stop_s * sample_rate)
    return LoopLayer(
        loop.samples,
        start=round(region.start_s * sample_rate),
        fade_in=round(region.fade_in_s * sample_rate),
        stop=stop,
        fade_out=round(region.fade_out_s * sample_rate),
        gain=region.gain,
        offset=int(region.offset * len(loop.samples)),
        power=loop.power,
    )
