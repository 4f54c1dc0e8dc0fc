"""Loudness of an endless stream in constant memory, for ReplayGain tags."""

import numpy as np

from effects.audio.gating import GatingBlocks, lufs_of
from effects.audio.levels import Samples, peak_of

REFERENCE_LUFS = -18.0  # ReplayGain 2.0
LOWEST_LUFS = -70.0  # absolute gate
RELATIVE_GATE_LU = 10.0
STEP_LU = 0.05  # of the histogram, which the relative gate is rounded to
N_STEPS = 2000


class _Levels:
    """Histogram of the loudness of gating blocks, and the highest sample."""

    def __init__(self) -> None:
        self.peak = 0.0
        self.counts = np.zeros(N_STEPS)
        self.energy = np.zeros(N_STEPS)  # sum of mean squares

    def with_track(self, other: "_Levels") -> "_Levels":
        both = _Levels()
        both.peak = max(self.peak, other.peak)
        both.counts = self.counts + other.counts
        both.energy = self.energy + other.energy
        return both

    def lufs(self) -> float | None:
        if not self.counts.any():
            return None
        mean = float(self.energy.sum() / self.counts.sum())
        gate = _step(lufs_of(mean) - RELATIVE_GATE_LU)
        return lufs_of(float(self.energy[gate:].sum() / self.counts[gate:].sum()))

    def tags(self, kind: str) -> list[tuple[str, str]]:
        lufs = self.lufs()
        if lufs is None:
            return []
        return [
            (f"REPLAYGAIN_{kind}_GAIN", f"{REFERENCE_LUFS - lufs:+.2f} dB"),
            (f"REPLAYGAIN_{kind}_PEAK", f"{self.peak:.6f}"),
        ]


class LoudnessMeter:
    """Integrated loudness (ITU-R BS.1770-5) and sample peak of a stream.

    The weighting is applied to each gating block's spectrum, and blocks are kept as a
    histogram, so hours take no more room than minutes.

    Args:
        sample_rate: Hz.
        channels: of the stream.
    """

    def __init__(self, sample_rate: int, channels: int = 2) -> None:
        self._blocks = GatingBlocks(sample_rate, channels)
        self._track = _Levels()
        self._album = _Levels()

    def add(self, samples: Samples) -> list[float]:
        """Measure more of the stream, shape (n, channels), finite.

        Returns:
            Weighted mean squares of the gating blocks that are complete now.
        """
        self._track.peak = max(self._track.peak, peak_of(samples))
        mean_squares = self._blocks.add(samples)
        for mean_square in mean_squares:
            self._count(mean_square)
        return mean_squares

    def next_track(self) -> None:
        """Begin another track of the same album."""
        self._album = self._album.with_track(self._track)
        self._track = _Levels()

    def lufs(self) -> float | None:
        """Integrated loudness of the track so far; None for silence, or too little."""
        return self._track.lufs()

    def track_tags(self) -> list[tuple[str, str]]:
        """ReplayGain 2.0 tags of the track so far."""
        return self._track.tags("TRACK")

    def album_tags(self) -> list[tuple[str, str]]:
        """ReplayGain 2.0 tags of all tracks before this one."""
        return self._album.tags("ALBUM")

    def _count(self, mean_square: float) -> None:
        if lufs_of(mean_square) < LOWEST_LUFS:
            return
        step = _step(lufs_of(mean_square))
        self._track.counts[step] += 1
        self._track.energy[step] += mean_square


def _step(lufs: float) -> int:
    return min(max(0, int((lufs - LOWEST_LUFS) / STEP_LU)), N_STEPS - 1)
