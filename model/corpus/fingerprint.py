"""Fingerprints of songs, by which the same music is known in other files.

Another file with the same music has other tags, another codec or another level, but the
same length, and at each share of it the same spectrum. So a fingerprint is a coarse
spectrum at some places. What was cut or shifted by more than half a second is not known
again.
"""

import base64
from collections import defaultdict
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from model.config import CLIP_SECONDS, SAMPLE_RATE

PLACES = 8
BANDS = 24
BAND_HZ = (80.0, 8_000.0)  # codecs cut off what is above
RANGE_DB = 36.0  # under the loudest band of a song
STEP_DB = 0.5
SAME_DB = 1.6  # mean distance up to which two are the same music
SAME_S = 0.5

Fingerprint = NDArray[np.uint8]  # (PLACES * BANDS,), steps of level


def fingerprint(seconds: float, read: Callable[[float], Samples]) -> Fingerprint:
    """The fingerprint of a song.

    Args:
        seconds: its length.
        read: reads two seconds at a start in seconds, at 44.1 kHz.
    """
    last = max(0.0, seconds - CLIP_SECONDS)
    levels = [_levels_db(read(last * (k + 0.5) / PLACES)) for k in range(PLACES)]
    table = np.stack(levels)
    top = float(np.max(table))
    steps = np.clip(table - (top - RANGE_DB), 0.0, RANGE_DB) / STEP_DB
    return np.round(steps).astype(np.uint8).ravel()


def distance_db(one: Fingerprint, other: Fingerprint) -> float:
    """Mean distance of two fingerprints, whatever their levels."""
    apart = STEP_DB * (one.astype(np.float64) - other)
    return float(np.mean(np.abs(apart - np.median(apart))))


def to_text(made: Fingerprint) -> str:
    """A fingerprint as a text."""
    return base64.b64encode(made.tobytes()).decode()


def from_text(text: str) -> Fingerprint | None:
    """A fingerprint of a text, or None if it is none."""
    try:
        made = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    except ValueError:
        return None
    return made if len(made) == PLACES * BANDS else None


class KnownMusic:
    """Fingerprints of songs with their names, to be searched."""

    def __init__(self) -> None:
        self._by_second: dict[int, list[tuple[float, Fingerprint, str]]]
        self._by_second = defaultdict(list)

    def add(self, seconds: float, made: Fingerprint, name: str) -> None:
        """Add a song of a length."""
        self._by_second[int(seconds)].append((seconds, made, name))

    def find(self, seconds: float, made: Fingerprint) -> str | None:
        """Name of a song that is the same music, if there is one."""
        for second in range(int(seconds - SAME_S), int(seconds + SAME_S) + 1):
            for length, other, name in self._by_second.get(second, ()):
                is_near = abs(length - seconds) <= SAME_S
                if is_near and distance_db(made, other) <= SAME_DB:
                    return name
        return None


def _levels_db(clip: Samples) -> NDArray[np.float64]:
    """Level of each band, shape (BANDS,); an empty clip is silence."""
    if not len(clip):
        return np.full(BANDS, -120.0)
    window = np.hanning(len(clip))[:, None]
    power = np.sum(np.abs(np.fft.rfft(clip * window, axis=0)) ** 2, axis=1)
    edges = np.geomspace(*BAND_HZ, BANDS + 1) * len(clip) / SAMPLE_RATE
    bins = np.round(edges).astype(np.intp)
    sums = np.add.reduceat(power, bins)[:-1] / len(clip) ** 2
    levels: NDArray[np.float64] = 10.0 * np.log10(sums + 1e-12)
    return levels
