"""Analysis of a sound to its timbre, and the power spectrum of a timbre.

`analyse` reduces 2 s of audio to 1,233 band levels; `bin_power` distributes band powers
over the bins of any FFT. Both conserve energy: a band's power is the integral of the
spectrum over it.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from effects.audio.k_weighting import k_weighting
from effects.audio.levels import Samples
from model.config import AXIS, CLIP_SECONDS, SAMPLE_RATE, Axis

CLIP_LENGTH = int(CLIP_SECONDS * SAMPLE_RATE)
N_TAPERS = 3
SURROUNDING_BANDS = 41  # a third of an octave
RAISED_FROM_DB = 4.0  # what stands out by so much is raised nearly as far as all above
PADDING = 2  # FFT length over clip length: interpolates for the narrow low bands


def analyse(clip: Samples, axis: Axis = AXIS) -> NDArray[np.float32]:
    """Compute the timbre of a clip.

    The power spectrum is a multitaper estimate with sine tapers (Riedel and
    Sidorenko, IEEE Trans. Signal Processing 43, 1995): a single window leaves
    5.6 dB of random error in every bin of a noisy sound, which no model can learn and
    which would hide its partials. Channels are averaged in power, so that wide
    stereo does not cancel.

    Args:
        clip: shape (n_samples,) or (n_samples, channels) at 44.1 kHz, about 2 s;
            the resolution depends on its length.
        axis: bands and scale of the result.

    Returns:
        Timbre of shape (n_bands,), float32 in 0..1.

    Raises:
        ValueError: the clip is empty or holds NaN or infinite samples.
    """
    from scipy import fft  # takes as long to import as all else that plays

    channels = np.atleast_2d(clip.T) if clip.ndim == 1 else clip.T
    n = channels.shape[-1]
    if n == 0:
        raise ValueError("cannot analyse an empty clip")
    if not np.all(np.isfinite(channels)):
        raise ValueError("cannot analyse a clip with NaN or infinite samples")
    n_fft = fft.next_fast_len(PADDING * n, real=True)
    # Two real signals are transformed as one complex one: half the sum of its powers at
    # a frequency and at its negative is what both have there. One pair at a time:
    # memory for all would be fetched anew for each clip, which takes longer.
    tapered = [(channel, taper) for channel in channels for taper in _sine_tapers(n)]
    pair = np.zeros(n_fft, np.result_type(channels, np.complex64))
    power = np.zeros((n_fft, 2))
    for i in range(0, len(tapered), 2):
        np.multiply(*tapered[i], out=pair.real[:n])
        pair.imag[:n] = 0.0
        if i + 1 < len(tapered):
            np.multiply(*tapered[i + 1], out=pair.imag[:n])
        parts = fft.fft(pair).view(pair.real.dtype).reshape(n_fft, 2)
        power += np.square(parts, out=parts)
    half = n_fft // 2 + 1
    both = power[:, 0] + power[:, 1]  # a sum over two takes ten times as long
    power = both[:half] + np.concatenate([both[:1], both[:-half:-1]])
    # One-sided; tapers have unit energy.
    power *= 1.0 / (n_fft * N_TAPERS * len(channels))
    return axis.from_power(_integrate(power, SAMPLE_RATE / n_fft, axis.edges))


def bin_power(
    band_power: NDArray[np.float64], n_fft: int, sample_rate: int, axis: Axis = AXIS
) -> NDArray[np.float64]:
    """Distribute band powers over the bins of a real FFT; energy is conserved.

    Args:
        band_power: shape (..., n_bands), full scale = 1.0.
        n_fft: FFT length.
        sample_rate: Hz; bands above half of it are left out.
        axis: the bands.

    Returns:
        Shape (..., n_fft // 2 + 1): the mean square of each bin.
    """
    index, fraction = _edge_positions(n_fft, sample_rate, axis)
    cumulative = np.zeros((*band_power.shape[:-1], axis.n_bands + 2))
    np.cumsum(band_power, axis=-1, out=cumulative[..., 1:-1])
    cumulative[..., -1] = cumulative[..., -2]
    below = cumulative[..., index]
    at_edges = below + fraction * (cumulative[..., index + 1] - below)
    power: NDArray[np.float64] = np.diff(at_edges, axis=-1)
    return power


def loudness(
    band_power: NDArray[np.float64], axis: Axis = AXIS, channels: int = 2
) -> NDArray[np.float64]:
    """Loudness in LUFS of a steady sound with these band powers in each channel.

    Args:
        band_power: shape (..., n_bands), full scale = 1.0.
        axis: the bands.
        channels: number of channels with that power; their powers add.

    Returns:
        Shape (...), LUFS (ITU-R BS.1770-5); silence gives about -200.
    """
    weighted = band_power @ _band_k_weighting(axis)
    level: NDArray[np.float64] = -0.691 + 10.0 * np.log10(channels * weighted + 1e-20)
    return level


def surroundings(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moving mean over a third of an octave, above which partials stand out.

    Args:
        values: one a band, shape (..., n_bands); the ends are repeated outward.

    Returns:
        Shape (..., n_bands).
    """
    return moving_mean(values, SURROUNDING_BANDS)


def moving_mean(
    values: NDArray[np.float64],
    n_bands: int,
    beyond: Literal["edge", "symmetric"] = "edge",
) -> NDArray[np.float64]:
    """Mean over so many neighbours, of which one half lies on either side.

    Args:
        values: one a band, shape (..., n), with n of `n_bands` at least.
        n_bands: of which the mean is taken.
        beyond: what lies beyond the ends: what is there, or the mirror image.

    Returns:
        The same shape.
    """
    before, after = n_bands // 2, (n_bands - 1) // 2
    n = values.shape[-1]
    sums = np.zeros((*values.shape[:-1], 1 + before + n + after))
    padded = sums[..., 1:]
    padded[..., before : before + n] = values
    if beyond == "edge":
        padded[..., :before] = values[..., :1]
        padded[..., before + n :] = values[..., -1:]
    else:
        padded[..., :before] = values[..., before - 1 :: -1] if before else 0.0
        padded[..., before + n :] = values[..., : n - after - 1 : -1]
    np.cumsum(padded, axis=-1, out=padded)
    means: NDArray[np.float64] = (sums[..., n_bands:] - sums[..., :-n_bands]) / n_bands
    return means


def raised(
    timbres: NDArray[np.float32], by_db: float, axis: Axis
) -> NDArray[np.float32]:
    """Timbres in which bands stand farther out of their surroundings, up or down.

    Args:
        timbres: shape (..., n_bands).
        by_db: how much farther those do that stand out by more than `RAISED_FROM_DB`;
            the others by less, in proportion. 0.0 changes nothing.
        axis: the bands.

    Returns:
        The same shape, not clipped to 0..1.
    """
    out = prominence_db(timbres, axis)
    farther = timbres + by_db / axis.range_db * np.tanh(out / RAISED_FROM_DB)
    return farther.astype(np.float32)


def prominence_db(timbres: NDArray[np.float32], axis: Axis) -> NDArray[np.float64]:
    """How far each band stands above its third of an octave, dB, same shape."""
    floor = surroundings(timbres.astype(np.float64))
    prominence: NDArray[np.float64] = axis.range_db * (timbres - floor)
    return prominence


def pitch_octaves(
    power: NDArray[np.float64], prominence: NDArray[np.float64], axis: Axis
) -> NDArray[np.float64]:
    """Centre of the partials in octaves above 20 Hz, loudness-weighted, shape (n,).

    Square roots of power stand in for loudness; bands that do not stand out of their
    neighbourhood count little.

    Args:
        power: of the bands, shape (n, n_bands).
        prominence: as `prominence_db` gives it, same shape.
        axis: the bands.
    """
    return _centre(np.sqrt(power) * np.clip(prominence, 0.5, 12.0), axis)


def brightness_octaves(power: NDArray[np.float64], axis: Axis) -> NDArray[np.float64]:
    """Centre of the whole spectrum in octaves above 20 Hz, shape (n,).

    Args:
        power: of the bands, shape (n, n_bands).
        axis: the bands.
    """
    return _centre(np.sqrt(power), axis)


def _centre(weight: NDArray[np.float64], axis: Axis) -> NDArray[np.float64]:
    octaves = np.log2(axis.centres / axis.low_hz)
    return np.asarray(weight @ octaves / (weight.sum(axis=1) + 1e-20))


@lru_cache(maxsize=8)
def _band_k_weighting(axis: Axis) -> NDArray[np.float64]:
    return k_weighting(axis.centres)


@lru_cache(maxsize=4)
def _sine_tapers(n: int) -> NDArray[np.float32]:
    order = np.arange(1, N_TAPERS + 1)[:, None]
    position = np.arange(1, n + 1)[None, :] / (n + 1)
    tapers = np.sqrt(2.0 / (n + 1)) * np.sin(np.pi * order * position)
    rounded: NDArray[np.float32] = tapers.astype(np.float32)
    return rounded


def _integrate(
    power: NDArray[np.float64], spacing_hz: float, edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    # Each bin's power is spread evenly from half a bin below to half above it.
    cumulative = np.concatenate([[0.0], np.cumsum(power)])
    positions = (np.arange(len(cumulative)) - 0.5) * spacing_hz
    return np.diff(np.interp(edges, positions, cumulative))


@lru_cache(maxsize=8)
def _edge_positions(
    n_fft: int, sample_rate: int, axis: Axis
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Index of the band that each bin's lower edge lies in, and how far in (0..1)."""
    spacing = sample_rate / n_fft
    bin_edges = (np.arange(n_fft // 2 + 2) - 0.5) * spacing
    index = np.searchsorted(axis.edges, bin_edges, side="right") - 1
    inside = np.clip(index, 0, axis.n_bands - 1)
    low, high = axis.edges[inside], axis.edges[inside + 1]
    fraction = np.clip((bin_edges - low) / (high - low), 0.0, 1.0)
    return inside, fraction
