"""Steady sounds made by the synthesis alone, for measuring it."""

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from engine.sound import motion
from engine.sound.frames import SLAB_FRAMES, frames_at
from engine.sound.motion import Depth
from engine.sound.partials import gather, place_hz, split_tonal
from engine.sound.synthesis import Partials, Synthesiser
from engine.sound.voices import find_voices
from model.spectrum import bin_power

STILL = Depth(0.0, 0.0)


def stereo(layers: Samples) -> Samples:
    """Left and right of layers, shape (n, 2)."""
    mid, side = layers.T
    return np.stack([mid + side, mid - side], axis=1)


def steady(
    power: NDArray[np.float64],
    seconds: float,
    *,
    rate: int = 44_100,
    clarity: float = 0.8,
    seed: int = 1,
    depth: Depth = STILL,
) -> Samples:
    """Left and right of a timbre that stays, from its band powers."""
    frames = frames_at(rate)
    synthesiser = Synthesiser(frames, seed)
    noise_bands, tonal_bands = split_tonal(power, clarity)
    at_places = gather(tonal_bands)
    places = np.flatnonzero(at_places)
    voices = find_voices(at_places[None], np.random.default_rng(seed))
    held = np.repeat(at_places[places, None], SLAB_FRAMES, axis=1)
    amplitude = np.sqrt(2.0 * held)
    noise = np.sqrt(bin_power(noise_bands, frames.length, rate)).astype(np.float32)
    tail, pieces = None, []
    weighted = np.repeat(
        motion.weighted_power(power[None]).T.astype(np.float32), SLAB_FRAMES, axis=1
    )
    for number in range(-1, int(seconds * rate / frames.slab) + 1):
        gestures = motion.gestures(seed, frames.centres(number) / rate)
        colours = motion.colours(gestures, depth, weighted)
        partials = Partials(
            places,
            voices.phases[places],
            voices.sides[places],
            amplitude
            * motion.partial_gains(gestures, voices, places, held, depth, colours),
            motion.pans(gestures, depth),
            voices.of_place[places],
        )
        gains = motion.noise_gains(gestures, depth, colours).T @ frames.noise_bands
        samples, after = synthesiser.slab(number, partials, noise * gains)
        if tail is not None:
            samples[:, : tail.shape[1]] += tail
            pieces.append(samples.T)
        tail = after
    return stereo(np.concatenate(pieces))[: round(seconds * rate)]


def sinusoid(hertz: float, seconds: float, rate: int) -> tuple[Samples, float]:
    """Left of one partial of amplitude 0.5, and its frequency."""
    frames = frames_at(rate)
    place = np.array([int(np.argmin(np.abs(place_hz() - hertz)))])
    ones = np.ones((1, SLAB_FRAMES), np.float32)
    partial = Partials(
        place,
        np.array([0.3]),
        np.ones(1, np.float32),
        0.5 * ones,
        0.0 * ones,
        np.zeros(1, np.intp),
    )
    silent = np.zeros((SLAB_FRAMES, frames.n_bins), np.float32)
    synthesiser = Synthesiser(frames, 1)
    _, tail = synthesiser.slab(-1, partial, silent)
    pieces = []
    for number in range(int(seconds * rate / frames.slab) + 1):
        samples, after = synthesiser.slab(number, partial, silent)
        samples[:, : tail.shape[1]] += tail
        pieces.append(samples.sum(axis=0))
        tail = after
    left = np.concatenate(pieces)[: round(seconds * rate)]
    return left, float(place_hz()[place[0]])
