"""Loops mixed into a block, as a function of absolute position.

What a layer sounds like at a position depends on that position alone, so blocks may be
cut anywhere, played twice, or skipped.

Safe in the callback: everything is allocated once; numpy only.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.bed.loop_layer import LoopLayer

# sin(pi/2 x) on 0..1 as an odd polynomial, error under 2e-6. Products and sums give
# the same bits however a block is cut, which a vectorised sine does not promise. At
# 1 it is slightly above 1 and clipped, so that a fade ends in exactly the full gain.
SINE = (1.57079161, -0.64589649, 0.07944011, -0.00433513)


class LayerMixer:
    """Adds layers to blocks. It holds scratch memory: every thread needs its own.

    >>> mixer, out = LayerMixer(max_block=4), np.zeros((4, 2), np.float32)
    >>> mixer.mix_into(out, [LoopLayer(np.ones((3, 2), np.float32), start=2)], 0)
    >>> out[:, 0].tolist()
    [0.0, 0.0, 1.0, 1.0]

    Args:
        max_block: samples that are mixed at a time; longer blocks are cut.
        channels: of the blocks and loops.
    """

    def __init__(self, max_block: int = 8192, channels: int = 2) -> None:
        self._chunk = max(1, max_block)
        self._mixed = np.zeros((self._chunk, channels), np.float32)
        self._gains = np.zeros((self._chunk, 1), np.float32)
        self._counter = np.arange(self._chunk, dtype=np.float64)
        self._place = np.zeros(self._chunk, np.float64)
        self._fade = np.zeros(self._chunk, np.float32)
        self._square = np.zeros(self._chunk, np.float32)
        self._curve = np.zeros(self._chunk, np.float32)

    def mix_into(
        self, out: Samples, layers: Iterable[LoopLayer], position: int
    ) -> None:
        """Callback: add layers for positions [position, position + len(out)).

        Args:
            out: shape (n_samples, channels), float32, added to in place.
            layers: in any order; it counts for the last bit of the sum.
            position: absolute sample that `out[0]` is.
        """
        for begin in range(0, len(out), self._chunk):
            chunk = out[begin : begin + self._chunk]
            for layer in layers:
                self._add(layer, chunk, position + begin)

    def _add(self, layer: LoopLayer, chunk: Samples, position: int) -> None:
        first = max(position, layer.start)
        last = position + len(chunk)
        if layer.stop is not None:
            last = min(last, layer.stop)
        n = last - first
        if n <= 0:
            return
        gains = self._gains_of(layer, first, n)
        target = chunk[first - position : last - position]
        cursor = (layer.offset + first - layer.start) % len(layer.samples)
        self._add_loop(layer.samples, cursor, gains, target)

    def _add_loop(
        self,
        loop: Samples,
        cursor: int,
        gains: NDArray[np.float32] | np.float32,
        target: Samples,
    ) -> None:
        """Add a loop from `cursor` on, around its seam as often as need be."""
        n = len(target)
        mixed = self._mixed[:n]
        done = 0
        while done < n:
            part = min(n - done, len(loop) - cursor)
            np.multiply(
                loop[cursor : cursor + part],
                gains if isinstance(gains, np.float32) else gains[done : done + part],
                out=mixed[done : done + part],
            )
            done += part
            cursor = 0
        np.add(target, mixed, out=target)

    def _gains_of(
        self, layer: LoopLayer, first: int, n: int
    ) -> NDArray[np.float32] | np.float32:
        """Gains from `first` on, shape (n, 1), or one for all where nothing fades."""
        since_start = first - layer.start
        rises = since_start < layer.fade_in
        falls = layer.stop is not None and first + n > layer.stop - layer.fade_out
        if not rises and not falls:
            return np.float32(layer.gain)
        gains = self._gains[:n]
        gains.fill(layer.gain)
        if rises:
            self._apply_fade(gains, since_start + 0.5, 1.0, layer.fade_in)
        if layer.stop is not None and falls:
            self._apply_fade(gains, layer.stop - first - 0.5, -1.0, layer.fade_out)
        return gains

    def _apply_fade(
        self, gains: NDArray[np.float32], begin: float, step: float, length: int
    ) -> None:
        """Multiply by a quarter sine of `length` at begin, begin + step, ..."""
        if length == 0:
            return
        n = len(gains)
        place, fade = self._place[:n], self._fade[:n]
        square, curve = self._square[:n], self._curve[:n]
        # In double precision as long as it counts samples, of which a fade may have
        # more than a float32 can tell apart.
        np.multiply(self._counter[:n], step, out=place)
        np.add(place, begin, out=place)
        np.divide(place, length, out=place)
        np.minimum(place, 1.0, out=fade, casting="same_kind")
        np.multiply(fade, fade, out=square)
        curve.fill(SINE[3])
        for coefficient in SINE[2::-1]:
            np.multiply(curve, square, out=curve)
            np.add(curve, coefficient, out=curve)
        np.multiply(curve, fade, out=curve)
        np.minimum(curve, 1.0, out=curve)
        np.multiply(gains[:, 0], curve, out=gains[:, 0])
