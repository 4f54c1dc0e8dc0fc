"""The constants that define timbre space."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import db_to_power

SAMPLE_RATE = 44_100  # Hz, of clips; music is synthesised at any rate
CLIP_SECONDS = 2.0
N_LATENTS = 32


@dataclass(frozen=True)
class Axis:
    """The log-spaced bands of a timbre, and its scale from dB to 0..1.

    A timbre is float32 of shape (..., n_bands): the band's power in dB re full
    scale (power 1.0), mapped so that `floor_db` is 0 and `ceiling_db` is 1.
    122 bands an octave, so a shift by `n` bands transposes by `n / 122` octaves.
    """

    n_bands: int = 1233
    low_hz: float = 20.0
    high_hz: float = 22_050.0
    floor_db: float = -100.0
    ceiling_db: float = 0.0

    @cached_property
    def edges(self) -> NDArray[np.float64]:
        """Band edges in Hz, shape (n_bands + 1,)."""
        return np.geomspace(self.low_hz, self.high_hz, self.n_bands + 1)

    @cached_property
    def centres(self) -> NDArray[np.float64]:
        """Geometric band centres in Hz, shape (n_bands,)."""
        centres: NDArray[np.float64] = np.sqrt(self.edges[:-1] * self.edges[1:])
        return centres

    @property
    def bands_per_octave(self) -> float:
        """Number of bands in an octave (122.0)."""
        return self.n_bands / float(np.log2(self.high_hz / self.low_hz))

    @property
    def range_db(self) -> float:
        """Difference in dB between timbre values of 0 and 1."""
        return self.ceiling_db - self.floor_db

    def to_power(self, timbre: NDArray[np.float32]) -> NDArray[np.float64]:
        """Convert timbres to band powers (full scale = 1.0), same shape."""
        level_db = self.floor_db + self.range_db * timbre.astype(np.float64)
        return db_to_power(level_db)

    def from_power(self, power: NDArray[np.float64]) -> NDArray[np.float32]:
        """Convert band powers to timbres, clipped to 0..1, same shape."""
        floor = 10.0 ** (self.floor_db / 10.0)
        level_db = 10.0 * np.log10(np.maximum(power, floor))
        timbre = (level_db - self.floor_db) / self.range_db
        clipped: NDArray[np.float32] = np.clip(timbre, 0.0, 1.0).astype(np.float32)
        return clipped


AXIS = Axis()
