"""Songs that start from a sound: the point where the model hears it, and its nearness.

The point travels as a short text, so that a song card gives the song again without
the sound's file.
"""

import base64
import binascii
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from effects.audio.sound_reader import read_sound
from effects.base.errors import InputError
from effects.base.one_line import shown
from model.config import SAMPLE_RATE
from model.inference import TimbreModel
from model.spectrum import CLIP_LENGTH, analyse

CLIPS = 8  # of the sound, spread over it
QUIET_DB = 30.0  # a clip further under the loudest says nothing of the sound
STEPS = 24.0  # of a text to one standard deviation of a latent: one byte holds 5.2
CROWD = 8  # prior samples for each that is kept, the nearest
NEARNESS = 0.7  # how far those are drawn to the point

Latents = NDArray[np.float32]  # (n, n_latents)


def hear(model: TimbreModel, path: Path) -> str:
    """Where the model hears a sound file, as a text.

    The mean latent of clips spread over the sound, those of silence left out.

    Raises:
        InputError: the file cannot be read, or is silent.
    """
    samples, _ = read_sound(path, sample_rate=SAMPLE_RATE)
    last = max(0, len(samples) - CLIP_LENGTH)
    starts = np.unique(np.linspace(0, last, CLIPS).astype(int))
    clips = [samples[start : start + CLIP_LENGTH] for start in starts]
    power = np.array([np.mean(np.square(clip, dtype=np.float64)) for clip in clips])
    if power.max() < 1e-9:
        raise InputError(f"{shown(path)}: is silent; name a sound that can be heard")
    heard = np.flatnonzero(power > power.max() * 10.0 ** (-QUIET_DB / 10.0))
    timbres = np.stack([analyse(clips[i], model.axis) for i in heard])
    return text_of(model.encode(timbres)[0].mean(axis=0))


def text_of(point: NDArray[np.float32]) -> str:
    """A point of shape (n_latents,) as a text: 44 characters for 32 latents."""
    steps = np.clip(np.round(point * STEPS), -127, 127).astype(np.int8)
    return base64.urlsafe_b64encode(steps.tobytes()).decode("ascii")


def point_of(text: str, n_latents: int) -> NDArray[np.float32]:
    """The point that a text holds, shape (n_latents,).

    Raises:
        InputError: it holds none, or one of another model.
    """
    try:
        content = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"likeness {text!r:.60}: damaged") from None
    if len(content) != n_latents:
        raise InputError(
            f"likeness of {len(content)} latents; the model has {n_latents}"
        )
    steps = np.frombuffer(content, np.int8)
    return steps.astype(np.float32) / np.float32(STEPS)


def candidates(
    model: TimbreModel, like: str, n: int, rng: np.random.Generator
) -> Latents:
    """Sounds to choose a song's from, shape (n, n_latents).

    Args:
        model: timbre space.
        like: text of a point, or nothing for sounds from everywhere.
        n: how many.
        rng: draws them.

    Raises:
        InputError: `like` is no point of this model.
    """
    if not like:
        return model.sample(n, rng)
    point = point_of(like, model.n_latents)
    crowd = model.sample(CROWD * n, rng)
    nearest = np.argsort(np.square(crowd - point).sum(axis=1), kind="stable")[:n]
    chosen: Latents = crowd[np.sort(nearest)]
    drawn: Latents = chosen + np.float32(NEARNESS) * (point - chosen)
    return drawn
