"""Tables of the short frames: sizes, windows, lobes, and weights of mid and side."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.fft import rfftfreq
from numpy.typing import NDArray

from effects.base.streams import Purpose, stream
from engine.sound.motion import noise_band_hz
from engine.sound.partials import place_hz

SLAB_FRAMES = 40
OVERLAP = 3  # hops in a frame: the least at which Hann windows squared add up
HOP_S = 0.02  # a whole number of samples at most rates: music is the same at all

# Correlation of left and right: mono below would be safer than it need be, and above
# a sum to mono would lose more than 1.5 dB.
_CORRELATION_HZ = (60.0, 200.0, 600.0, 4000.0)
_CORRELATION = (0.60, 0.54, 0.48, 0.45)

_LOBE = 8  # bins on either side of a partial; beyond, its window is under -75 dB
LOBE_COLUMNS = np.arange(2 * _LOBE + 2)
MOST_BINS = 1 << 14  # at any sample rate: what is drawn does not depend on it

_OVERLAPPED = 1.125  # sum of the squared window over the frames at any sample

Values = NDArray[np.float32]
Spectra = NDArray[np.complex64]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Frames:
    """Everything about frames that follows from the sample rate.

    Attributes:
        sample_rate: Hz.
    """

    sample_rate: int

    @cached_property
    def hop(self) -> int:
        """Samples between frames, an even number: a frame has a middle."""
        return 2 * max(8, round(HOP_S * self.sample_rate / 2.0))

    @property
    def length(self) -> int:
        """Samples in a frame."""
        return OVERLAP * self.hop

    def centres(self, number: int) -> NDArray[np.int64]:
        """Samples at which the frames of slab `number` have their middles."""
        first = number * self.slab + self.length // 2
        return first + self.hop * np.arange(SLAB_FRAMES, dtype=np.int64)

    @property
    def slab(self) -> int:
        """Samples in a slab."""
        return SLAB_FRAMES * self.hop

    @property
    def n_bins(self) -> int:
        """Bins of a frame's spectrum."""
        return self.length // 2 + 1

    @cached_property
    def hertz(self) -> NDArray[np.float64]:
        """Frequency of each bin."""
        return np.asarray(rfftfreq(self.length, 1.0 / self.sample_rate))

    @cached_property
    def window(self) -> Values:
        """By which a frame is weighted before it is added to the others."""
        return (_hann(self.length) / _OVERLAPPED).astype(np.float32)

    @cached_property
    def n_places(self) -> int:
        """Places that lie far enough below half the sample rate."""
        highest = self.hertz[-1 - _LOBE]
        return int(np.searchsorted(place_hz(), highest))

    @cached_property
    def turning(self) -> Spectra:
        """How far each place turns from a slab's first frame, (N_PLACES, frames)."""
        turns = place_hz()[:, None] * (np.arange(SLAB_FRAMES) * self.hop)
        angle = 2.0 * np.pi * ((turns / self.sample_rate) % 1.0)
        turning: Spectra = np.exp(1j * angle).astype(np.complex64)
        return turning

    @cached_property
    def lobes(self) -> tuple[Places, Values, Values]:
        """Lobes of all places: first bins, and what multiplies the parts of a partial.

        A lobe that reaches below bin 0 is folded back, its conjugate's lobe added: the
        real part of an amplitude multiplies the one array, the imaginary the other.
        Both have shape (n_places, 2 * _LOBE + 2).
        """
        bins = place_hz()[: self.n_places] * self.length / self.sample_rate
        width = 2 * _LOBE + 2
        first = np.clip(np.floor(bins).astype(np.intp) - _LOBE, 0, self.n_bins - width)
        column = first[:, None] + np.arange(width)
        above = _lobes(column - bins[:, None], column, self.length)
        mirrored = _lobes(column + bins[:, None], column, self.length)
        mirrored[first > 0] = 0.0
        return first, above + mirrored, above - mirrored

    @cached_property
    def leads(self) -> tuple[Values, Values]:
        """Amplitudes of mid and side of a partial at each place."""
        mid, side = mid_and_side(place_hz())
        return mid.astype(np.float32), side.astype(np.float32)

    @cached_property
    def mid_and_side(self) -> tuple[Values, Values]:
        """Weights of noise in mid and side, in each bin; the side's have signs."""
        rng = stream(Purpose.NOISE_TABLE, "sides")
        sign = np.where(rng.random(MOST_BINS) < 0.5, -1.0, 1.0)[: self.n_bins]
        mid, side = mid_and_side(self.hertz)
        return mid.astype(np.float32), (sign * side).astype(np.float32)

    @cached_property
    def noise_bands(self) -> Values:
        """From gains of `motion`'s bands of noise to gains of bins, (n_bands, n_bins).

        The columns of DC and of half the sample rate are silent.
        """
        bands = np.arange(len(noise_band_hz()))
        hertz = np.maximum(self.hertz, 1.0)
        place = np.interp(np.log(hertz), np.log(noise_band_hz()), bands)
        distance = np.abs(place[None, :] - bands[:, None])
        weights = np.clip(1.0 - distance, 0.0, 1.0)
        # A bin holding m gives a sinusoid of amplitude 2 m / n, power 2 (m / n)^2;
        # frames of noise add in power, partials in amplitude.
        weights *= self.length * np.sqrt(_OVERLAPPED / 2.0)
        weights[:, [0, -1]] = 0.0
        return weights.astype(np.float32)


@lru_cache(maxsize=4)
def frames_at(sample_rate: int) -> Frames:
    """The frames of a sample rate, with all their tables."""
    return Frames(sample_rate)


def correlation_at(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation of left and right at frequencies."""
    logarithm = np.log(np.maximum(hertz, 1.0))
    return np.interp(logarithm, np.log(_CORRELATION_HZ), _CORRELATION)


def mid_and_side(
    hertz: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Amplitudes of mid and side at frequencies, of a sound of 1 in both channels."""
    correlation = correlation_at(hertz)
    return np.sqrt((1.0 + correlation) / 2.0), np.sqrt((1.0 - correlation) / 2.0)


def _lobes(distance: NDArray[np.float64], column: Places, length: int) -> Values:
    """Transform of a Hann window at distances from a partial, in bins.

    Half a partial's amplitude is in the lobe above, half in its mirror image. The
    phase is the one at the middle of the frame, hence the alternating sign.
    """
    lobe = 0.5 * np.sinc(distance)
    lobe += 0.25 * (np.sinc(distance - 1.0) + np.sinc(distance + 1.0))
    lobe[np.abs(distance) > _LOBE] = 0.0
    lobe *= 0.5 * length * (-1.0) ** column
    return lobe.astype(np.float32)


def _hann(length: int) -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length)
