"""The order of an album: near keys beside each other, along an arc of brightness."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.control.harmony import KEYS

ARC_WEIGHT = 10.0  # of a song's distance from the arc, against fifths between keys
_MOST_ROUNDS = 40


@dataclass(frozen=True)
class PlacedBy:
    """What decides the place of a song: its tonic, and how bright it is."""

    tonic: str
    brightness: float


def fifths_apart(one: str, other: str) -> int:
    """Steps between two tonics on the circle of fifths, 0..6.

    >>> fifths_apart("C", "G"), fifths_apart("C", "F#"), fifths_apart("D", "C")
    (1, 6, 2)
    """
    steps = 7 * (KEYS.index(one) - KEYS.index(other)) % 12
    return min(steps, 12 - steps)


def arc(place: float) -> float:
    """Brightness wanted at a place of the album, both 0..1: dark, bright, dark."""
    return math.sin(math.pi * place)


def arranged(songs: Sequence[PlacedBy]) -> list[int]:
    """Indices of songs in the order of the album; equal for equal songs.

    It begins with the darkest songs at both ends and exchanges pairs for as long as
    that lowers the cost: fifths between neighbours, and distance from the arc in
    brightness, which is counted by rank.
    """
    n = len(songs)
    by_light = sorted(range(n), key=lambda i: (songs[i].brightness, i))
    rank = {i: place / max(1, n - 1) for place, i in enumerate(by_light)}
    order = by_light[::2] + by_light[1::2][::-1]
    wanted = [arc((place + 0.5) / n) for place in range(n)]
    lowest, highest = min(wanted, default=0.0), max(wanted, default=1.0)
    span = max(highest - lowest, 1e-9)
    wanted = [(value - lowest) / span for value in wanted]

    def cost(places: set[int]) -> float:
        off = sum((rank[order[p]] - wanted[p]) ** 2 for p in places)
        joins = {j for p in places for j in (p - 1, p) if 0 <= j < n - 1}
        fifths = sum(
            fifths_apart(songs[order[j]].tonic, songs[order[j + 1]].tonic)
            for j in joins
        )
        return ARC_WEIGHT * off + fifths

    for _ in range(_MOST_ROUNDS):
        improved = False
        for a in range(n):
            for b in range(a + 1, n):
                before = cost({a, b})
                order[a], order[b] = order[b], order[a]
                if cost({a, b}) < before - 1e-9:
                    improved = True
                else:
                    order[a], order[b] = order[b], order[a]
        if not improved:
            break
    return order
