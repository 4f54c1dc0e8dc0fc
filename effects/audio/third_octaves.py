"""Third-octave bands, in which music and bed are compared.

Safe in the callback as far as values go: numpy only.
"""

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.audio.transforms import real_fft

N_BANDS = 24
CENTRES_HZ = 56.0 * 2.0 ** (np.arange(N_BANDS) / 3.0)
# Bands overlap: a partial halfway between two centres counts in both, and the bed
# is ducked as much there as at a centre.
WIDTH = 2.0 ** (1.0 / 4.0)  # from the centre to either edge

_FRAME = 8192

Bands = NDArray[np.float64]  # (N_BANDS,), mean square of a channel, full scale = 1


def band_sums(power: NDArray[np.floating], sample_rate: int) -> Bands:
    """Sums of a power spectrum over the bands.

    Args:
        power: of each bin of a real FFT, shape (n_bins,).
        sample_rate: Hz.
    """
    bins = 2.0 * (len(power) - 1) / sample_rate * CENTRES_HZ
    cumulative = np.concatenate([[0.0], np.cumsum(power, dtype=np.float64)])
    low, high = (
        np.minimum(np.round(edge).astype(np.intp), len(power))
        for edge in (bins / WIDTH, bins * WIDTH)
    )
    sums: Bands = cumulative[high] - cumulative[low]
    return np.maximum(sums, 0.0)


def loop_power(samples: Samples, sample_rate: int) -> Bands:
    """Mean square of a loop in each band, averaged over its channels.

    Args:
        samples: shape (n_samples, channels).
        sample_rate: Hz.
    """
    n = max(1, len(samples) // _FRAME)
    frames = np.resize(samples, (n * _FRAME, samples.shape[1]))
    window = np.hanning(_FRAME).astype(np.float32)
    power = np.zeros(_FRAME // 2 + 1)
    for channel in frames.T:
        spectra = real_fft(channel.reshape(n, _FRAME) * window)
        power += np.mean(spectra.real**2 + spectra.imag**2, axis=0)
    scale = 2.0 / (float(np.sum(window**2)) * samples.shape[1])
    return band_sums(power * scale, sample_rate)


def band_places(
    n_fft: int, sample_rate: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Position of each bin of a real FFT between the centres of two bands.

    Around a centre the gain of a bin is the band's own, in between it moves evenly with
    the logarithm of frequency: gain[below] + share * (gain[below + 1] - gain[below]).

    Args:
        n_fft: length of the transform.
        sample_rate: Hz.

    Returns:
        Index of the lower band, at most N_BANDS - 2, and share 0..1 of the way to the
        upper one, each of shape (n_fft // 2 + 1,).
    """
    hz = np.maximum(np.fft.rfftfreq(n_fft, 1.0 / sample_rate), 1.0)
    place = np.interp(np.log(hz), np.log(CENTRES_HZ), np.arange(N_BANDS))
    below = np.minimum(place.astype(np.intp), N_BANDS - 2)
    share = np.clip(2.0 * (place - below) - 0.5, 0.0, 1.0)
    return below, share.astype(np.float32)
