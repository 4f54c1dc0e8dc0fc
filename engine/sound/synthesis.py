"""Short frames: partials and noise to spectra, one inverse FFT a layer, overlap-add.

After Serra and Smith (Spectral modeling synthesis, Computer Music Journal 14, 1990) and
Rodet and Depalle (Spectral envelopes and inverse FFT synthesis, AES Convention 93,
1992). Every 10.7 ms a frame is made: a partial is the main lobe of a windowed
sinusoid, added to the frame's spectrum; noise is a row of unit phasors, shaped by its
level in each bin. Frames are weighted by a Hann window and overlapped by three
quarters.

Frames lie on a grid of absolute positions, and are made in slabs of a fixed number.
The phase of a partial is a function of its place and the time, and the phasors of a
frame of its number: so a slab is a function of what it is to hold and its number
alone, and comes out the same to the bit whatever was made before.

What comes out has four layers, `LAYERS`: mid and side, each below and above a gentle
crossover. Width and tilt are then mere gains, which the mixer can turn after the
ring, within a block.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.fft import irfft
from numpy.typing import NDArray
from scipy import fft

from effects.audio.levels import Samples
from effects.base.streams import Purpose, stream
from engine.sound.motion import noise_band_hz
from engine.sound.partials import place_hz

LAYERS = ("mid low", "mid high", "side low", "side high")
N_LAYERS = len(LAYERS)
TILT_PIVOT_HZ = 700.0

SLAB_FRAMES = 40
OVERLAP = 4  # hops in a frame
HOP_S = 512 / 48_000  # about: a power of two in samples

# Correlation of left and right: mono below would be safer than it need be, and above
# a sum to mono would lose more than 1.5 dB.
_CORRELATION_HZ = (60.0, 200.0, 600.0, 4000.0)
_CORRELATION = (0.60, 0.54, 0.48, 0.45)

_LOBE = 8  # bins on either side of a partial; beyond, its window is under -75 dB
_LOBE_COLUMNS = np.arange(2 * _LOBE + 2)
# Partials that are added by one matrix product: so few that each group is narrow, and
# that no library divides the product among threads, which would have to be woken.
_GROUP = 24
_GROUP_ROWS = np.arange(_GROUP)[:, None]
_OVERLAPPED = 1.5  # sum of the squared window over the frames at any sample
_N_PHASORS = 1 << 17
_MOST_BINS = 1 << 14  # at any sample rate: the draws do not depend on it
_N_STARTS = 1 << 16  # frames after which their phasors come again: 12 minutes

Values = NDArray[np.float32]
Spectra = NDArray[np.complex64]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Partials:
    """Sinusoids in the frames of a slab.

    Attributes:
        places: ascending, shape (n,); one may stand there more than once.
        phases: turns at sample 0, shape (n,).
        sides: 1 or -1, which way the side is turned against the mid, shape (n,).
        amplitude: of each channel, shape (n, SLAB_FRAMES).
        pan: of each voice, radians to the left, shape (n_voices, SLAB_FRAMES).
        voices: which one each belongs to, shape (n,).
    """

    places: Places
    phases: NDArray[np.float64]
    sides: Values
    amplitude: Values
    pan: Values
    voices: Places


@dataclass(frozen=True)
class Frames:
    """Everything about frames that follows from the sample rate.

    Attributes:
        sample_rate: Hz.
    """

    sample_rate: int

    @cached_property
    def hop(self) -> int:
        """Samples between frames."""
        return int(2 ** max(4, round(np.log2(HOP_S * self.sample_rate))))

    @property
    def length(self) -> int:
        """Samples in a frame."""
        return OVERLAP * self.hop

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
        return fft.rfftfreq(self.length, 1.0 / self.sample_rate)

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
        return np.exp(1j * angle).astype(np.complex64)

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
    def mid_and_side(self) -> tuple[Values, Spectra]:
        """Weights of noise in mid and side, in each bin."""
        rng = stream(Purpose.NOISE_TABLE, "sides")
        sign = np.where(rng.random(_MOST_BINS) < 0.5, -1.0, 1.0)[: self.n_bins]
        mid, side = mid_and_side(self.hertz)
        return mid.astype(np.float32), (1j * sign * side).astype(np.complex64)

    @cached_property
    def above(self) -> Values:
        """Share of the layer above the pivot, in each bin."""
        return share_above_pivot(self.hertz).astype(np.float32)

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


def share_above_pivot(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the high layers in the amplitude at frequencies."""
    return hertz**2 / (hertz**2 + TILT_PIVOT_HZ**2)


