"""The order of effects: tours that visit each once, by short steps.

Tour number `e` is decided by the seed and `e` alone. It starts where the tour before
meant to lead, so no memory is needed to find any tour, and no effect follows itself.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

DWELL_SPREAD = 0.3  # a stay is up to so much longer or shorter than the dwell time
CANDIDATES = 3  # nearest ones left, among which chance decides
ATTEMPTS = 12  # tours drawn, of which the one with the shortest steps is taken


@dataclass(frozen=True)
class Plan:
    """What decides all tours: how many effects, the seed, and which are alike."""

    n_names: int
    seed: int
    similarity: tuple[tuple[float, ...], ...]  # (n, n), higher is nearer


@dataclass(frozen=True)
class Tour:
    """One visit to every effect: their indices, and when each stay begins.

    `begins` is in units of the dwell time from the tour's start; the tour lasts
    `len(order)` of them.
    """

    order: tuple[int, ...]
    begins: tuple[float, ...]


def name_index(plan: Plan, stay: int) -> int:
    """Which effect stay number `stay` is, counted from the very first."""
    number, place = divmod(stay, plan.n_names)
    return tour(plan, number).order[place]


def begin(plan: Plan, stay: int) -> float:
    """When a stay begins, in units of the dwell time."""
    number, place = divmod(stay, plan.n_names)
    return number * plan.n_names + tour(plan, number).begins[place]


def stay_at(plan: Plan, clock: float) -> int:
    """The stay in force at a time in units of the dwell time."""
    number = int(max(0.0, clock) // plan.n_names)
    begins = tour(plan, number).begins
    offset = clock - number * plan.n_names
    place = int(np.searchsorted(begins, offset, side="right")) - 1
    stay = number * plan.n_names + max(0, place)
    # At its very beginning, as `begin` rounds it, a stay is in force already.
    return stay + (begin(plan, stay + 1) <= clock)


@lru_cache(maxsize=256)
def tour(plan: Plan, number: int) -> Tour:
    """Tour number `number` of a plan."""
    rng = np.random.default_rng([plan.seed & (2**63 - 1), number, 2])
    start, onward = _start(plan, number), _start(plan, number + 1)
    attempts = [_attempt(plan, start, onward, rng) for _ in range(ATTEMPTS)]
    order = max(attempts, key=lambda order: _nearness(plan, (*order, onward)))
    stays = 1.0 + DWELL_SPREAD * rng.uniform(-1.0, 1.0, plan.n_names)
    stays *= plan.n_names / stays.sum()
    begins = np.concatenate([[0.0], np.cumsum(stays)[:-1]])
    return Tour(order, tuple(begins.tolist()))


def _start(plan: Plan, number: int) -> int:
    if plan.n_names < 3:
        return 0  # of two, only a fixed start keeps them in turn
    rng = np.random.default_rng([plan.seed & (2**63 - 1), number, 1])
    return int(rng.integers(plan.n_names))


def _attempt(
    plan: Plan, start: int, onward: int, rng: np.random.Generator
) -> tuple[int, ...]:
    """A walk from `start` through all others that does not end on `onward`."""
    order = [start]
    left = [i for i in range(plan.n_names) if i != start]
    while left:
        if len(left) == 2 and onward in left:
            choice = onward  # else it would come last, and then twice in a row
        else:
            row = plan.similarity[order[-1]]
            near = sorted(left, key=lambda i: -row[i])[:CANDIDATES]
            choice = int(near[int(rng.integers(len(near)))])
        order.append(choice)
        left.remove(choice)
    return tuple(order)


def _nearness(plan: Plan, order: tuple[int, ...]) -> float:
    steps = pairwise(order)
    return sum(plan.similarity[a][b] for a, b in steps)
