"""One loop in the bed: from where to where it plays, and how it comes and goes."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.audio.third_octaves import Bands


@dataclass(frozen=True, eq=False)
class LoopLayer:
    """A loop that plays from `start` on.

    Positions are absolute samples. At position p the loop's own sample number
    (offset + p - start) modulo its length sounds.

    Attributes:
        samples: the loop, float32 of shape (n_samples, 2), without a seam.
        start: first position.
        fade_in: length in samples, from `start`.
        stop: position from which it is silent; None: never.
        fade_out: length in samples, ending at `stop`.
        gain: linear.
        offset: sample of the loop that sounds at `start`.
        power: mean square of the loop in each third-octave band, shape (N_BANDS,).

    Raises:
        ValueError: samples of another kind, or a fade of negative length.
    """

    samples: Samples
    start: int
    fade_in: int = 0
    stop: int | None = None
    fade_out: int = 0
    gain: float = 1.0
    offset: int = 0
    power: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Check what the callback will take for granted."""
        if self.samples.dtype != np.float32 or self.samples.ndim != 2:
            raise ValueError("a layer needs float32 samples of shape (n, channels)")
        if len(self.samples) == 0:
            raise ValueError("a layer needs at least one sample")
        if self.fade_in < 0 or self.fade_out < 0:
            raise ValueError("fades cannot be shorter than nothing")

    def is_over(self, position: int) -> bool:
        """Whether the layer is silent from `position` on."""
        return self.stop is not None and position >= self.stop

    def gain_at(self, position: int) -> float:
        """Linear gain at a position, fades included."""
        if position < self.start or self.is_over(position):
            return 0.0
        gain, since = self.gain, position - self.start
        if since < self.fade_in:
            gain *= math.sin(0.5 * math.pi * since / self.fade_in)
        if self.stop is not None and self.stop - position < self.fade_out:
            gain *= math.sin(0.5 * math.pi * (self.stop - position) / self.fade_out)
        return gain

    def is_steady(self, first: int, last: int) -> bool:
        """Whether its gain is `gain` at all positions from the first to the last."""
        has_risen = first >= self.start + self.fade_in
        return has_risen and (self.stop is None or last < self.stop - self.fade_out)

    def heard_between(self, begin: int, end: int) -> tuple[object, ...]:
        """Callback: what decides the samples of positions [begin, end).

        Two layers for which this is equal sound alike there; it is empty for one that
        is silent. Layers are published again and again while they play, and a stop is
        added to them later: neither changes what comes before.
        """
        if self.start >= end or self.is_over(begin):
            return ()
        fade_in = self.fade_in if begin < self.start + self.fade_in else 0
        stop, fade_out = self.stop, self.fade_out
        if stop is None or stop - fade_out >= end:
            stop, fade_out = None, 0
        place = self.start if fade_in or begin < self.start else 0
        cursor = (self.offset - self.start) % len(self.samples)
        return id(self.samples), cursor, place, fade_in, stop, fade_out, self.gain


def powers_into(out: Bands, layers: Iterable[LoopLayer], positions: range) -> None:
    """Callback: fill `out` with the mean square of layers in each band at positions.

    Args:
        out: shape (n, N_BANDS), float64.
        layers: those without known power count as silent.
        positions: n absolute samples, ascending.
    """
    out.fill(0.0)
    for layer in layers:
        if layer.power is None:
            continue
        if layer.is_steady(positions[0], positions[-1]):
            np.add(out, layer.power * layer.gain**2, out=out)
            continue
        for row, position in zip(out, positions, strict=True):
            gain = layer.gain_at(position)
            if gain > 0.0:
                np.add(row, layer.power * gain**2, out=row)
