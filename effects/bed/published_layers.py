"""Layers that a control thread publishes and the callback plays.

A control thread replaces one reference to a tuple; the callback reads it. No lock is
taken on either side.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from effects.bed.loop_layer import LoopLayer


@dataclass(frozen=True, eq=False)
class _Offer:
    layers: tuple[LoopLayer, ...] = ()
    until: int = -1  # the last position at which it may be taken


class PublishedLayers:
    """The layers in force."""

    def __init__(self) -> None:
        self._layers: tuple[LoopLayer, ...] = ()
        self._offer = self._answered = _Offer()
        self._taken = False

    @property
    def layers(self) -> tuple[LoopLayer, ...]:
        """The layers in force."""
        return self._layers

    def replace(self, layers: Iterable[LoopLayer]) -> None:
        """Control thread: play these from now on.

        A layer that is to go on must keep its start, offset and gain; only a stop
        or what lies ahead may differ, or the bed jumps.
        """
        self._layers = tuple(layers)  # one reference, swapped whole

    def offer(
        self, layers: Iterable[LoopLayer], until: int, wait: Callable[[], bool]
    ) -> bool:
        """Control thread: play these, if it is not too late; waits for the callback.

        Args:
            layers: as for `replace`.
            until: the position from which they differ from those in force.
            wait: called until the callback has answered; false to give up.

        Returns:
            Whether they are in force, from a position that is not past `until`.
        """
        offer = self._offer = _Offer(tuple(layers), until)
        while self._answered is not offer:
            if not wait():
                return False
        return self._taken

    def answer(self, position: int) -> tuple[LoopLayer, ...]:
        """Callback: take an offer that is in time, and return the layers in force.

        Args:
            position: the first sample that is not decided yet.
        """
        offer = self._offer
        if offer is not self._answered:
            self._taken = position <= offer.until
            if self._taken:
                self._layers = offer.layers
            self._answered = offer
        return self._layers
