"""What music is like, measured from its samples: change, movement, width, bass, lines.

These measures know nothing of how the music was made, so recordings and renderings
stand side by side. Every measure takes stereo at 44.1 kHz.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from effects.audio.levels import Samples

RATE = 44_100
WINDOW, STEP = 4096, 1024
FINE_WINDOW, FINE_STEP = 16_384, 4096

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Listening:
    """A recording, and the spectra that several measures share.

    Attributes:
        samples: shape (n, 2).
    """

    samples: Samples

    @property
    def mid(self) -> Values:
        """Mean of left and right, shape (n,)."""
        return np.asarray(self.samples.mean(axis=1), np.float64)

    @property
    def side(self) -> Values:
        """Half their difference, shape (n,)."""
        return np.asarray(self.samples[:, 0] - self.samples[:, 1], np.float64) / 2.0

    @cached_property
    def power(self) -> Values:
        """Power spectra of the mid, shape (n_frames, n_bins)."""
        return spectra(self.mid, WINDOW, STEP)

    @cached_property
    def side_power(self) -> Values:
        """The same of the side."""
        return spectra(self.side, WINDOW, STEP)

    @cached_property
    def bands(self) -> Values:
        """Power in 64 bands from 40 Hz to 16 kHz, shape (n_frames, 64)."""
        return np.asarray(self.power @ band_weights(64, 40.0, 16_000.0, WINDOW).T)

    @cached_property
    def movement(self) -> Values:
        """Amplitude of 20 bands from 80 Hz to 9 kHz against their means, (n, 20).

        Bands of which the mean is 40 dB under the loudest are left out.
        """
        weights = band_weights(20, 80.0, 9_000.0, WINDOW)
        amplitude = np.sqrt(self.power @ weights.T)
        mean = amplitude.mean(axis=0)
        heard = mean > 0.01 * mean.max()
        return np.asarray(amplitude[:, heard] / mean[heard])


def spectra(samples: Values, window: int, step: int) -> Values:
    """Power spectra of Hann windows, shape (n_frames, window // 2 + 1)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::step]
    shape = np.hanning(window)
    return np.concatenate(
        [
            np.abs(np.fft.rfft(frames[i : i + 256] * shape, axis=1)) ** 2
            for i in range(0, len(frames), 256)
        ]
    )


@lru_cache(maxsize=8)
def band_weights(n_bands: int, low_hz: float, high_hz: float, window: int) -> Values:
    """Triangles evenly spaced in the logarithm of frequency, (n_bands, n_bins)."""
    edges = np.geomspace(low_hz, high_hz, n_bands + 2)
    hertz = np.fft.rfftfreq(window, 1.0 / RATE)
    rising = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    weights = np.clip(np.minimum(rising, falling), 0.0, 1.0)
    empty = np.flatnonzero(weights.sum(axis=1) == 0.0)
    nearest = np.argmin(np.abs(hertz - edges[1:-1, None]), axis=1)
    weights[empty, nearest[empty]] = 1.0
    return np.asarray(weights)


def change_db(listening: Listening, seconds: float) -> float:
    """Mean difference of neighbouring spectra, each the mean of so many seconds.

    Spectra are compared in 64 bands, each brought to the same level, with a floor 50
    dB under the whole.
    """
    length = max(1, round(seconds * RATE / STEP))
    n = len(listening.bands) // length
    means = listening.bands[: n * length].reshape(n, length, -1).mean(axis=1)
    shares = means / (means.sum(axis=1, keepdims=True) + 1e-12)
    level = 10.0 * np.log10(shares + 1e-5)
    return float(np.sqrt((np.diff(level, axis=0) ** 2).mean(axis=1)).mean())


def modulation_db(movement: Values, low_hz: float, high_hz: float) -> float:
    """Power of a movement between two rates, dB against its mean; mean over bands.

    Args:
        movement: amplitude against its mean, shape (n_frames, n_bands).
        low_hz: rate from which it counts.
        high_hz: rate up to which it counts.
    """
    window = np.hanning(len(movement))[:, None]
    swings = (movement - movement.mean(axis=0)) * window
    power = np.abs(np.fft.rfft(swings, axis=0)) ** 2
    power *= 2.0 / (np.sum(window**2) * len(movement))
    rates = np.fft.rfftfreq(len(movement), STEP / RATE)
    inside = (rates >= low_hz) & (rates < high_hz)
    return float(10.0 * np.log10(power[inside].sum(axis=0).mean() + 1e-9))


def onsets_a_minute(listening: Listening) -> float:
    """Moments at which the spectrum as a whole rises by 4 dB within 70 ms."""
    level = 10.0 * np.log10(listening.bands + 1e-7)
    level = np.maximum(level, np.percentile(level, 99.5) - 70.0)
    rise = np.maximum(level[3:] - level[:-3], 0.0).mean(axis=1)
    found, _ = signal.find_peaks(rise, height=4.0, distance=6)
    return len(found) / (len(rise) * STEP / RATE) * 60.0


def side_over_mid_db(listening: Listening, low_hz: float, high_hz: float) -> float:
    """Power of the side over that of the mid between two frequencies, dB."""
    hertz = np.fft.rfftfreq(WINDOW, 1.0 / RATE)
    inside = (hertz >= low_hz) & (hertz < high_hz)
    side = listening.side_power[:, inside].sum()
    return float(10.0 * np.log10((side + 1e-9) / (listening.power[:, inside].sum())))


def share_below_db(listening: Listening, hertz: float) -> float:
    """Power below a frequency over all power, dB."""
    mean = listening.power.mean(axis=0)
    low = np.fft.rfftfreq(WINDOW, 1.0 / RATE) < hertz
    return float(10.0 * np.log10(mean[low].sum() / mean.sum() + 1e-12))


def bass_moves_a_minute(listening: Listening) -> float:
    """How often the strongest semitone under 165 Hz changes, about every second."""
    window, step = 8192, 2048
    power = spectra(listening.mid, window, step)
    weights = band_weights(72, 80.0, 5_500.0, window)
    low = np.geomspace(80.0, 5_500.0, 74)[1:-1] < 165.0
    level = 10.0 * np.log10(power @ weights[low].T + 1e-7)
    level = np.maximum(level, np.percentile(level, 99.8) - 60.0)
    n = len(level) // 20
    strongest = level[: n * 20].reshape(n, 20, -1).mean(axis=1).argmax(axis=1)
    return float((np.diff(strongest) != 0).sum() / (n * 20 * step / RATE) * 60.0)


def shared_movement(listening: Listening) -> float:
    """Mean correlation of the movement of bands, 0.3 to 8 Hz: 0 is speckle."""
    band = signal.butter(2, [0.3, 8.0], "bandpass", fs=RATE / STEP, output="sos")
    moving = signal.sosfiltfilt(band, listening.movement, axis=0)
    correlation = np.corrcoef(moving.T)
    return float(correlation[np.triu_indices(len(correlation), 1)].mean())


def share_of_lines(listening: Listening) -> float:
    """Share of the power under 6 kHz in spectral lines that last at least 1.5 s."""
    power = spectra(listening.mid, FINE_WINDOW, FINE_STEP)
    power = power[:, np.fft.rfftfreq(FINE_WINDOW, 1.0 / RATE) < 6_000.0]
    level = 10.0 * np.log10(power + 1e-9)
    stands_out = level > signal.medfilt(level, (1, 41)) + 9.0
    near = signal.convolve2d(stands_out, np.ones((1, 3)), "same") > 0
    length = int(1.5 * RATE / FINE_STEP)
    column = np.ones((length, 1))
    lasts = signal.convolve2d(near, column, "valid") >= length - 1
    inside = signal.convolve2d(lasts, column, "full")[: len(near)] > 0
    return float((power * (inside & near)).sum() / power.sum())


def level_movement_db(listening: Listening, low_hz: float, high_hz: float) -> float:
    """Movement of the level of everything between two rates, dB."""
    level = np.sqrt(listening.power.sum(axis=1))
    return modulation_db((level / level.mean())[:, None], low_hz, high_hz)


def mono_loss_db(listening: Listening) -> float:
    """Most that a sum to mono loses in any octave from 31 Hz to 16 kHz, dB."""
    hertz = np.fft.rfftfreq(WINDOW, 1.0 / RATE)
    mid, side = listening.power.mean(axis=0), listening.side_power.mean(axis=0)
    losses = []
    for centre in 31.25 * 2.0 ** np.arange(10):
        inside = (hertz >= centre / 2**0.5) & (hertz < centre * 2**0.5)
        both = mid[inside].sum() + side[inside].sum()
        if both > 1e-6 * (mid.sum() + side.sum()):
            losses.append(10.0 * np.log10(both / mid[inside].sum()))
    return float(max(losses))


def measures(samples: Samples) -> Mapping[str, float]:
    """All measures of a recording, shape (n, 2) at 44.1 kHz, brought to -20 dB."""
    level = np.sqrt(np.mean(np.square(samples, dtype=np.float64)))
    heard = Listening(samples * np.float32(0.1 / max(level, 1e-9)))
    rates = ((0.01, 0.1), (0.1, 0.3), (0.3, 1.0), (1.0, 3.0), (3.0, 8.0))
    return {
        **{f"change over {s:g} s, dB": change_db(heard, s) for s in (0.25, 1, 4, 10)},
        **{
            f"modulation {low:g} to {high:g} Hz, dB": modulation_db(
                heard.movement, low, high
            )
            for low, high in rates
        },
        "level at 0.3 to 3 Hz, dB": level_movement_db(heard, 0.3, 3.0),
        "level at 3 to 8 Hz, dB": level_movement_db(heard, 3.0, 8.0),
        "movement that bands share": shared_movement(heard),
        "power in held lines": share_of_lines(heard),
        "onsets a minute": onsets_a_minute(heard),
        "bass moves a minute": bass_moves_a_minute(heard),
        "under 60 Hz, dB of all": share_below_db(heard, 60.0),
        "side over mid, 20 to 200 Hz, dB": side_over_mid_db(heard, 20.0, 200.0),
        "side over mid, 200 Hz to 1 kHz, dB": side_over_mid_db(heard, 200.0, 1_000.0),
        "most that mono loses, dB": mono_loss_db(heard),
    }
