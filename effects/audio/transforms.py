"""Fourier transforms of float32 that stay in single precision.

numpy takes a forward transform of float32 in double precision, converting there and
back, unless its scale is a float32 itself, as that of `norm="ortho"` is: then it takes
a fifth of the time. Both directions are scaled by 1 / sqrt(n), so that one undoes the
other, and the power of a frame is that of its spectrum.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples

Spectra = NDArray[np.complex64]


def real_fft(frames: Samples, out: Spectra | None = None) -> Spectra:
    """Real transforms along the last axis, shape (..., n // 2 + 1).

    Args:
        frames: float32, shape (..., n).
        out: is filled and returned, if given.
    """
    # numpy's annotations know transforms in double precision only.
    put: Any = out
    spectra: Any = np.fft.rfft(frames, axis=-1, norm="ortho", out=put)
    found: Spectra = spectra
    return found


def complex_fft(frames: Spectra, out: Spectra | None = None) -> Spectra:
    """Complex transforms along the first axis, the same shape.

    Args:
        frames: complex64, shape (n, ...).
        out: is filled and returned, if given.
    """
    put: Any = out
    spectra: Any = np.fft.fft(frames, axis=0, norm="ortho", out=put)
    found: Spectra = spectra
    return found


def inverse_real_fft(spectra: Spectra, n: int, out: Samples | None = None) -> Samples:
    """The frames that have these spectra, shape (..., n).

    Args:
        spectra: complex64, shape (..., n // 2 + 1).
        n: samples in a frame.
        out: is filled and returned, if given.
    """
    put: Any = out
    frames: Any = np.fft.irfft(spectra, n, axis=-1, norm="ortho", out=put)
    found: Samples = frames
    return found


def quick_length(least: int) -> int:
    """The first length from `least` on that has no prime factor above 5.

    >>> quick_length(17_640), quick_length(19_200)
    (18000, 19200)
    """
    length = least
    while not _is_quick(length):
        length += 1
    return length


def _is_quick(length: int) -> bool:
    for factor in (2, 3, 5):
        while length % factor == 0:
            length //= factor
    return length == 1
