"""The spectrum of what sounds, for pages: levels of bands as bytes."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.audio.transforms import real_fft

BANDS = 96
LOW_HZ, HIGH_HZ = 40.0, 16_000.0
FLOOR_DB = -90.0  # what a byte of 0 means; 255 is full scale
COLUMN_S = 0.5  # of a song's picture
MAX_COLUMNS = 7_200  # an hour of one song

Levels = NDArray[np.uint8]  # (BANDS,)

_SIZE = 4096  # samples of one spectrum


class BandSpectrum:
    """Levels in bands evenly spaced in pitch.

    A band that is narrower than a bin takes what lies between two bins; of a wider one
    the loudest bin counts, so that a partial is as high wherever it stands.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._window = np.hanning(_SIZE).astype(np.float32)
        self._scale = 2.0 * _SIZE**0.5 / float(self._window.sum())
        edges = np.geomspace(LOW_HZ, min(HIGH_HZ, 0.49 * sample_rate), BANDS + 1)
        bins = edges * _SIZE / sample_rate
        self._centres = np.sqrt(bins[:-1] * bins[1:])
        first = np.ceil(bins[:-1]).astype(int)
        last = np.ceil(bins[1:]).astype(int)
        self._wide = np.flatnonzero(last > first)
        self._starts = first[self._wide]
        self._ends = last[self._wide]
        self._tail = np.zeros((0, 2), np.float32)

    def add(self, samples: Samples) -> Levels:
        """Take samples, shape (n, 2); returns the levels of the last ones."""
        self._tail = np.concatenate([self._tail, samples])[-_SIZE:]
        block = np.zeros((2, _SIZE), np.float32)
        block[:, _SIZE - len(self._tail) :] = self._tail.T
        spectra = np.abs(real_fft(block * self._window))
        amplitude = self._scale * np.sqrt(np.square(spectra).mean(axis=0))
        level = np.interp(self._centres, np.arange(len(amplitude)), amplitude)
        # Up to the first band with a bin of its own, there is nothing else to take.
        for k, start, end in zip(self._wide, self._starts, self._ends, strict=True):
            level[k] = max(level[k], amplitude[start:end].max())
        return to_levels(level)


class SongPicture:
    """The spectrum of a song in time, a column each half second.

    Attributes:
        number: of the song, from 1; 0 before the first.
        first: number of the oldest column that is kept.
    """

    def __init__(self) -> None:
        self.number = self.first = 0
        self._columns: deque[Levels] = deque(maxlen=MAX_COLUMNS)
        self._sum = np.zeros(BANDS)
        self._seconds = 0.0

    def begin(self, number: int) -> None:
        """Another song begins."""
        if number != self.number:
            self.number, self.first = number, 0
            self._columns.clear()
            self._sum[:] = 0.0
            self._seconds = 0.0

    def add(self, levels: Levels, seconds: float) -> tuple[int, Levels] | None:
        """Take levels that held for so long; returns a column when one is full."""
        self._sum += seconds * levels
        self._seconds += seconds
        if self._seconds < COLUMN_S:
            return None
        column = np.rint(self._sum / self._seconds).astype(np.uint8)
        self._sum[:] = 0.0
        self._seconds = max(0.0, self._seconds - COLUMN_S) % COLUMN_S
        self._sum += self._seconds * column
        if len(self._columns) == MAX_COLUMNS:
            self.first += 1
        self._columns.append(column)
        return self.first + len(self._columns) - 1, column

    @property
    def columns(self) -> bytes:
        """Levels of all columns that are kept, one after another."""
        return b"".join(column.tobytes() for column in tuple(self._columns))


def to_levels(amplitude: NDArray[np.floating]) -> Levels:
    """Amplitudes as bytes: 0 for -90 dB of full scale, 255 for 0 dB."""
    with np.errstate(divide="ignore"):
        db = 20.0 * np.log10(np.maximum(amplitude, 1e-9))
    steps = 255.0 * (1.0 - db / FLOOR_DB)
    levels: Levels = np.clip(np.rint(steps), 0, 255).astype(np.uint8)
    return levels
