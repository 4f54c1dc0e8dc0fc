"""Transport: how the time of a stream maps to the time of its songs."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from engine.compose.wiggler import PERIOD
from engine.control.controls import Snapshot

FOREVER = np.iinfo(np.int64).max

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Transport:
    """How stream time maps to composition time, from sample `at` on.

    What is asked about samples before `at` is answered as if this had been in force
    then, but for the latest hold, which is known.

    Attributes:
        at: sample from which this holds.
        tau: composition time there, seconds.
        held: samples between which time stood still the last time; the second is
            `FOREVER` while it does.
        turns: of the wiggler's slowest circle, at `at`.
        moved: seconds of the movement inside sounds, at `at`.
        glide_from: latent and level from which a glide set out at sample `glide_at`,
            shape (n_latents + 1,), or None.
        target: symbol that is glided to, or None for the path.
    """

    at: int = 0
    tau: float = 0.0
    held: tuple[int, int] = (0, 0)
    turns: float = 0.0
    moved: float = 0.0
    glide_at: int = 0
    glide_from: NDArray[np.float64] | None = field(default=None, compare=False)
    target: str | None = None

    def advanced(self, at: int, controls: Snapshot, sample_rate: int) -> "Transport":
        """The same from another sample on, under the controls in force until then."""
        seconds = (at - self.at) / sample_rate
        turns = self.turns + seconds * float(controls["wiggle/rate"])
        return replace(
            self,
            at=at,
            tau=float(self.tau_at(np.array([at]), sample_rate)[0]),
            turns=turns % PERIOD,
            moved=self.moved + seconds * float(controls["motion/rate"]),
        )

    def with_hold(self, hold: bool) -> "Transport":
        """Time stands still from `at` on, or goes on there."""
        begin, end = self.held
        if hold and end != FOREVER:
            return replace(self, held=(self.at, FOREVER))
        if not hold and end == FOREVER:
            return replace(self, held=(begin, self.at))
        return self

    def tau_at(self, positions: NDArray[np.int64], sample_rate: int) -> Times:
        """Composition time at samples, never below 0."""
        ran = self._running(positions) - self._running(np.array([self.at]))
        tau: Times = np.maximum(self.tau + ran / sample_rate, 0.0)
        return tau

    def positions_of(self, tau: Times, sample_rate: int) -> Times:
        """Samples at which composition times come; `FOREVER` for those that do not."""
        begin, end = self.held
        at = float(self._running(np.array([self.at]))[0])
        place = (tau - self.tau) * sample_rate + at
        after = np.inf if end == FOREVER else place + (end - begin)
        return np.where(place <= begin, place, after)

    def _running(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Samples without those of the hold."""
        begin, end = self.held
        return np.where(
            positions < begin, positions, np.maximum(begin, positions - (end - begin))
        )
