"""Fingerprints of songs, by which the same music is known in other files.

Another file with the same music has other tags, another codec or another level, but the
same length, and at each share of it the same spectrum. So a fingerprint is a coarse
spectrum at some places, and at two of them a fine one: drones and pads of one
instrument have the same coarse spectrum at many pitches. What was cut or shifted by
more than half a second is not known again.
"""

import base64
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from model.config import CLIP_SECONDS, SAMPLE_RATE

PLACES = 8
FINE_PLACES = (2, 5)
BANDS = 24
FINE_BANDS = 640  # 96 an octave
BAND_HZ = (80.0, 8_000.0)  # codecs cut off what is above
RANGE_DB = 36.0  # under the loudest band of a song
STEP_DB = 0.5
FINE_STEP_DB = 2.4  # of which a range has 15, so that two fit a byte
SAME_DB = 1.6  # mean distance up to which two are the same music
FINE_SAME_DB = 3.0  # the same for fine bands that sound in one of two; copies have 1.3
SAME_S = 0.5


@dataclass(frozen=True)
class Fingerprint:
    """Levels of a song's bands under its loudest one, in steps.

    Attributes:
        coarse: shape (PLACES * BANDS,).
        fine: shape (len(FINE_PLACES) * FINE_BANDS,); empty in older ledgers.
    """

    coarse: NDArray[np.uint8]
    fine: NDArray[np.uint8]


def fingerprint(seconds: float, read: Callable[[float], Samples]) -> Fingerprint:
    """The fingerprint of a song.

    Args:
        seconds: its length.
        read: reads two seconds at a start in seconds, at 44.1 kHz.
    """
    last = max(0.0, seconds - CLIP_SECONDS)
    powers = [_power(read(last * (k + 0.5) / PLACES)) for k in range(PLACES)]
    return Fingerprint(
        _steps([_levels_db(power, BANDS) for power in powers], STEP_DB),
        _steps([_levels_db(powers[k], FINE_BANDS) for k in FINE_PLACES], FINE_STEP_DB),
    )


def distance_db(one: Fingerprint, other: Fingerprint) -> float:
    """Mean distance of two coarse spectra, whatever their levels."""
    apart = STEP_DB * (one.coarse.astype(np.float64) - other.coarse)
    return float(np.mean(np.abs(apart - np.median(apart))))


def fine_distance_db(one: Fingerprint, other: Fingerprint) -> float:
    """Mean distance of two fine spectra, in bands that sound in one of them."""
    if not len(one.fine) or not len(other.fine):
        return 0.0
    sounds = (one.fine > 0) | (other.fine > 0)
    if not sounds.any():
        return 0.0
    apart = one.fine[sounds].astype(np.float64) - other.fine[sounds]
    return FINE_STEP_DB * float(np.mean(np.abs(apart)))


def is_same(one: Fingerprint, other: Fingerprint) -> bool:
    """Whether two songs of the same length are the same music."""
    return (
        distance_db(one, other) <= SAME_DB
        and fine_distance_db(one, other) <= FINE_SAME_DB
    )


def to_text(made: Fingerprint) -> str:
    """A fingerprint as a text."""
    packed = (made.fine[::2] << 4) | made.fine[1::2]
    return base64.b64encode(made.coarse.tobytes() + packed.tobytes()).decode()


def from_text(text: str) -> Fingerprint | None:
    """A fingerprint of a text, or None if it is none."""
    try:
        made = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    except ValueError:
        return None
    coarse, packed = np.split(made, [PLACES * BANDS])
    if len(coarse) != PLACES * BANDS:
        return None
    if len(packed) not in (0, len(FINE_PLACES) * FINE_BANDS // 2):
        return None
    return Fingerprint(coarse, np.stack([packed >> 4, packed & 15], axis=1).ravel())


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
                if abs(length - seconds) <= SAME_S and is_same(made, other):
                    return name
        return None


def _power(clip: Samples) -> NDArray[np.float64]:
    """Power of the bins of a clip, of all channels."""
    window = np.hanning(len(clip))[:, None]
    spectra = np.fft.rfft(clip * window, axis=0) if len(clip) else np.zeros((1, 1))
    power: NDArray[np.float64] = np.sum(np.abs(spectra) ** 2, axis=1)
    return power / max(1, len(clip)) ** 2


def _levels_db(power: NDArray[np.float64], n_bands: int) -> NDArray[np.float64]:
    """Level of each band, shape (n_bands,); silence is at -120 dB."""
    bin_hz = 0.5 * SAMPLE_RATE / max(1, len(power) - 1)
    bins = np.round(np.geomspace(*BAND_HZ, n_bands + 1) / bin_hz).astype(np.intp)
    bins = np.minimum(bins, len(power) - 1)  # of a clip that is empty or short
    sums = np.add.reduceat(power, bins)[:-1]
    levels: NDArray[np.float64] = 10.0 * np.log10(sums + 1e-12)
    return levels


def _steps(levels_db: list[NDArray[np.float64]], step_db: float) -> NDArray[np.uint8]:
    """Steps over `RANGE_DB` under the loudest of all bands."""
    table = np.concatenate(levels_db)
    floor = float(np.max(table)) - RANGE_DB
    return np.round(np.clip(table - floor, 0.0, RANGE_DB) / step_db).astype(np.uint8)