class Synthesiser:
    """Makes the slabs of one stream; its arrays are kept from slab to slab.

    Args:
        frames: of the sample rate.
        seed: of the stream.
    """

    def __init__(self, frames: Frames, seed: int) -> None:
        self._frames = frames
        rng = stream(Purpose.NOISE_PHASES, seed)
        self._starts = rng.integers(0, _N_PHASORS - _MOST_BINS, _N_STARTS)
        shape = (SLAB_FRAMES, frames.n_bins)
        self._mid, self._side, self._high = (
            np.zeros(shape, np.complex64) for _ in range(3)
        )
        self._pieces = np.zeros((SLAB_FRAMES, frames.length), np.float32)
        self._rows = np.lib.stride_tricks.sliding_window_view(
            _phasor_table(), frames.n_bins
        )

    def slab(
        self, number: int, partials: Partials, noise: Values
    ) -> tuple[Samples, Samples]:
        """Slab `number` of the stream.

        Args:
            number: of the slab; with the seed it decides the phases.
            partials: in its frames; frame i is centred `OVERLAP // 2 + i` hops after
                the slab's first sample.
            noise: magnitude in each bin, shape (SLAB_FRAMES, n_bins), as
                `Frames.noise_bands` scales it.

        Returns:
            The slab in the layers of `LAYERS`, shape (4, slab), to which the tail of
            the slab before has to be added; and its own tail, shape (4, 3 hops).
        """
        frames, mid, side = self._frames, self._mid, self._side
        first = number * SLAB_FRAMES
        starts = self._starts[np.arange(first, first + SLAB_FRAMES) % _N_STARTS]
        to_mid, to_side = frames.mid_and_side
        np.multiply(self._rows[starts], noise, out=self._high)
        np.multiply(self._high, to_mid, out=mid)
        np.multiply(self._high, to_side, out=side)
        _add_partials(number, partials, frames, mid, side)
        whole = np.zeros((N_LAYERS, SLAB_FRAMES + OVERLAP - 1, frames.hop), np.float32)
        for layer, spectra in ((0, mid), (2, side)):
            np.multiply(spectra, frames.above, out=self._high)
            self._add_frames(self._high, whole[layer + 1])
            spectra -= self._high
            self._add_frames(spectra, whole[layer])
        samples = whole.reshape(N_LAYERS, -1)
        return samples[:, : frames.slab], samples[:, frames.slab :]

    def _add_frames(self, spectra: Spectra, hops: Samples) -> None:
        """Overlap frames of these spectra and add them, hop by hop."""
        frames, pieces = self._frames, self._pieces
        irfft(spectra, frames.length, axis=1, out=pieces)
        pieces *= frames.window
        parts = pieces.reshape(SLAB_FRAMES, OVERLAP, frames.hop)
        for part in range(OVERLAP):
            hops[part : part + SLAB_FRAMES] += parts[:, part]


def _add_partials(
    number: int, partials: Partials, frames: Frames, mid: Spectra, side: Spectra
) -> None:
    n = int(np.searchsorted(partials.places, frames.n_places))
    if n == 0:
        return
    rows = _rows(number, partials, frames, n)
    low, real, imaginary = frames.lobes
    for start in range(0, n, _GROUP):
        group = slice(start, min(start + _GROUP, n))
        places = partials.places[group]
        first, last = int(low[places[0]]), int(low[places[-1]]) + real.shape[1]
        columns = slice(first, last)
        count = len(places)
        dense = np.zeros((count, last - first), np.float32)
        at = _GROUP_ROWS[:count], (low[places] - first)[:, None] + _LOBE_COLUMNS
        dense[at] = real[places]
        if first > 0:
            added = rows[group].reshape(count, -1).T @ dense
        else:
            halves = rows[group].reshape(count, 2, -1)
            folded = np.zeros_like(dense)
            folded[at] = imaginary[places]
            added = np.concatenate([halves[:, 0].T @ dense, halves[:, 1].T @ folded])
        added = added.reshape(4, SLAB_FRAMES, -1)
        mid.real[:, columns] += added[0]
        side.real[:, columns] += added[1]
        mid.imag[:, columns] += added[2]
        side.imag[:, columns] += added[3]


def _rows(number: int, partials: Partials, frames: Frames, n: int) -> Values:
    """Real parts of mid and side, then imaginary ones: shape (n, 4, SLAB_FRAMES)."""
    places, voices = partials.places[:n], partials.voices[:n]
    centre = number * frames.slab + frames.length // 2
    hertz = place_hz()[places]
    turns = (hertz * (centre / frames.sample_rate) + partials.phases[:n]) % 1.0
    turned = frames.turning[places]
    turned *= np.exp(2j * np.pi * turns).astype(np.complex64)[:, None]
    turned *= partials.amplitude[:n]
    # Left and right lead and lag by half an angle, and are panned besides: with
    # l = cos p + sin p and r = cos p - sin p, mid and side follow.
    cos_pan, sin_pan = np.cos(partials.pan)[voices], np.sin(partials.pan)[voices]
    lead, across = frames.leads
    cos_lead = lead[places, None]
    sin_lead = (across[places] * partials.sides[:n])[:, None]
    real, imaginary = turned.real, turned.imag
    rows = np.empty((n, 4, SLAB_FRAMES), np.float32)
    weights = np.empty((2, n, SLAB_FRAMES), np.float32)
    for side, (cos, sin) in enumerate(((cos_pan, sin_pan), (sin_pan, cos_pan))):
        np.multiply(cos, cos_lead, out=weights[0])
        np.multiply(sin, sin_lead, out=weights[1])
        np.multiply(real, weights[0], out=rows[:, side])
        np.multiply(real, weights[1], out=rows[:, 2 + side])
        weights[0] *= imaginary
        weights[1] *= imaginary
        rows[:, side] -= weights[1]
        rows[:, 2 + side] += weights[0]
    return rows


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


@lru_cache(maxsize=1)
def _phasor_table() -> Spectra:
    angle = 2.0 * np.pi * stream(Purpose.NOISE_TABLE).random(_N_PHASORS)
    return np.exp(1j * angle).astype(np.complex64)
