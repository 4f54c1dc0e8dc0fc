"""Figures of a loop's seam: what a listener would notice where the end meets the start.

Nature sounds vary by themselves, so each figure stands beside its value elsewhere in
the loop: a seam that varies no more than the sound does is not heard.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from effects.audio.bands import frame_band_power, window_means
from effects.audio.levels import Samples
from effects.shelf.loops import Loop

FRAME_S = 0.05
STEP_QUANTILE = 0.999
LEVEL_LIMIT_DB = 0.5
SPECTRUM_LIMIT_DB = 1.0


@dataclass(frozen=True)
class SeamReport:
    """Figures of one seam.

    Attributes:
        step: largest step between neighbouring samples where parts were joined,
            relative to the 99.9th percentile of the loop's own steps.
        level_db: level of the crossfade against what is around it.
        usual_level_db: the most that this is elsewhere.
        spectrum_db: mean difference of band levels, crossfade against around it.
        usual_spectrum_db: the most that this is elsewhere.
    """

    step: float
    level_db: float
    usual_level_db: float
    spectrum_db: float
    usual_spectrum_db: float

    @property
    def is_good(self) -> bool:
        """Whether nothing at the seam stands out of the sound itself."""
        return (
            self.step <= 1.0
            and self.level_db <= max(LEVEL_LIMIT_DB, self.usual_level_db)
            and self.spectrum_db <= max(SPECTRUM_LIMIT_DB, self.usual_spectrum_db)
        )


def seam_report(loop: Loop) -> SeamReport:
    """Measure the seam of a loop; the crossfade is its first `loop.seam` samples."""
    joins = (0, loop.seam) if loop.seam else (0,)
    step = max(_step_at(loop.samples, join) for join in joins)
    usual = _usual_step(loop.samples)
    level, spectrum = _departures(loop)
    return SeamReport(
        step=step / usual if usual > 0.0 else float(step > 0.0),
        level_db=float(level[0]),
        usual_level_db=float(np.max(level[1:], initial=0.0)),
        spectrum_db=float(spectrum[0]),
        usual_spectrum_db=float(np.max(spectrum[1:], initial=0.0)),
    )


def _step_at(samples: Samples, position: int) -> float:
    """Step onto the sample at a position, the loop's end being before its start."""
    return float(np.max(np.abs(samples[position] - samples[position - 1])))


def _usual_step(samples: Samples) -> float:
    steps = np.abs(np.diff(samples, axis=0))
    largest = steps[:, 0]
    for channel in steps.T[1:]:
        largest = np.maximum(largest, channel)
    return float(np.quantile(largest, STEP_QUANTILE, overwrite_input=True))


def _departures(loop: Loop) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Level and spectrum of windows against both neighbours, the seam's first."""
    frame = max(1, int(FRAME_S * loop.sample_rate))
    width = max(8, round((loop.seam or loop.sample_rate) / frame))
    n_frames = len(loop.samples) // frame
    # A short loop needs shorter windows, or there are none to compare with.
    width = min(width, max(1, n_frames // 6))
    rolled = np.resize(loop.samples, ((n_frames + 3 * width) * frame, 2))
    power = frame_band_power(rolled, loop.sample_rate, frame)
    bands = window_means(power, width)
    whole = window_means(power.sum(axis=1, keepdims=True), width)[:, 0]
    # The first window is the seam; windows whose neighbours touch it are left out.
    elsewhere = np.arange(2 * width, n_frames - 2 * width, max(1, width // 4))
    starts = np.concatenate([[0], elsewhere])
    before = (starts - width) % n_frames
    after = starts + width
    level = np.abs(whole[starts] - _mean_db(whole[before], whole[after]))
    spectrum = np.mean(
        np.abs(bands[starts] - _mean_db(bands[before], bands[after])), axis=-1
    )
    return level, spectrum


def _mean_db(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64]:
    power = 10.0 ** (first / 10.0) + 10.0 ** (second / 10.0)
    level: NDArray[np.float64] = 10.0 * np.log10(power / 2.0)
    return level
