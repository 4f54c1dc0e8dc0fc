"""The path of a song: straight lines between the points that its pattern names."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SYMBOLS = "ABCDE"
DWELL = 0.35  # share of each step that rests at its point before moving on


@dataclass(frozen=True)
class SongPath:
    """Waypoints of a pattern in time; a song rests at each, then moves on.

    Attributes:
        pattern: the symbols in order.
        times: seconds at which each symbol's point is reached (the middle of its
            step), shape (n,), increasing.
    """

    pattern: str
    times: NDArray[np.float64]

    def weights(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of each of the five points at the given times.

        Args:
            seconds: since the song's start, shape (n,); before the first waypoint
                and after the last the path rests.

        Returns:
            Shape (n, 5), rows sum to 1: `weights @ points` is the path.
        """
        n = len(self.pattern)
        place = np.interp(seconds, self.times, np.arange(n, dtype=np.float64))
        step = np.minimum(place.astype(np.intp), max(0, n - 2))
        progress = place - step
        moved = np.clip((progress - DWELL / 2) / (1.0 - DWELL), 0.0, 1.0)
        point = np.array([SYMBOLS.index(symbol) for symbol in self.pattern])
        shares = np.zeros((len(seconds), len(SYMBOLS)))
        rows = np.arange(len(seconds))
        np.add.at(shares, (rows, point[step]), 1.0 - moved)
        np.add.at(shares, (rows, point[np.minimum(step + 1, n - 1)]), moved)
        return shares

    def symbol_at(self, seconds: float) -> int:
        """Index in the pattern of the symbol that is nearest at this time."""
        return int(np.argmin(np.abs(self.times - seconds)))


def lay_out(pattern: str, duration: float, rng: np.random.Generator) -> SongPath:
    """A path through `pattern` in `duration` seconds, with steps of uneven length.

    Raises:
        ValueError: an empty pattern or a symbol that is not A..E.
    """
    if not pattern or any(symbol not in SYMBOLS for symbol in pattern):
        raise ValueError(f"a pattern is made of {SYMBOLS}, got {pattern!r}")
    lengths = rng.uniform(0.75, 1.25, len(pattern))
    edges = np.concatenate([[0.0], np.cumsum(lengths)]) * (duration / lengths.sum())
    return SongPath(pattern, (edges[:-1] + edges[1:]) / 2.0)
