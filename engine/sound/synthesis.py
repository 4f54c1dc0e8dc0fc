"""Short frames: partials and noise to spectra, one inverse FFT a layer, overlap-add.

After Serra and Smith (Spectral modeling synthesis, Computer Music Journal 14, 1990) and
Rodet and Depalle (Spectral envelopes and inverse FFT synthesis, AES Convention 93,
1992). Every 20 ms a frame of 60 ms is made: a partial is the main lobe of a windowed
sinusoid, added to the frame's spectrum; noise is a row of unit phasors, shaped by its
level in each bin. Frames are weighted by a Hann window and overlapped by two thirds:
partials by its square, noise in power, and both add up to the same everywhere.

Frames lie on a grid of absolute positions, and are made in slabs of a fixed number.
The phase of a partial is a function of its place and the time, and the phasors of a
frame of its number: so a slab is a function of what it is to hold and its number
alone, and comes out the same to the bit whatever was made before.

What comes out has two layers, `LAYERS`: mid and side. Width is then a mere gain, which
the mixer can turn after the ring, within a block.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.fft import irfft
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.base.streams import Purpose, stream
from engine.sound.frames import (
    LOBE_COLUMNS,
    MOST_BINS,
    OVERLAP,
    SLAB_FRAMES,
    Frames,
)
from engine.sound.partials import place_hz

LAYERS = ("mid", "side")
N_LAYERS = len(LAYERS)

# Partials that are added by one matrix product: so few that each group is narrow, and
# that no library divides the product among threads, which would have to be woken.
_GROUP = 24
_N_PHASORS = 1 << 17
_N_STARTS = 1 << 16  # frames after which their phasors come again: 22 minutes

Values = NDArray[np.float32]
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


class Synthesiser:
    """Makes the slabs of one stream; its arrays are kept from slab to slab.

    Args:
        frames: of the sample rate.
        seed: of the stream.
    """

    def __init__(self, frames: Frames, seed: int) -> None:
        self._frames = frames
        rng = stream(Purpose.NOISE_PHASES, seed)
        self._starts = rng.integers(0, _N_PHASORS - MOST_BINS, _N_STARTS)
        shape = (SLAB_FRAMES, frames.n_bins)
        # Real and imaginary parts lie apart: products of the one with the other's
        # weights are then plain products, and sums of lobes are in one piece.
        self._parts = np.zeros((2, 2, *shape), np.float32)  # mid and side, parts
        self._noise = np.zeros((2, *shape), np.float32)
        self._spectra = np.zeros(shape, np.complex64)
        self._pieces = np.zeros((SLAB_FRAMES, frames.length), np.float32)
        self._rows = tuple(
            np.lib.stride_tricks.sliding_window_view(part, frames.n_bins)
            for part in _phasor_table()
        )

    def slab(
        self, number: int, partials: Partials, noise: Values
    ) -> tuple[Samples, Samples]:
        """Slab `number` of the stream.

        Args:
            number: of the slab; with the seed it decides the phases.
            partials: in its frames, whose middles are `Frames.centres`.
            noise: magnitude in each bin, shape (SLAB_FRAMES, n_bins), as
                `Frames.noise_bands` scales it.

        Returns:
            The slab in the layers of `LAYERS`, shape (2, slab), to which the tail of
            the slab before has to be added; and its own tail, shape (2, 2 hops).
        """
        frames, parts = self._frames, self._parts
        self._put_noise(number, noise)
        _add_partials(number, partials, frames, parts.reshape(-1, frames.n_bins))
        whole = np.zeros((N_LAYERS, SLAB_FRAMES + OVERLAP - 1, frames.hop), np.float32)
        for spectra, hops in zip(parts, whole, strict=True):
            self._add_frames(spectra, hops)
        samples = whole.reshape(N_LAYERS, -1)
        return samples[:, : frames.slab], samples[:, frames.slab :]

    def _put_noise(self, number: int, noise: Values) -> None:
        """Begin the spectra of mid and side with the phasors of the noise."""
        first = number * SLAB_FRAMES
        starts = self._starts[np.arange(first, first + SLAB_FRAMES) % _N_STARTS]
        to_mid, to_side = self._frames.mid_and_side
        (mid_real, mid_imaginary), (side_real, side_imaginary) = self._parts
        real, imaginary = self._noise
        np.multiply(self._rows[0][starts], noise, out=real)
        np.multiply(self._rows[1][starts], noise, out=imaginary)
        np.multiply(real, to_mid, out=mid_real)
        np.multiply(imaginary, to_mid, out=mid_imaginary)
        # The side's phasors are turned by a quarter, either way.
        np.multiply(imaginary, -to_side, out=side_real)
        np.multiply(real, to_side, out=side_imaginary)

    def _add_frames(self, parts: Values, hops: Samples) -> None:
        """Overlap frames of spectra in two parts and add them, hop by hop."""
        frames, spectra, pieces = self._frames, self._spectra, self._pieces
        spectra.real, spectra.imag = parts
        irfft(spectra, frames.length, axis=1, out=pieces)  # type: ignore[arg-type]
        pieces *= frames.window
        parts = pieces.reshape(SLAB_FRAMES, OVERLAP, frames.hop)
        for part in range(OVERLAP):
            hops[part : part + SLAB_FRAMES] += parts[:, part]


def _add_partials(
    number: int, partials: Partials, frames: Frames, sums: Values
) -> None:
    """Add the lobes of partials to spectra.

    Args:
        number: of the slab.
        partials: in its frames.
        frames: of the sample rate.
        sums: shape (4 * SLAB_FRAMES, n_bins), in the order of `_rows`.
    """
    n = int(np.searchsorted(partials.places, frames.n_places))
    if n == 0:
        return
    rows = _rows(number, partials, frames, n)
    for group in _groups(partials.places[:n], frames):
        weights = rows[group.partials]
        count = len(weights)
        if group.folded is None:
            added = weights.reshape(count, -1).T @ group.lobes
            sums[:, group.columns] += added
            continue
        into = sums.reshape(2, 2, SLAB_FRAMES, -1)
        for part, lobes in enumerate((group.lobes, group.folded)):
            added = weights[:, :, part].reshape(count, -1).T @ lobes
            into[:, part, :, group.columns] += added.reshape(2, SLAB_FRAMES, -1)


@dataclass(frozen=True)
class _Group:
    """Partials that are near to one another, and their lobes.

    Attributes:
        partials: which ones.
        columns: bins that their lobes reach.
        lobes: one partial a row, shape (n, n_columns).
        folded: the same for imaginary parts, if some lobe reaches below bin 0, where
            its conjugate's is added; else both parts have the same.
    """

    partials: slice
    columns: slice
    lobes: Values
    folded: Values | None


def _groups(places: Places, frames: Frames) -> Iterator[_Group]:
    """Groups of partials, ascending.

    All lobes are put into one array at once, in which the matrices of the groups lie
    one after another.
    """
    n = len(places)
    low, real, imaginary = frames.lobes
    lows = low[places]
    starts = np.arange(0, n, _GROUP)
    counts = np.diff(starts, append=n)
    firsts = lows[starts]
    widths = lows[starts + counts - 1] + real.shape[1] - firsts
    begins = np.concatenate([[0], np.cumsum(counts * widths)])
    group = np.arange(n) // _GROUP
    row = begins[group] + (np.arange(n) - starts[group]) * widths[group]
    at = (row + lows - firsts[group])[:, None] + LOBE_COLUMNS
    lobes = np.zeros(begins[-1], np.float32)
    lobes[at] = real[places]
    for i, first in enumerate(firsts.tolist()):
        partials = slice(int(starts[i]), int(starts[i] + counts[i]))
        shape = int(counts[i]), int(widths[i])
        folded = None
        if first == 0:
            folded = np.zeros(shape, np.float32)
            folded.reshape(-1)[at[partials] - begins[i]] = imaginary[places[partials]]
        yield _Group(
            partials,
            slice(first, first + shape[1]),
            lobes[begins[i] : begins[i + 1]].reshape(shape),
            folded,
        )


def _rows(number: int, partials: Partials, frames: Frames, n: int) -> Values:
    """Amplitudes in mid and side, of each the real and the imaginary part.

    Returns:
        Shape (n, 2, 2, SLAB_FRAMES).
    """
    places, voices = partials.places[:n], partials.voices[:n]
    centre = int(frames.centres(number)[0])
    hertz = place_hz()[places]
    turns = (hertz * (centre / frames.sample_rate) + partials.phases[:n]) % 1.0
    turned = frames.turning[places]
    turned *= np.exp(2j * np.pi * turns).astype(np.complex64)[:, None]
    real = turned.real * partials.amplitude[:n]
    imaginary = turned.imag * partials.amplitude[:n]
    # Left and right lead and lag by half an angle, and are panned besides: with
    # l = cos p + sin p and r = cos p - sin p, mid and side follow.
    cos_pan, sin_pan = np.cos(partials.pan)[voices], np.sin(partials.pan)[voices]
    lead, across = frames.leads
    cos_lead = lead[places, None]
    sin_lead = (across[places] * partials.sides[:n])[:, None]
    rows = np.empty((n, 2, 2, SLAB_FRAMES), np.float32)
    ahead, aside, crossed = (np.empty((n, SLAB_FRAMES), np.float32) for _ in range(3))
    for side, (cos, sin) in enumerate(((cos_pan, sin_pan), (sin_pan, cos_pan))):
        np.multiply(cos, cos_lead, out=ahead)
        np.multiply(sin, sin_lead, out=aside)
        to_real, to_imaginary = rows[:, side, 0], rows[:, side, 1]
        np.multiply(real, ahead, out=to_real)
        np.multiply(real, aside, out=to_imaginary)
        to_real -= np.multiply(imaginary, aside, out=crossed)
        to_imaginary += np.multiply(imaginary, ahead, out=crossed)
    return rows


@lru_cache(maxsize=1)
def _phasor_table() -> tuple[Values, Values]:
    """Real and imaginary parts of phasors, shape (_N_PHASORS,) each."""
    angle = 2.0 * np.pi * stream(Purpose.NOISE_TABLE).random(_N_PHASORS)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
