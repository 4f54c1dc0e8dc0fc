"""Band powers to one frame of audio: peaks gathered, phases drawn, inverse FFT.

Every timbre is taken apart into a tonal part (what stands out of its neighbourhood
in the spectrum) and a noise part. The noise keeps its width and gets fresh random
phases in each frame. The tonal part is gathered to the centres of its peaks and gets
phases that turn slowly from frame to frame, so that a partial that stays sounds
through, instead of being interrupted by chance interference at every hop. Smeared
partials with slow phases would repeat their beating with the frame: hence only what
is gathered is tonal, and without clarity all is noise.

A frame has four layers, `LAYERS`: mid and side, each below and above a gentle
crossover. Width and tilt are then mere gains, which the mixer can turn after the
ring, within a block. All phases derive from (seed, start of the frame in time), so
a frame can be made again at any moment, and sounds the same at any sample rate.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.k_weighting import k_weighting
from effects.audio.levels import Samples, db_to_amplitude
from model.config import AXIS, Axis
from model.spectrum import bin_power, surroundings

LAYERS = ("mid low", "mid high", "side low", "side high")
N_LAYERS = len(LAYERS)

TILT_PIVOT_HZ = 700.0
MONO_BELOW_HZ = 120.0  # bass stays in the middle
KEYFRAME = 6  # frames over which a tonal phase drifts by up to half a turn

HOLD_DB = 3.0  # by which chance within a frame is made up for, at most

_TONAL_FROM_DB = 3.0
_TONAL_FULL_DB = 12.0
_NOISE, _TONE, _SIDE = 0, 1, 2


@dataclass(frozen=True)
class Frame:
    """Audio of one latent point, unwindowed.

    Attributes:
        noise, tonal: shape (frame_length, 4).
        partials: amplitude of the tonal part in each FFT bin.
        weighted: K-weighted mean square of a channel that was asked for.
    """

    noise: Samples
    tonal: Samples
    partials: NDArray[np.float32]
    weighted: float


def synthesise(
    band_power: NDArray[np.float64],
    *,
    hop_length: int,
    sample_rate: int,
    index: int,
    seed: int,
    clarity: float,
    axis: Axis = AXIS,
) -> Frame:
    """Frame `index` of a stream with this hop, from band powers of each channel.

    Args:
        band_power: shape (n_bands,), full scale = 1.0.
        hop_length: samples; the frame is two hops long and starts at
            `index * hop_length`.
        sample_rate: Hz.
        index: which frame; with `seed`, it decides the phases.
        seed: of the stream.
        clarity: 0..1, how much of each partial is gathered to its centre.
        axis: the bands.

    Returns:
        The frame before windowing (see `blend`).
    """
    length = 2 * hop_length
    noise_bands, tonal_bands = split_tonal(band_power, clarity)
    n_phases = int(length / sample_rate * AXIS.high_hz) + 1
    hop_key = round(hop_length / sample_rate * 1e6)

    noise_power = bin_power(noise_bands, length, sample_rate, axis)
    tonal_power = gather_peaks(tonal_bands, length, sample_rate, axis)
    noise = _spectrum(
        noise_power, _fresh_phases(seed, hop_key, index, n_phases), length
    )
    tonal = _spectrum(tonal_power, _slow_phases(seed, hop_key, index, n_phases), length)
    level = _level_gain(noise, tonal, length, sample_rate)
    sides = _sides(seed, hop_key, n_phases)
    return Frame(
        _layers(noise * level, sides, length, sample_rate),
        _layers(tonal * level, sides, length, sample_rate),
        np.sqrt(tonal_power).astype(np.float32),
        float(_k_weights(length, sample_rate) @ (noise_power + tonal_power)),
    )


def split_tonal(
    band_power: NDArray[np.float64], clarity: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Noise and tonal part of band powers, shape (n_bands,); they sum to the whole.

    A band is the more tonal the farther it stands above the mean level of its
    neighbourhood, in dB; `clarity` scales how much of that is taken out.
    """
    level_db = 10.0 * np.log10(band_power + 1e-20)
    prominence = level_db - surroundings(level_db)
    share = (prominence - _TONAL_FROM_DB) / (_TONAL_FULL_DB - _TONAL_FROM_DB)
    share = np.clip(share, 0.0, 1.0)
    # The skirts of a peak belong to it.
    share = np.maximum(share, np.maximum(_shifted(share, 1), _shifted(share, -1)))
    tonal = clarity * share * band_power
    return band_power - tonal, tonal


