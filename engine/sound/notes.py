"""Notes in the frames of a slab."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.sound.frames import SLAB_FRAMES, Frames
from engine.sound.synthesis import Partials
from engine.sound.tones import (
    BREATH_LIFE_S,
    Tone,
    breath_envelope,
    envelope,
)
from model.spectrum import bin_power

FAINTEST = 10.0 ** (-60.0 / 20.0)  # amplitude of a note's partial beside the note

Powers = NDArray[np.float64]


@dataclass(frozen=True)
class SlabNotes:
    """Notes in the frames of a slab.

    Attributes:
        partials: of all of them.
        breath: mean square in each bin, shape (SLAB_FRAMES, n_bins); None is none.
    """

    partials: Partials
    breath: NDArray[np.float32] | None


def play(
    tones: list[Tone],
    seconds: Powers,
    level: Powers,
    share: NDArray[np.float32],
    space: float,
    frames: Frames,
) -> SlabNotes:
    """Notes in the frames of a slab.

    Args:
        tones: of each note.
        seconds: since it began, shape (n, SLAB_FRAMES).
        level: of each, LUFS.
        share: amplitude that their song has, shape (SLAB_FRAMES,).
        space: 0..1, amplitude of the diffuse tail.
        frames: of the sample rate.
    """
    gain = 10.0 ** (level / 20.0)
    counts = [len(tone.places) for tone in tones]
    note = np.repeat(np.arange(len(tones)), counts)
    amplitude = np.concatenate([tone.amplitude for tone in tones])
    amplitude *= gain.astype(np.float32)[note]
    amplitude[np.concatenate([tone.is_space for tone in tones])] *= np.float32(space)
    attack = np.concatenate([tone.attack for tone in tones])
    decay = np.concatenate([tone.decay for tone in tones])
    # Only what is still heard: most of a note's partials are gone soon.
    latest = np.maximum(seconds[note, 0] - attack, 0.0) / decay
    heard = np.flatnonzero(amplitude > FAINTEST * gain[note] * np.exp(latest))
    note = note[heard]
    moving = envelope(seconds[note], attack[heard], decay[heard])
    moving *= amplitude[heard, None]
    moving *= share
    pan = np.array([tone.pan for tone in tones], np.float32)
    breath = None
    for tone, when, by in zip(tones, seconds, gain, strict=True):
        if tone.breath is None:
            continue
        if when[0] < BREATH_LIFE_S and when[-1] > 0.0:
            colour = bin_power(tone.breath, frames.length, frames.sample_rate)
            power = breath_envelope(when[None])[0] * np.float32(by * by)
            power *= share * share
            if breath is None:
                breath = np.zeros((SLAB_FRAMES, frames.n_bins), np.float32)
            breath += np.outer(power, colour.astype(np.float32))
    return SlabNotes(
        Partials(
            np.concatenate([tone.places for tone in tones])[heard],
            np.concatenate([tone.phases for tone in tones])[heard],
            np.concatenate([tone.sides for tone in tones])[heard],
            moving,
            np.broadcast_to(pan[:, None], (len(tones), SLAB_FRAMES)),
            note,
        ),
        breath,
    )
