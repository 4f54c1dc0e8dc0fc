"""Faults of clips: why two seconds of a song would make a bad timbre."""

import numpy as np

from effects.audio.levels import Samples, rms_db
from effects.audio.sound_reader import MOST_AMPLITUDE
from model.config import CLIP_SECONDS, SAMPLE_RATE
from model.corpus.transients import TransientScores, scores_to_exceeded

CLIP_LENGTH = round(CLIP_SECONDS * SAMPLE_RATE)
SILENCE_DBFS = -60.0
FLAT_TOPS = 5  # clipped peaks from which a clip is refused; loud masters have some

UNSUPPORTED = "unsupported"
BROKEN = "broken file"
TOO_SHORT = "too short"
SILENCE = "silence"
CLIPPING = "clipping"
TRANSIENT = "transient"
FADE = "fade"
DUPLICATE = "duplicate"


class RefusedError(Exception):
    """A file cannot be used; `reason` is one of the module's constants."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def fault_and_scores(clip: Samples) -> tuple[str | None, TransientScores]:
    """Find out why a clip would make a bad timbre.

    Args:
        clip: at 44.1 kHz, shape (n_samples, channels).

    Returns:
        One of the constants of this module, or None for a good clip; and its scores,
        which are all taken of a good clip only.
    """
    if len(clip) < CLIP_LENGTH or not is_sound(clip):
        return BROKEN, TransientScores()
    clip = clip - clip.mean(axis=0)  # a DC offset is inaudible
    if rms_db(clip) < SILENCE_DBFS:
        return SILENCE, TransientScores()
    if count_flat_tops(clip) >= FLAT_TOPS:
        return CLIPPING, TransientScores()
    exceeded, scores = scores_to_exceeded(clip)
    if exceeded is None:
        return None, scores
    return FADE if exceeded == "fade" else TRANSIENT, scores


def is_sound(samples: Samples) -> bool:
    """Whether all samples are finite and within what a sound file can hold."""
    return bool(np.all(np.abs(samples) <= MOST_AMPLITUDE))  # False for NaN


def count_flat_tops(clip: Samples) -> int:
    """Count peaks that were cut off by clipping.

    A flat top is a step of at least 1 % of the amplitude followed by two of at most
    0.2 %, within 3 % of the highest or lowest sample. A sine has none: where two steps
    at its crest are that small, the one before is at most 0.6 %. Other waves may come
    to one by chance, and if they repeat to the sample, they do so in each period: tops
    that are alike count once.

    Args:
        clip: shape (n_samples, channels); each channel is compared with its own peaks.
    """
    top, bottom = np.max(clip, axis=0), np.min(clip, axis=0)
    sounding = top > bottom  # a silent channel is flat everywhere
    clip, top, bottom = clip[:, sounding], top[sounding], bottom[sounding]
    amplitude = 0.5 * (top - bottom)
    step = np.diff(clip, axis=0) / amplitude
    size = np.abs(step)
    flat = size <= 0.002
    # The steps of a quiet recording of 16 bits are as large beside its amplitude.
    corner = size[:-2] >= np.maximum(0.01, 3.0 / 2**15 / amplitude)
    level = clip[1:-2]
    at_end = (level >= top - 0.03 * amplitude) | (level <= bottom + 0.03 * amplitude)
    places, channels = np.nonzero(corner & flat[1:-1] & flat[2:] & at_end)
    # Of quantised waves, two periods differ by some steps of 16 bits.
    unit = 8.0 / 2**15 / amplitude[channels]
    shapes = np.round(step[places, channels] / np.maximum(unit, 0.001))
    return len(set(zip(channels.tolist(), shapes.tolist(), strict=True)))