def gather_peaks(
    tonal_bands: NDArray[np.float64],
    n_fft: int,
    sample_rate: int,
    axis: Axis = AXIS,
    *,
    whole: bool = False,
) -> NDArray[np.float64]:
    """Power per FFT bin with each peak's power moved to its interpolated centre.

    Args:
        tonal_bands: tonal band powers, shape (n_bands,).
        n_fft: FFT length.
        sample_rate: Hz.
        axis: the bands.
        whole: put each peak into one bin, not between two.

    Returns:
        Shape (n_fft // 2 + 1); sums to the bands' sum.
    """
    power = np.zeros(n_fft // 2 + 1)
    before, after = _shifted(tonal_bands, 1), _shifted(tonal_bands, -1)
    peaks = np.flatnonzero(
        (tonal_bands > 0) & (tonal_bands >= before) & (tonal_bands > after)
    )
    if len(peaks) == 0:
        return power
    # Each band's power goes to the nearest peak on its side of the valley.
    valleys = [
        low + int(np.argmin(tonal_bands[low : high + 1]))
        for low, high in pairwise(peaks)
    ]
    starts = np.array([0, *valleys])
    basin_power = np.add.reduceat(tonal_bands, starts)
    moment = np.add.reduceat(tonal_bands * np.arange(axis.n_bands), starts)
    centre_band = moment / np.maximum(basin_power, 1e-30)
    centre_hz = np.interp(centre_band, np.arange(axis.n_bands), axis.centres)
    position = np.minimum(centre_hz * n_fft / sample_rate, len(power) - 1.001)
    bin_below = position.astype(np.intp)
    fraction = position - bin_below
    if whole:
        fraction = np.round(fraction)
    np.add.at(power, bin_below, basin_power * (1.0 - fraction))
    np.add.at(power, bin_below + 1, basin_power * fraction)
    return power


def _shifted(values: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    shifted = np.zeros_like(values)
    if by > 0:
        shifted[by:] = values[:-by]
    else:
        shifted[:by] = values[-by:]
    return shifted


def _spectrum(
    power: NDArray[np.float64], phases: NDArray[np.float32], length: int
) -> NDArray[np.complex64]:
    """Bins with this power and these phases, as many as there are of both."""
    # A bin holding amplitude a*N/2 gives a sinusoid of amplitude a, power a²/2.
    n = min(len(phases), len(power))
    magnitude = (length / 2.0) * np.sqrt(2.0 * power[:n]).astype(np.float32)
    spectrum = np.empty(n, np.complex64)
    np.cos(phases[:n], out=spectrum.real)
    np.sin(phases[:n], out=spectrum.imag)
    spectrum *= magnitude
    return spectrum


def _level_gain(
    noise: NDArray[np.complex64],
    tonal: NDArray[np.complex64],
    length: int,
    sample_rate: int,
) -> np.float32:
    """Gain that holds a frame's loudness against chance, within `HOLD_DB`.

    A strong partial and the noise around it, or the two bins that it falls between,
    add by chance or cancel: the windowed frame would be up to 2 dB beside its level.
    Windowed by a half sine, its power is that of all bins less the products of
    neighbours.
    """
    mid, _, _ = _layer_weights(length, sample_rate)
    weight = _k_weights(length, sample_rate)[: len(noise)]
    whole = noise + tonal
    power = whole.real**2 + whole.imag**2
    beside = whole.real[:-1] * whole.real[1:] + whole.imag[:-1] * whole.imag[1:]
    asked = noise.real**2 + noise.imag**2 + tonal.real**2 + tonal.imag**2
    shared = (mid[: len(noise)] ** 2 * weight)[:-1]
    got = _total(weight, power) - _total(shared, beside)
    gain = np.sqrt(_total(weight, asked) / max(got, 1e-30))
    most = db_to_amplitude(HOLD_DB)
    return np.float32(np.clip(gain, 1.0 / most, most))


def _total(weight: NDArray[np.float32], values: NDArray[np.float32]) -> float:
    """Weighted sum, in double precision: the same to the bit of the gain anywhere."""
    return float(np.sum(weight * values, dtype=np.float64))


def layers_of(
    power: NDArray[np.float64],
    phases: NDArray[np.float32],
    sides: NDArray[np.float32],
    length: int,
    sample_rate: int,
) -> Samples:
    """Audio of bins with these powers: one period of `length` samples, shape (n, 4).

    Args:
        power: mean square in each bin, shape (length // 2 + 1,).
        phases: of the lowest bins, radians; higher ones stay silent.
        sides: 1 or -1 for each of them.
        length: of the FFT.
        sample_rate: Hz.
    """
    return _layers(_spectrum(power, phases, length), sides, length, sample_rate)


def _layers(
    whole_spectrum: NDArray[np.complex64],
    sides: NDArray[np.float32],
    length: int,
    sample_rate: int,
) -> Samples:
    # The side stands at right angles to the mid, before or behind it as `sides` has
    # it: left and right then have exactly the power asked for, in every bin.
    mid, side, above = _layer_weights(length, sample_rate)
    n = len(whole_spectrum)
    spectra = np.zeros((N_LAYERS, length // 2 + 1), np.complex64)
    for row, weight in ((0, mid[:n]), (2, 1j * side[:n] * sides[:n])):
        whole = whole_spectrum * weight
        np.multiply(whole, above[:n], out=spectra[row + 1, :n])
        np.subtract(whole, spectra[row + 1, :n], out=spectra[row, :n])
    spectra[:, 0] = 0.0
    spectra[:, -1] = 0.0
    layers: Samples = np.ascontiguousarray(fft.irfft(spectra, length).T)
    return layers


@lru_cache(maxsize=4)
def _k_weights(length: int, sample_rate: int) -> NDArray[np.float32]:
    return k_weighting(fft.rfftfreq(length, 1.0 / sample_rate)).astype(np.float32)


@lru_cache(maxsize=4)
def _layer_weights(
    length: int, sample_rate: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Amplitude of mid and side, and share of the layer above the pivot, per bin."""
    frequency = fft.rfftfreq(length, 1.0 / sample_rate)
    octaves = np.log2(np.maximum(frequency, 1.0) / MONO_BELOW_HZ)
    # Left and right correlate fully in the bass and by 0.2 from about 8 kHz on.
    correlation = 1.0 - 0.8 * np.clip(octaves / 6.0, 0.0, 1.0)
    mid = np.sqrt((1.0 + correlation) / 2.0)
    side = np.sqrt((1.0 - correlation) / 2.0)
    above = frequency**2 / (frequency**2 + TILT_PIVOT_HZ**2)
    return mid.astype(np.float32), side.astype(np.float32), above.astype(np.float32)


def _fresh_phases(
    seed: int, hop_key: int, index: int, n_phases: int
) -> NDArray[np.float32]:
    return _draw_phases([seed, hop_key, _NOISE, index], n_phases)


def _slow_phases(
    seed: int, hop_key: int, index: int, n_phases: int
) -> NDArray[np.float32]:
    """Phases at the frame's start of slowly drifting bins, shape (n_phases,).

    Between keyframes each phase drifts at a constant rate, the shorter way round:
    the bin is a sinusoid a little beside its centre frequency.
    """
    keyframe, step = divmod(index, KEYFRAME)
    first = _key_phases(seed, hop_key, keyframe, n_phases)
    second = _key_phases(seed, hop_key, keyframe + 1, n_phases)
    drift = second - first
    drift -= np.float32(2.0 * np.pi) * np.round(drift / np.float32(2.0 * np.pi))
    phases = first + drift * np.float32(step / KEYFRAME)
    if index % 2:
        # A hop is half a frame: odd bins have made half a turn more each frame.
        phases[1::2] += np.float32(np.pi)
    return phases


@lru_cache(maxsize=4)
def _key_phases(
    seed: int, hop_key: int, keyframe: int, n_phases: int
) -> NDArray[np.float32]:
    return _draw_phases([seed, hop_key, _TONE, keyframe], n_phases)


@lru_cache(maxsize=4)
def _sides(seed: int, hop_key: int, n_phases: int) -> NDArray[np.float32]:
    """Which way each bin's side is turned against its mid: 1 or -1."""
    rng = np.random.default_rng([seed, hop_key, _SIDE])
    return np.where(rng.random(n_phases, np.float32) < 0.5, -1.0, 1.0).astype(
        np.float32
    )


def _draw_phases(key: list[int], n_phases: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(key)
    return rng.random(n_phases, np.float32) * np.float32(2.0 * np.pi)
