"""Short frames: partials and noise to spectra, one inverse FFT a layer, overlap-add.

After Serra and Smith (Spectral modeling synthesis, Computer Music Journal 14, 1990) and
Rodet and Depalle (Spectral envelopes and inverse FFT synthesis, AES Convention 93,
1992). Every 10 ms a frame is made: a partial is the main lobe of a windowed
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

LAYERS = ("mid low", "mid high", "side low", "side high")
N_LAYERS = len(LAYERS)

# Partials that are added by one matrix product: so few that each group is narrow, and
# that no library divides the product among threads, which would have to be woken.
_GROUP = 24
_GROUP_ROWS = np.arange(_GROUP)[:, None]
_N_PHASORS = 1 << 17
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
        irfft(spectra, frames.length, axis=1, out=pieces)  # type: ignore[arg-type]
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
        at = _GROUP_ROWS[:count], (low[places] - first)[:, None] + LOBE_COLUMNS
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


@lru_cache(maxsize=1)
def _phasor_table() -> Spectra:
    angle = 2.0 * np.pi * stream(Purpose.NOISE_TABLE).random(_N_PHASORS)
    table: Spectra = np.exp(1j * angle).astype(np.complex64)
    return table
