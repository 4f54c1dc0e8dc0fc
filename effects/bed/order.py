"""Order of the effects: rounds in which each of them comes once, by short steps.

Every effect has one slot in a round, and slots are numbered from the first of all. A
round is decided by the seed and its own number: it ends near the effect with which the
next round starts, and not on it. So any slot is found without the slots before it, and
no effect follows itself.

Times are in units of the dwell time, the mean length of a slot.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from effects.base.streams import Purpose, stream

DWELL_SPREAD = 0.3  # largest share by which a slot differs from the dwell time
CANDIDATES = 3  # nearest effects left, among which chance decides
ATTEMPTS = 12  # orders drawn for a round, of which the one of shortest steps is taken


@dataclass(frozen=True)
class OrderBasis:
    """What decides the order of all rounds.

    Attributes:
        seed: another seed, another order.
        similarity: of the effects to one another, shape (n, n), higher is nearer.
    """

    seed: int
    similarity: tuple[tuple[float, ...], ...]

    @property
    def n_effects(self) -> int:
        """How many effects there are."""
        return len(self.similarity)


@dataclass(frozen=True)
class EffectRound:
    """One round over all effects; it lasts as many dwell times as there are effects.

    Attributes:
        effects: index of the effect in each slot.
        begins: of each slot, from the beginning of the round.
    """

    effects: tuple[int, ...]
    begins: tuple[float, ...]


def effect_in(basis: OrderBasis, slot: int) -> int:
    """Index of the effect in slot number `slot`."""
    number, place = divmod(slot, basis.n_effects)
    return round_of(basis, number).effects[place]


def slot_begin(basis: OrderBasis, slot: int) -> float:
    """Beginning of slot number `slot`."""
    number, place = divmod(slot, basis.n_effects)
    return number * basis.n_effects + round_of(basis, number).begins[place]


def slot_at(basis: OrderBasis, clock: float) -> int:
    """Number of the slot that is in force at a time."""
    number = int(max(0.0, clock) // basis.n_effects)
    begins = round_of(basis, number).begins
    offset = clock - number * basis.n_effects
    place = int(np.searchsorted(begins, offset, side="right")) - 1
    slot = number * basis.n_effects + max(0, place)
    # `offset` is rounded: at its beginning, as `slot_begin` gives it, a slot is on.
    return slot + (slot_begin(basis, slot + 1) <= clock)


@lru_cache(maxsize=256)
def round_of(basis: OrderBasis, number: int) -> EffectRound:
    """Round number `number`."""
    rng = stream(Purpose.BED_ORDER, basis.seed, number)
    first, onward = _first(basis, number), _first(basis, number + 1)
    attempts = [_attempt(basis, first, onward, rng) for _ in range(ATTEMPTS)]
    effects = max(attempts, key=lambda order: _nearness(basis, (*order, onward)))
    lengths = 1.0 + DWELL_SPREAD * rng.uniform(-1.0, 1.0, basis.n_effects)
    lengths *= basis.n_effects / lengths.sum()
    begins = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    return EffectRound(effects, tuple(begins.tolist()))


def _first(basis: OrderBasis, number: int) -> int:
    """The effect with which a round starts."""
    if basis.n_effects < 3:
        return 0  # two effects take turns only if every round starts with the same
    rng = stream(Purpose.BED_FIRST, basis.seed, number)
    return int(rng.integers(basis.n_effects))


def _attempt(
    basis: OrderBasis, first: int, onward: int, rng: np.random.Generator
) -> tuple[int, ...]:
    """An order of all effects that starts with `first` and does not end on `onward`."""
    order = [first]
    left = [i for i in range(basis.n_effects) if i != first]
    while left:
        if len(left) == 2 and onward in left:
            choice = onward  # as the last, it would come twice in a row
        else:
            row = basis.similarity[order[-1]]
            near = sorted(left, key=lambda i: -row[i])[:CANDIDATES]
            choice = int(near[int(rng.integers(len(near)))])
        order.append(choice)
        left.remove(choice)
    return tuple(order)


def _nearness(basis: OrderBasis, order: tuple[int, ...]) -> float:
    return sum(basis.similarity[a][b] for a, b in pairwise(order))
