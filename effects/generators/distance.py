"""Distance: what stands between a sound of nature and a listener who rests.

Close by, a drop or a crackle is an impulse; some metres of air and leaves round it
off. Rendered without that, it is a click, and is heard as a fault of the loop.
"""

import numpy as np
from scipy import fft

from effects.audio.levels import Samples

AIR_HZ = 9_000.0  # corner of the loss in air and surroundings, 12 dB an octave
CREST = 4.5  # times the local root mean square, above which peaks are rounded
LOCAL_S = 0.05


def rounded(samples: Samples, sample_rate: int) -> Samples:
    """The sound with its impulses rounded; a loop stays a loop.

    Args:
        samples: shape (n_samples, channels), periodic.
        sample_rate: Hz.
    """
    n = len(samples)
    hertz = fft.rfftfreq(n, 1.0 / sample_rate)
    air = 1.0 / np.sqrt(1.0 + (hertz / AIR_HZ) ** 4)
    # A Gaussian window in time is one in frequency.
    window = np.exp(-0.5 * (2.0 * np.pi * hertz * LOCAL_S / 2.0) ** 2)
    power = np.mean(np.square(samples, dtype=np.float64), axis=1)
    local = fft.irfft(fft.rfft(power) * window, n)
    # A lone impulse would raise its own measure: the loop's mean holds it down.
    measure = np.minimum(local, 4.0 * power.mean())
    knee = CREST * np.sqrt(np.maximum(measure, 1e-12))[:, None]
    soft = knee * np.tanh(samples / knee)
    muffled: Samples = fft.irfft(
        fft.rfft(soft, axis=0) * air[:, None], n, axis=0
    ).astype(np.float32)
    return muffled
