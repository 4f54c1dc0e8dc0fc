"""Loudness of an endless stream in constant memory, for ReplayGain tags."""

import numpy as np
from numpy.typing import NDArray

from effects.levels import Samples
from model.spectrum import k_weighting

REFERENCE_LUFS = -18.0  # ReplayGain 2.0
HOP_S = 0.1
HOPS_A_BLOCK = 4  # gating blocks of 0.4 s that overlap by three quarters
LOWEST_LUFS = -70.0  # absolute gate
RELATIVE_GATE_LU = 10.0
STEP_LU = 0.05  # of the histogram, which the relative gate is rounded to
N_STEPS = 2000


class _Levels:
    """How often which loudness was met, and the highest sample."""

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
        gate = _step(_lufs(mean) - RELATIVE_GATE_LU)
        return _lufs(float(self.energy[gate:].sum() / self.counts[gate:].sum()))

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
        self._hop = round(HOP_S * sample_rate)
        self._length = HOPS_A_BLOCK * self._hop
        n_bins = self._length // 2 + 1
        frequencies = np.arange(n_bins, dtype=np.float64)
        frequencies *= sample_rate / self._length
        # Without tapers, rumble leaks past the weighting's high-pass.
        taper = np.sin(0.5 * np.pi * (np.arange(self._hop) + 0.5) / self._hop) ** 2
        self._window = np.ones((self._length, 1), np.float32)
        self._window[: self._hop, 0] = taper
        self._window[-self._hop :, 0] = taper[::-1]
        # One-sided spectrum to mean square; the weighting leaves nothing at 0 Hz.
        energy = float(np.sum(self._window**2))
        self._weights = k_weighting(frequencies) * 2.0 / (self._length * energy)
        self._kept: Samples = np.zeros((0, channels), np.float32)
        self._track = _Levels()
        self._album = _Levels()

    def add(self, samples: Samples) -> None:
        """Listen to more of the stream, shape (n, channels), finite."""
        self._track.peak = max(
            self._track.peak, float(np.max(np.abs(samples), initial=0.0))
        )
        waiting = np.concatenate([self._kept, samples])
        start = 0
        while start + self._length <= len(waiting):
            self._count(waiting[start : start + self._length])
            start += self._hop
        self._kept = waiting[start:].copy()

    def next_track(self) -> None:
        """What follows is another track of the same album."""
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

    def _count(self, block: Samples) -> None:
        spectra = np.fft.rfft(block * self._window, axis=0)
        power: NDArray[np.float64] = spectra.real**2 + spectra.imag**2
        mean_square = float(np.sum(power * self._weights[:, None]))
        if _lufs(mean_square) < LOWEST_LUFS:
            return
        step = _step(_lufs(mean_square))
        self._track.counts[step] += 1
        self._track.energy[step] += mean_square


def _lufs(mean_square: float) -> float:
    return float(-0.691 + 10.0 * np.log10(mean_square + 1e-20))


def _step(lufs: float) -> int:
    return min(max(0, int((lufs - LOWEST_LUFS) / STEP_LU)), N_STEPS - 1)
