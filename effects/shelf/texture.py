"""Textures: recordings resynthesised to any length, without a loop point.

The steady ground of a recording is resynthesised with fresh phases: noise with its
spectrum, its stereo image and its slow changes of level. What stands out of it (a drop,
a call, a crackle) is cut out, and scattered again in another order. Noise textures
are heard by such statistics and not by their detail (McDermott and Simoncelli,
Neuron 71, 2011). Whether a recording is suited to this is measured on the result: its
modulation spectrum must be close to the recording's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, signal

from effects.audio.levels import Samples, rms_db
from effects.generators.noise import (
    gaussian_spectrum,
    length_of,
    pan_gains,
    scatter,
    slow_curve,
)
from effects.shelf.loops import Loop, finished_loop
from effects.shelf.similarity import modulation_features

TEXTURE_S = 90.0
LONG_ENOUGH_S = 90.0  # recordings from here on are better looped as they are
FRAME_LENGTH = 2048
EVENT_RATIO = 5.0  # smoothed power over the bin's median that makes an event
SHORTEST_EVENT_S, LONGEST_EVENT_S = 0.002, 4.0
EVENT_GAP_S = 0.12
EVENT_FADE_S = 0.015
FAITHFUL_DB = 3.5  # mean difference of modulation depths that passes as the same
MOST_EVENTS = 0.6  # share of events beyond which they are what is listened to
CALM_DB = 2.0  # spread of the level over seconds, beyond which a sound has a shape


@dataclass(frozen=True, eq=False)
class Parts:
    """A recording taken apart.

    Attributes:
        density: power spectral density matrix of the ground on the bins of a frame,
            complex, shape (n_bins, 2, 2).
        unrest_db: standard deviation of the ground's level over seconds.
        events: what stood out of it, each of shape (length, 2).
        events_hz: how many of them a second.
        event_share: of the recording's energy that lies in them.
    """

    density: NDArray[np.complex128]
    unrest_db: float
    events: tuple[Samples, ...]
    events_hz: float
    event_share: float


def texture_of(
    parts: Parts,
    sample_rate: int,
    rng: np.random.Generator,
    name: str = "",
    seconds: float = TEXTURE_S,
) -> Loop:
    """Make a texture of a recording that was taken apart, at -30 LUFS.

    Args:
        parts: of the recording.
        sample_rate: Hz.
        rng: source of chance.
        name: of the loop.
        seconds: about how long it is to be.

    Returns:
        A loop of mode "texture", periodic without a seam.
    """
    texture = synthesise(parts, sample_rate, rng, seconds)
    return finished_loop(texture, sample_rate, name, mode="texture")


def suits(original: Samples, texture: Loop) -> bool:
    """Whether a texture's level moves as that of the recording it was made from.

    Args:
        original: the recording, shape (n_samples, 2).
        texture: made from it, at the same rate.
    """
    calm = is_calm(original, texture.sample_rate)
    return calm and modulation_distance_db(original, texture) <= FAITHFUL_DB


def is_calm(samples: Samples, sample_rate: int) -> bool:
    """Whether the level of a recording varies little from second to second.

    A sound that swells and sinks, as surf does, loses its shape in a texture.
    """
    n = len(samples) // sample_rate
    seconds = samples[: n * sample_rate].reshape(max(1, n), -1)
    levels = [rms_db(second) for second in seconds]
    return n > 0 and float(np.std(levels)) <= CALM_DB


def modulation_distance_db(original: Samples, texture: Loop) -> float:
    """Mean difference of modulation depths at rates from 0.6 Hz on, in dB.

    Bands weigh by how much they hold of the recording; slower rates are left out,
    since a short recording does not tell them.
    """
    recording = Loop("", original, texture.sample_rate)
    first, second = modulation_features(recording), modulation_features(texture)
    weight = 10.0 ** (first[:5] / 20.0)
    difference = np.abs(first[5:] - second[5:]).reshape(5, 5)[:, 2:].mean(axis=1)
    return float(np.sum(weight * difference) / np.sum(weight))


def take_apart(samples: Samples, sample_rate: int) -> Parts:
    """Separate the steady ground of a stereo recording from its events."""
    _, _, spectra = signal.stft(
        samples.T, nperseg=FRAME_LENGTH, noverlap=FRAME_LENGTH // 2
    )
    spectra = spectra * FRAME_LENGTH / 2.0
    power = np.mean(np.abs(spectra) ** 2, axis=0)
    smooth = ndimage.uniform_filter(power, size=(5, 3))
    median = ndimage.uniform_filter1d(np.median(smooth, axis=1), 5)
    stands_out = smooth > EVENT_RATIO * median[:, None] + 1e-12
    mask = ndimage.uniform_filter(stands_out.astype(np.float32), size=(3, 3))
    _, cut = signal.istft(
        spectra * mask * 2.0 / FRAME_LENGTH,
        nperseg=FRAME_LENGTH,
        noverlap=FRAME_LENGTH // 2,
    )
    events = _cut_events(np.asarray(cut.T, np.float32), sample_rate)
    seconds = len(samples) / sample_rate
    ground = ~stands_out
    level = 10.0 * np.log10(np.mean(power * ground, axis=0) + 1e-14)
    per_second = max(1, int(2 * sample_rate / FRAME_LENGTH))
    unrest = float(np.std(ndimage.uniform_filter1d(level, per_second)[::per_second]))
    energy = sum(float(np.vdot(event, event)) for event in events)
    share = energy / max(float(np.vdot(samples, samples)), 1e-20)
    density = _density(spectra, ground)
    return Parts(density, unrest, events, len(events) / seconds, share)


def synthesise(
    parts: Parts, sample_rate: int, rng: np.random.Generator, seconds: float
) -> Samples:
    """Resynthesise a recording from its parts, periodic; shape (n_samples, 2)."""
    n = length_of(sample_rate, seconds)
    texture = _ground(parts, n, rng)
    # The level of steady noise varies by half a decibel in any case.
    unrest = max(0.0, parts.unrest_db**2 - 0.5**2) ** 0.5
    curve = slow_curve(n, sample_rate, rng, low_hz=0.05, high_hz=0.5)
    gain_db = np.clip(curve * min(unrest, 4.0), -8.0, 8.0)
    texture *= (10.0 ** (gain_db / 20.0))[:, None].astype(np.float32)
    _scatter_events(texture, parts, sample_rate, rng)
    return texture


def _density(
    spectra: NDArray[np.complex128], ground: NDArray[np.bool_]
) -> NDArray[np.complex128]:
    weight = ground / np.maximum(1, ground.sum(axis=1, keepdims=True))
    density = np.einsum("akt,bkt,kt->kab", spectra, spectra.conj(), weight)
    window = signal.get_window("hann", FRAME_LENGTH)
    scaled: NDArray[np.complex128] = density / np.sum(window**2)
    return scaled


def _ground(parts: Parts, n: int, rng: np.random.Generator) -> Samples:
    """Gaussian noise with a given density matrix: its Cholesky factor, bin by bin."""
    left = np.maximum(parts.density[:, 0, 0].real, 1e-20)
    cross = parts.density[:, 1, 0]
    right = np.maximum(parts.density[:, 1, 1].real - np.abs(cross) ** 2 / left, 1e-20)
    bins = np.linspace(0.0, 1.0, len(left))
    target = np.linspace(0.0, 1.0, n // 2 + 1)

    def spread(values: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.asarray(np.interp(target, bins, values), np.float32)

    first, second = gaussian_spectrum(n, rng), gaussian_spectrum(n, rng)
    across = cross / np.sqrt(left)
    out = np.empty((n, 2), np.float32)
    out[:, 0] = fft.irfft(first * spread(np.sqrt(left)), n)
    mixed = first * (spread(across.real) + np.complex64(1j) * spread(across.imag))
    out[:, 1] = fft.irfft(mixed + second * spread(np.sqrt(right)), n)
    return out


def _cut_events(cut: Samples, sample_rate: int) -> tuple[Samples, ...]:
    """Pieces of the event signal between its silences, faded at both ends."""
    width = max(1, int(0.005 * sample_rate))
    power = ndimage.uniform_filter1d(np.mean(cut**2, axis=1), width)
    loud = power > 1e-3 * (np.max(power, initial=0.0) + 1e-12)
    gap = int(EVENT_GAP_S * sample_rate)
    joined = ndimage.maximum_filter1d(loud, gap)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], joined.astype(np.int8), [0]])))
    fade = max(1, int(EVENT_FADE_S * sample_rate))
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)[:, None]
    events = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        seconds = (end - start - gap) / sample_rate
        if not SHORTEST_EVENT_S <= seconds <= LONGEST_EVENT_S:
            continue
        event = cut[start:end].copy()
        if len(event) > 2 * fade:
            event[:fade] *= ramp
            event[-fade:] *= ramp[::-1]
            events.append(event)
    return tuple(events)


def _scatter_events(
    texture: Samples, parts: Parts, sample_rate: int, rng: np.random.Generator
) -> None:
    """Add all events in rounds of random order, at times of a Poisson process."""
    n_events = len(parts.events)
    if n_events == 0:
        return
    count = round(parts.events_hz * len(texture) / sample_rate)
    times = np.sort(rng.integers(0, len(texture), count))
    order: list[int] = []
    while len(order) < count:
        order += rng.permutation(n_events).tolist()
    for start, kind in zip(times, order, strict=False):
        event = parts.events[kind]
        if rng.random() < 0.5:
            event = event[:, ::-1]
        lean = pan_gains(float(rng.uniform(-0.15, 0.15))) * np.float32(2.0**0.5)
        level = 10.0 ** (rng.uniform(-2.0, 2.0) / 20.0)
        scatter(texture, event, int(start), np.asarray(lean * level, np.float32))
