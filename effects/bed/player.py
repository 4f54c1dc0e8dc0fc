"""The bed: nature loops mixed into a block, as a function of absolute position.

Nothing moves here: what a layer sounds like at a position depends on that position
alone, so blocks may be cut anywhere, played twice, or skipped. A control thread
publishes another tuple of layers by swapping one reference; the callback reads it
once a block.

Safe in the callback: everything is allocated once; numpy only.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples

# sin(pi/2 x) on 0..1 as an odd polynomial, error under 2e-6. Products and sums give
# the same bits however a block is cut, which a vectorised sine does not promise. At
# 1 it is a trifle above 1 and clipped, so that a fade ends in exactly the full gain.
SINE = (1.57079161, -0.64589649, 0.07944011, -0.00433513)

ANSWER_EVERY_S = 0.005  # that a control thread looks for the callback's answer


@dataclass(frozen=True, eq=False)
class LoopLayer:
    """One loop, playing from `start` on.

    Positions are absolute samples. The loop's own sample at position p is number
    (offset + p - start) modulo its length.
    """

    samples: Samples  # (n_samples, 2), a loop: its end flows into its start
    start: int
    fade_in: int = 0  # length, from `start`
    stop: int | None = None  # silent from here on
    fade_out: int = 0  # length, ending at `stop`
    gain: float = 1.0  # linear
    offset: int = 0
    power: NDArray[np.float64] | None = None  # of the loop, in the bands of `room`

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


@dataclass(frozen=True, eq=False)
class _Offer:
    layers: tuple[LoopLayer, ...] = ()
    until: int = -1  # the last position at which it may be taken


class BedPlayer:
    """Mixes layers into blocks.

    >>> player = BedPlayer(max_block=4)
    >>> player.set_layers([LoopLayer(np.ones((3, 2), np.float32), start=2)])
    >>> out = np.zeros((4, 2), np.float32)
    >>> player.mix_into(out, position=0)
    >>> out[:, 0].tolist()
    [0.0, 0.0, 1.0, 1.0]
    """

    def __init__(self, max_block: int = 8192, channels: int = 2) -> None:
        self._layers: tuple[LoopLayer, ...] = ()
        self._offer = self._answered = _Offer()
        self._taken = False
        self._chunk = max(1, max_block)
        self._mixed = np.zeros((self._chunk, channels), np.float32)
        self._gains = np.zeros((self._chunk, 1), np.float32)
        self._counter = np.arange(self._chunk, dtype=np.float64)
        self._fade = np.zeros(self._chunk, np.float64)
        self._square = np.zeros(self._chunk, np.float64)
        self._curve = np.zeros(self._chunk, np.float64)

    @property
    def layers(self) -> tuple[LoopLayer, ...]:
        """The layers in force."""
        return self._layers

    def set_layers(self, layers: Iterable[LoopLayer]) -> None:
        """Control thread: play these from the next block on.

        A layer that is to go on must keep its start, offset and gain; only a stop
        or what lies ahead may differ, or the bed jumps.
        """
        self._layers = tuple(layers)  # one reference, swapped whole

    def offer(
        self, layers: Iterable[LoopLayer], until: int, give_up: Callable[[], bool]
    ) -> bool:
        """Control thread: play these, if it is not too late; waits for the callback.

        Args:
            layers: as for `set_layers`.
            until: the position from which they differ from those in force.
            give_up: asked while it waits whether to go on.

        Returns:
            Whether they are in force, from a position that is not past `until`.
        """
        offer = self._offer = _Offer(tuple(layers), until)
        while self._answered is not offer:
            if give_up():
                return False
            time.sleep(ANSWER_EVERY_S)
        return self._taken

    def power_into(self, out: NDArray[np.float64], position: int) -> None:
        """Callback: fill `out` with the mean square in each band at a position."""
        out.fill(0.0)
        for layer in self._layers:
            if layer.power is not None:
                gain = layer.gain_at(position)
                if gain > 0.0:
                    np.add(out, layer.power * gain**2, out=out)

    def mix_into(self, out: Samples, position: int) -> None:
        """Callback: add the bed for positions [position, position + len(out)).

        Args:
            out: shape (n_samples, channels), float32, added to in place.
            position: absolute sample that `out[0]` is.
        """
        offer = self._offer
        if offer is not self._answered:
            self._taken = position <= offer.until
            if self._taken:
                self._layers = offer.layers
            self._answered = offer
        layers = self._layers
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
        gains = self._gain_curve(layer, first, n)
        target = chunk[first - position : last - position]
        cursor = (layer.offset + first - layer.start) % len(layer.samples)
        self._add_loop(layer.samples, cursor, gains, target)

    def _add_loop(
        self, loop: Samples, cursor: int, gains: NDArray[np.float32], target: Samples
    ) -> None:
        """Add a loop from `cursor` on, around its seam as often as need be."""
        n = len(target)
        mixed = self._mixed[:n]
        done = 0
        while done < n:
            part = min(n - done, len(loop) - cursor)
            np.multiply(
                loop[cursor : cursor + part],
                gains[done : done + part],
                out=mixed[done : done + part],
            )
            done += part
            cursor = 0
        np.add(target, mixed, out=target)

    def _gain_curve(self, layer: LoopLayer, first: int, n: int) -> NDArray[np.float32]:
        gains = self._gains[:n]
        gains.fill(layer.gain)
        since_start = first - layer.start
        if since_start < layer.fade_in:
            self._apply_fade(gains, since_start + 0.5, 1.0, layer.fade_in)
        if layer.stop is not None and first + n > layer.stop - layer.fade_out:
            self._apply_fade(gains, layer.stop - first - 0.5, -1.0, layer.fade_out)
        return gains

    def _apply_fade(
        self, gains: NDArray[np.float32], begin: float, step: float, length: int
    ) -> None:
        """Multiply by a quarter sine of `length` at begin, begin + step, ..."""
        if length == 0:
            return
        n = len(gains)
        fade, square, curve = self._fade[:n], self._square[:n], self._curve[:n]
        np.multiply(self._counter[:n], step, out=fade)
        np.add(fade, begin, out=fade)
        np.divide(fade, length, out=fade)
        np.minimum(fade, 1.0, out=fade)
        np.multiply(fade, fade, out=square)
        curve.fill(SINE[3])
        for coefficient in SINE[2::-1]:
            np.multiply(curve, square, out=curve)
            np.add(curve, coefficient, out=curve)
        np.multiply(curve, fade, out=curve)
        np.minimum(curve, 1.0, out=curve)
        np.multiply(gains[:, 0], curve, out=gains[:, 0], casting="same_kind")
