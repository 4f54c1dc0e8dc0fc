"""The crossfade between music and concealment, as the callback and a replay do it.

How much of each sounds is a whole number of steps that goes up or down by one a sample
from the sample of the last turn on, and the loop's place is that of the session: so
turns and positions decide every sample, wherever blocks are cut.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from engine.sound.concealment import Concealment

STARVED_S = 0.15  # of music left, the crossfade to the concealment begins
GRID_S = 0.005  # between looks at what is left; the crossfade takes so much less
MAX_HELD = 8  # spans of concealment that are remembered

_NEVER = 1 << 62


@dataclass(frozen=True, eq=False)
class Concealing:
    """A turn of the crossfade: a deed of the callback, for the journal.

    Attributes:
        rises: the music comes back; else it goes.
        concealment: that is gone over to; None where one sounds already.
    """

    rises: bool
    concealment: Concealment | None = None


def grid_of(sample_rate: int) -> int:
    """Samples between the positions at which the crossfade may turn."""
    return max(1, round(GRID_S * sample_rate))


def starved_of(sample_rate: int) -> int:
    """Samples of music left under which the crossfade goes to the concealment."""
    return max(2 * grid_of(sample_rate), round(STARVED_S * sample_rate))


class LoopCrossfade:
    """Mixes music and concealment by position.

    Args:
        sample_rate: Hz.
        channels: of the music's layers.
        max_block: longest block, in samples.
    """

    def __init__(self, sample_rate: int, channels: int, max_block: int) -> None:
        self.length = starved_of(sample_rate) - grid_of(sample_rate)
        self.rises = True
        self.held: tuple[tuple[int, int], ...] = ()  # spans without music, latest first
        self._at = -self.length  # of the last turn
        self._level_at_turn = self.length
        self._sounding = Concealment(np.zeros((1, channels), np.float32))
        angle = 0.5 * np.pi * np.arange(self.length + 1) / self.length
        self._gains = np.sin(angle).astype(np.float32)  # equal power
        self._gains[0] = 0.0
        self._index = np.arange(1, max_block + 1)
        self._levels = np.zeros(max_block, np.int64)
        self._gain = np.zeros(max_block, np.float32)
        self._scratch = np.zeros((max_block, channels), np.float32)

    def level(self, position: int) -> int:
        """How many steps of the music sound before a sample, 0 to `length`."""
        return self._clipped(position - self._at)

    def turn(self, at: int, deed: Concealing) -> None:
        """Go the other way from a sample on."""
        level = self.level(at)
        if not deed.rises:
            self.held = ((at + level - 1, _NEVER), *self.held)[:MAX_HELD]
        elif self.held and not self.rises:
            begin, later = self.held[0][0], self.held[1:]
            self.held = ((begin, at), *later) if level == 0 else later
        self._at, self._level_at_turn, self.rises = at, level, deed.rises
        if deed.concealment is not None:
            self._sounding = deed.concealment

    def apply(self, out: Samples, position: int) -> None:
        """Mix the concealment into music, shape (n, channels), in place."""
        n, length = len(out), self.length
        first, last = self.level(position + 1), self.level(position + n)
        if n == 0 or (first == last == length):
            return
        levels, gain = self._levels[:n], self._gain[:n]
        np.add(self._index[:n], position - self._at, out=levels)
        if not self.rises:
            np.negative(levels, out=levels)
        np.add(levels, self._level_at_turn, out=levels)
        np.clip(levels, 0, length, out=levels)
        np.take(self._gains, levels, out=gain, mode="clip")
        out *= gain[:, None]
        if last == 0 and not self.rises:  # of what is not there, nothing is heard
            out[first:] = 0.0
        np.subtract(length, levels, out=levels)
        np.take(self._gains, levels, out=gain, mode="clip")
        gain *= np.float32(self._sounding.gain)
        self._add(self._sounding.loop, gain, out, position)

    def _clipped(self, since: int) -> int:
        moved = since if self.rises else -since
        return min(max(self._level_at_turn + moved, 0), self.length)

    def _add(
        self, loop: Samples, gain: NDArray[np.float32], out: Samples, position: int
    ) -> None:
        done = 0
        while done < len(out):
            start = (position + done) % len(loop)
            n = min(len(out) - done, len(loop) - start)
            scratch = self._scratch[:n]
            np.multiply(
                loop[start : start + n], gain[done : done + n, None], out=scratch
            )
            out[done : done + n] += scratch
            done += n
