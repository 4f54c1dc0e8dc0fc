"""A mix that leaves room: by how much the bed yields where the music's partials stand.

Both spectra are known before they sound: a loop's when it is loaded, the music's when
its frames are made. They are compared in bands a third of an octave apart. Safe in the
callback: numpy only, and what is called there fills what it is given.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from effects.audio.third_octaves import N_BANDS, Bands

FULL_DB = 12.0  # partials over bed: yielding begins at 0 dB and is complete here
KEPT_S = 30.0  # of a course behind its end: more than any ring holds

_TINY = 1e-14


@dataclass(frozen=True, eq=False)
class Course:
    """What stands in each band over time, on straight lines between nodes.

    Never changed, only replaced; what it is at a position, once known, stays.

    Attributes:
        positions: ascending, absolute samples.
        power: of the bands at each of them.
    """

    positions: tuple[int, ...] = ()
    power: tuple[Bands, ...] = ()

    def read_into(self, out: Bands, position: int) -> None:
        """Callback: fill `out` with the bands at a position; held beyond the ends."""
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

    def extended(self, position: int, power: Bands, sample_rate: int) -> "Course":
        """With a node more; nodes that are `KEPT_S` old go."""
        oldest = position - KEPT_S * sample_rate
        first = max(0, bisect_right(self.positions, oldest) - 1)
        return Course((*self.positions[first:], position), (*self.power[first:], power))

    def cut(self, position: int) -> "Course":
        """The same up to a position, which becomes its end."""
        n = bisect_right(self.positions, position - 1)
        if n == 0:
            return Course()
        power = np.zeros(N_BANDS)
        self.read_into(power, position)
        return Course((*self.positions[:n], position), (*self.power[:n], power))

    def joined(self, before: "Course", position: int, length: int) -> "Course":
        """`before` up to a position, and then within `length` samples into this."""
        head = before.cut(position)
        if not self.positions or not head.positions:
            return self if self.positions else head
        at, power = min(position + length, self.positions[-1]), np.zeros(N_BANDS)
        self.read_into(power, at)
        n = bisect_right(self.positions, at)
        return Course(
            (*head.positions, at, *self.positions[n:]),
            (*head.power, power, *self.power[n:]),
        )


def yield_into(gains: Bands, music: Bands, bed: Bands, depth_db: float) -> bool:
    """Callback: linear gain of the bed in each band beside these partials.

    A band gives way by up to `depth_db` where the partials are louder than the bed:
    there it would only blur them. Where it is louder itself it stays, as it is what
    is heard anyway.

    Returns:
        Whether any band gives way.

    >>> gains, bed = np.ones(N_BANDS), np.full(N_BANDS, 1e-5)
    >>> yield_into(gains, np.full(N_BANDS, 1e-3), bed, 6.0), round(gains[0], 3)
    (True, np.float64(0.501))
    >>> yield_into(gains, np.full(N_BANDS, 1e-5), bed, 6.0)
    False
    """
    np.add(music, _TINY, out=gains)
    np.divide(gains, np.add(bed, _TINY), out=gains)
    np.log10(gains, out=gains)
    np.multiply(gains, 10.0 / FULL_DB, out=gains)
    np.clip(gains, 0.0, 1.0, out=gains)
    if depth_db <= 0.0 or not gains.any():
        return False
    # Smooth at both ends, 3x^2 - 2x^3: music that comes and goes makes no corner.
    np.multiply(gains * gains, 3.0 - 2.0 * gains, out=gains)
    np.multiply(gains, -depth_db / 20.0, out=gains)
    np.power(10.0, gains, out=gains)
    return True
