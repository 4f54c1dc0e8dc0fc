"""A mix that leaves room: the bed yields where the music stands.

Loops are split once into bands that add up to the whole. Both spectra are known
before they sound, so what each band gives way is decided ahead, and the callback only
follows straight lines between gains.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.levels import SILENCE_DB, Samples, rms_db

CROSSOVERS_HZ = (220.0, 1_800.0)  # under, within and above where partials stand
CROSSOVER_OCTAVES = 0.7
DEFAULT_DEPTH_DB = 3.0
ONSET_DB, FULL_DB = 0.0, 12.0  # music over bed: where yielding begins, is complete


def split(samples: Samples, sample_rate: int) -> tuple[Samples, ...]:
    """A loop in three bands that add up to it, each a loop itself.

    Cut by raised-cosine slopes without phase shift, over the whole length, so that
    the bands are periodic too.

    Args:
        samples: shape (n_samples, channels), a loop.
        sample_rate: Hz.

    Returns:
        Low, middle and high band, each of the same shape.
    """
    n = len(samples)
    hz = np.maximum(fft.rfftfreq(n, 1.0 / sample_rate), 1e-3)
    spectrum = fft.rfft(samples, axis=0)
    below = [_slope(hz, crossover) for crossover in CROSSOVERS_HZ]
    low = _inverse(spectrum, below[0], n)
    high = _inverse(spectrum, 1.0 - below[1], n)
    return low, samples - low - high, high


def band_levels(samples: tuple[Samples, ...]) -> tuple[float, ...]:
    """RMS level of each band of a split loop, in dBFS."""
    return tuple(rms_db(band) for band in samples)


def levels_of_spectrum(
    power: NDArray[np.float64], centres_hz: NDArray[np.float64]
) -> tuple[float, ...]:
    """Level of the music in each band, from its power at given frequencies.

    Args:
        power: shape (n,), mean square in each of n frequency bands.
        centres_hz: their centres.

    Returns:
        dBFS in low, middle and high band.
    """
    low, high = CROSSOVERS_HZ
    parts = (
        power[centres_hz < low],
        power[(centres_hz >= low) & (centres_hz < high)],
        power[centres_hz >= high],
    )
    return tuple(
        float(10.0 * np.log10(part.sum() + 10.0 ** (SILENCE_DB / 10.0)))
        for part in parts
    )


def yielding_gains(
    music_db: tuple[float, ...],
    bed_db: tuple[float, ...],
    depth_db: float = DEFAULT_DEPTH_DB,
) -> tuple[float, ...]:
    """Linear gain of each band of the bed beside this music.

    A band gives way by up to `depth_db` where the music is the louder of the two:
    there the bed would only blur it. Where the bed is louder it stays, as it is what
    is heard anyway.

    >>> yielding_gains((-80.0, -20.0, -80.0), (-40.0, -40.0, -40.0), 6.0)[0]
    1.0
    """
    gains = []
    for music, bed in zip(music_db, bed_db, strict=True):
        share = np.clip((music - bed - ONSET_DB) / (FULL_DB - ONSET_DB), 0.0, 1.0)
        smooth = share * share * (3.0 - 2.0 * share)
        gains.append(float(10.0 ** (-depth_db * smooth / 20.0)))
    return tuple(gains)


def _slope(hz: NDArray[np.float64], crossover: float) -> NDArray[np.float32]:
    octaves = np.log2(hz / crossover) / CROSSOVER_OCTAVES
    position = np.clip(0.5 + 0.5 * octaves, 0.0, 1.0)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * position), np.float32)


def _inverse(
    spectrum: NDArray[np.complex64], magnitude: NDArray[np.float32], n: int
) -> Samples:
    return np.asarray(fft.irfft(spectrum * magnitude[:, None], n, axis=0), np.float32)
