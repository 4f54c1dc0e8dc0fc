"""Power of a sound in bands over time, by which loops are searched and compared."""

import numpy as np
from numpy import fft
from numpy.typing import NDArray

from effects.audio.levels import Samples

EDGES_HZ = np.geomspace(60.0, 14_000.0, 25)


def frame_band_power(
    samples: Samples, sample_rate: int, frame: int
) -> NDArray[np.float32]:
    """Power in up to 24 bands of each frame, windowed, not overlapping.

    Args:
        samples: shape (n_samples, channels).
        sample_rate: Hz.
        frame: length of a frame in samples.

    Returns:
        Shape (n_frames, n_bands); channels are summed in power.
    """
    n = len(samples) // frame
    window = np.hanning(frame).astype(np.float32)
    hz = fft.rfftfreq(frame, 1.0 / sample_rate)
    edges = np.unique(np.minimum(np.searchsorted(hz, EDGES_HZ), len(hz) - 1))
    total = np.zeros((n, len(edges) - 1), np.float32)
    for channel in samples.T:
        spectra = fft.rfft(channel[: n * frame].reshape(n, frame) * window, axis=1)
        power = spectra.real**2 + spectra.imag**2
        total += np.add.reduceat(power, edges, axis=1)[:, :-1]
    return total


def window_means(power: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """Levels in dB of every run of `width` frames, shape (n - width + 1, n_bands)."""
    total = np.cumsum(power, axis=0, dtype=np.float64)
    total = np.concatenate([np.zeros((1, power.shape[1])), total])
    mean = np.maximum(total[width:] - total[:-width], 0.0) / width
    levels: NDArray[np.float64] = 10.0 * np.log10(mean + 1e-14)
    return levels
