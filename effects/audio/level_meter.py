"""The levels of a stream of audio: momentary and short-term loudness, true peak."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from effects.audio.gating import HOP_S, HOPS_A_BLOCK, GatingBlocks, lufs_of
from effects.audio.levels import SILENCE_DB, Samples, amplitude_to_db, db_to_amplitude
from effects.audio.loudness import TAPS, true_peak_db

SHORT_TERM_S = 3.0  # EBU Tech 3341; momentary is one gating block
# Every third block: where one is tapered out, the next is tapered in, so that all of
# the window weighs the same.
STRIDE = HOPS_A_BLOCK - 1
N_BLOCKS = round(SHORT_TERM_S / (STRIDE * HOP_S))


@dataclass(frozen=True)
class MeterLevels:
    """Levels of the last seconds of a stream."""

    momentary_lufs: float = SILENCE_DB  # of the last 0.4 s
    short_term_lufs: float = SILENCE_DB  # of the last 3 s, or what there is of them
    true_peak_db: float = SILENCE_DB  # highest of the last 3 s, dBTP


class LevelMeter:
    """Measures a stream that comes in pieces of any length.

    Args:
        sample_rate: Hz.
        channels: of the stream.
    """

    def __init__(self, sample_rate: int, channels: int = 2) -> None:
        self._rate = sample_rate
        self._blocks = GatingBlocks(sample_rate, channels)
        self._powers: deque[float] = deque(maxlen=N_BLOCKS * STRIDE)
        self._peaks: deque[tuple[int, float]] = deque()  # length, amplitude of a piece
        self._peaks_length = 0
        self._tail: Samples = np.zeros((TAPS, channels), np.float32)

    def add(self, samples: Samples) -> MeterLevels:
        """Measure more of the stream, shape (n, channels), and return its levels."""
        if not np.all(np.isfinite(samples)):
            samples = np.nan_to_num(samples, posinf=0.0, neginf=0.0)
        self._powers.extend(self._blocks.add(samples))
        self._add_peak(samples)
        if not self._powers:
            return MeterLevels(true_peak_db=self._true_peak())
        abutting = list(self._powers)[::-STRIDE]
        return MeterLevels(
            max(SILENCE_DB, lufs_of(self._powers[-1])),
            max(SILENCE_DB, lufs_of(sum(abutting) / len(abutting))),
            self._true_peak(),
        )

    def _add_peak(self, samples: Samples) -> None:
        # Peaks near the end of a piece are looked for with the next one.
        joined = np.concatenate([self._tail, samples])
        self._tail = joined[-TAPS:].copy()
        peak = db_to_amplitude(true_peak_db(joined, self._rate, TAPS // 2))
        self._peaks.append((len(samples), peak))
        self._peaks_length += len(samples)
        longest = round(SHORT_TERM_S * self._rate)
        while self._peaks_length - self._peaks[0][0] >= longest:
            self._peaks_length -= self._peaks.popleft()[0]

    def _true_peak(self) -> float:
        return amplitude_to_db(max((peak for _, peak in self._peaks), default=0.0))
