"""What the music masks of the bed, band by band, and by how much the bed makes way.

Both spectra are known before they sound: a loop's when it is loaded, the music's when
its frames are made. They are compared in bands a third of an octave apart. Safe in the
callback: numpy only, and what is called there fills what it is given.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from effects.audio.third_octaves import N_BANDS, Bands

FULL_DB = 12.0  # partials over bed: ducking begins at 0 dB and is complete here
KEPT_S = 30.0  # of an envelope behind its end: more than any ring holds
MAX_EARLIER = 32  # plans that are remembered: more than are spliced within a block

TINY = 1e-14


@dataclass(frozen=True, eq=False)
class BandEnvelope:
    """Power of the music's partials in each band over time, linear between nodes.

    It is never changed, only replaced; its value at a position, once known, stays.

    Attributes:
        positions: of the nodes, ascending, absolute samples.
        power: mean square in each band at each node, shape (N_BANDS,) each.
        earlier: positions at which another plan was spliced in, the latest first, each
            with the envelope in force before it.
        held: spans of positions [begin, end) at which the value is that of `begin`:
            there the music was late, and its concealment stood still.
        kept: the values at the beginnings of these spans that are known already.
    """

    positions: tuple[int, ...] = ()
    power: tuple[Bands, ...] = ()
    earlier: "tuple[tuple[int, BandEnvelope], ...]" = ()
    held: tuple[tuple[int, int], ...] = ()
    kept: Mapping[int, Bands] = field(default_factory=dict)

    @property
    def end(self) -> int | None:
        """The last position whose value is known; None if there is no node."""
        return self.positions[-1] if self.positions else None

    def read_into(self, out: Bands, position: int) -> None:
        """Callback: fill `out` with the bands at a position; held beyond the ends."""
        for begin, end in self.held:
            if begin <= position < end:
                if begin in self.kept:
                    out[:] = self.kept[begin]
                    return
                position = begin
                break
        found = self
        for spliced_at, before in self.earlier:
            if position >= spliced_at:
                break
            found = before
        found._read_nodes_into(out, position)

    def _read_nodes_into(self, out: Bands, position: int) -> None:
        after = bisect_right(self.positions, position)
        if not self.positions:
            out.fill(0.0)
        elif after in (0, len(self.positions)):
            out[:] = self.power[max(0, after - 1)]
        else:
            begin, end = self.positions[after - 1], self.positions[after]
            np.subtract(self.power[after], self.power[after - 1], out=out)
            np.multiply(out, (position - begin) / (end - begin), out=out)
            np.add(out, self.power[after - 1], out=out)

    def extended(self, position: int, power: Bands, sample_rate: int) -> "BandEnvelope":
        """The envelope with one node more; nodes older than `KEPT_S` are dropped.

        Args:
            position: of the node, after all others.
            power: mean square in each band, shape (N_BANDS,).
            sample_rate: Hz.
        """
        oldest = position - KEPT_S * sample_rate
        first = max(0, bisect_right(self.positions, oldest) - 1)
        earlier = self.earlier
        while earlier and earlier[-1][0] < oldest:
            earlier = earlier[:-1]
        return BandEnvelope(
            (*self.positions[first:], position), (*self.power[first:], power), earlier
        )

    def joined(
        self, before: "BandEnvelope", position: int, length: int
    ) -> "BandEnvelope":
        """The envelope `before` up to a position, then within `length` samples this.

        What it was before that position, it stays to the bit.
        """
        if not self.positions or not before.positions:
            return self if self.positions else before
        power = np.zeros(N_BANDS)
        positions: tuple[int, ...] = ()
        values: tuple[Bands, ...] = ()
        if length:
            before.read_into(power, position)
            positions, values = (position,), (power,)
        at, power = min(position + length, self.positions[-1]), np.zeros(N_BANDS)
        self._read_nodes_into(power, at)
        n = bisect_right(self.positions, at)
        earlier = ((position, replace(before, earlier=(), held=())), *before.earlier)
        return BandEnvelope(
            (*positions, at, *self.positions[n:]),
            (*values, power, *self.power[n:]),
            earlier[:MAX_EARLIER],
        )

    def holding(
        self,
        held: tuple[tuple[int, int], ...],
        kept: Mapping[int, Bands] | None = None,
    ) -> "BandEnvelope":
        """The same, held over these spans of positions; see `held` and `kept`."""
        return self if held == self.held else replace(self, held=held, kept=kept or {})


def duck_into(
    gains: NDArray[np.float64],
    music: NDArray[np.float64],
    bed: NDArray[np.float64],
    depth_db: float,
) -> NDArray[np.bool_]:
    """Callback: linear gain of the bed in each band beside these partials.

    A band is turned down by up to `depth_db` where the partials are louder than the
    bed: there it would only blur them. Where the bed is louder it stays, since it is
    what is heard anyway.

    Args:
        gains: filled; shape (..., N_BANDS), as the two that follow.
        music: mean square of the music's partials.
        bed: mean square of the bed.
        depth_db: by how much a band is turned down at most.

    Returns:
        Where any band is turned down, shape (...); elsewhere `gains` is 1.

    >>> gains, bed = np.ones(N_BANDS), np.full(N_BANDS, 1e-5)
    >>> bool(duck_into(gains, np.full(N_BANDS, 1e-3), bed, 6.0)), round(gains[0], 3)
    (True, np.float64(0.501))
    >>> bool(duck_into(gains, np.full(N_BANDS, 1e-5), bed, 6.0)), gains[0]
    (False, np.float64(1.0))
    """
    np.add(music, TINY, out=gains)
    np.divide(gains, np.add(bed, TINY), out=gains)
    np.log10(gains, out=gains)
    np.multiply(gains, 10.0 / FULL_DB, out=gains)
    np.clip(gains, 0.0, 1.0 if depth_db > 0.0 else 0.0, out=gains)
    ducked = np.asarray(gains.any(axis=-1))
    # Smooth at both ends, 3x^2 - 2x^3: music that comes and goes makes no corner.
    np.multiply(gains * gains, 3.0 - 2.0 * gains, out=gains)
    np.multiply(gains, -depth_db / 20.0, out=gains)
    np.power(10.0, gains, out=gains)
    return ducked
