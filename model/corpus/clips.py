"""Taking clips of a song: places drawn by chance, and drawn again where one is bad.

Of those that pass, the ones close to a limit are the most likely to be mistakes. So a
place that hardly passes is compared with one or two others, and the surest is taken.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from effects.audio.conversion import in_wav_order, resample, to_stereo
from effects.audio.levels import Samples
from effects.audio.sound_formats import SoundError, UnsupportedError
from effects.audio.sound_reader import opened, read_sound, tags_of
from effects.base.one_line import shown
from model.config import CLIP_SECONDS, SAMPLE_RATE
from model.corpus.faults import (
    BROKEN,
    CLIP_LENGTH,
    TOO_SHORT,
    UNSUPPORTED,
    RefusedError,
    fault_and_scores,
    is_sound,
)
from model.corpus.transients import TransientScores, transience

TRIES = 12  # draws from a part of a song until it is given up
NEAR_TRIES = 12  # then draws from around the clips that were taken
MORE_TRIES = 24  # and then draws from anywhere
NEAR_S = 10.0  # how far around
SURE = 0.75  # of the limits: a clip whose scores are under it is taken at once
ONE_PLACE_S = 0.1  # where starts lie so close together, one is as good as another
COMPARED = 3  # clips that pass, at most, of which the surest is taken
# Where hardly any draw is good, those that pass are the mistakes of the tests.
FEWEST_GOOD = 1.0 / 30.0  # share of the draws
LONGEST_S = 24 * 3600.0  # a longer duration in a header is taken for damage
READ_WHOLE_S = 600.0  # longest part that is read of a file of unknown length


@dataclass(frozen=True)
class Clip:
    """Two seconds of a song.

    Attributes:
        samples: shape (n_samples, 1 or 2) at 44.1 kHz.
        start_s: place in the song, in seconds.
        scores: how far it is from a sustained sound.
    """

    samples: Samples
    start_s: float
    scores: TransientScores


@dataclass(frozen=True)
class OpenSong:
    """A song of which clips can be read.

    Attributes:
        seconds: its length.
        tags: its text tags.
        read: reads a clip at a start in seconds; it is empty where the file ends or is
            damaged.
    """

    seconds: float
    tags: dict[str, str]
    read: Callable[[float], Samples]


@contextmanager
def open_song(path: Path) -> Iterator[OpenSong]:
    """Open a song to read clips of it.

    Raises:
        RefusedError: the file is no readable sound.
    """
    try:
        with opened(path) as file:
            seconds, read = _reader(path, file)
            yield OpenSong(seconds, tags_of(file), read)
    except SoundError as error:
        detail = str(error).removeprefix(f"{shown(path)}: ")
        kind = UNSUPPORTED if isinstance(error, UnsupportedError) else BROKEN
        raise RefusedError(kind, detail) from error


def take_clips(
    path: Path, n_clips: int, rng: np.random.Generator
) -> tuple[list[Clip], list[str]]:
    """Take clips of the song in a file, as `draw_clips` does.

    Raises:
        RefusedError: the file is no readable sound, or shorter than a clip.
    """
    with open_song(path) as song:
        return draw_clips(song, n_clips, rng)


def draw_clips(
    song: OpenSong, n_clips: int, rng: np.random.Generator
) -> tuple[list[Clip], list[str]]:
    """Take clips of a song at random places.

    Args:
        song: that is open.
        n_clips: at most: one from each of as many equal parts, and for a part that has
            none another one, from around those that were taken or from anywhere.
        rng: draws the places.

    Returns:
        The clips in their order, none of which overlap, and the reason for each draw
        that was refused. No clips where nearly all draws were.

    Raises:
        RefusedError: the song is shorter than a clip.
    """
    seconds = song.seconds
    if seconds < CLIP_SECONDS:
        raise RefusedError(TOO_SHORT, f"{seconds:.1f} s, a clip is {CLIP_SECONDS:g} s")
    clips: list[Clip] = []
    reasons: list[str] = []
    n_good = 0

    def draw(first_s: float, last_s: float, tries: int) -> None:
        nonlocal n_good
        passed = _draw(song, (first_s, last_s), tries, clips, rng, reasons)
        n_good += len(passed)
        clips.extend(sorted(passed, key=lambda clip: transience(clip.scores))[:1])

    n_parts = min(n_clips, int(seconds / CLIP_SECONDS))
    part = seconds / n_parts
    for number in range(n_parts):
        first_s = number * part
        draw(first_s, max(first_s, first_s + part - CLIP_SECONDS), TRIES)
    latest = seconds - CLIP_SECONDS
    for _ in range(n_parts - len(clips) if clips else 0):
        n_before = len(clips)
        near = clips[rng.integers(n_before)].start_s
        draw(max(0.0, near - NEAR_S), min(latest, near + NEAR_S), NEAR_TRIES)
        if len(clips) == n_before:
            draw(0.0, latest, MORE_TRIES)
    if n_good < FEWEST_GOOD * (n_good + len(reasons)):
        clips = []
    return sorted(clips, key=lambda clip: clip.start_s), reasons


def _draw(
    song: OpenSong,
    within_s: tuple[float, float],
    tries: int,
    taken: list[Clip],
    rng: np.random.Generator,
    reasons: list[str],
) -> list[Clip]:
    """Draw clips until one surely passes, or some hardly do.

    Args:
        song: that is open.
        within_s: first and last start, in seconds.
        tries: draws at most.
        taken: clips that none may overlap.
        rng: draws the starts.
        reasons: the reason for each draw that is refused is added.
    """
    passed: list[Clip] = []
    for _ in range(tries):
        start_s = float(rng.uniform(*within_s))
        if any(abs(start_s - other.start_s) < CLIP_SECONDS for other in taken):
            continue
        samples = song.read(start_s)
        reason, scores = fault_and_scores(samples)
        if reason is not None:
            reasons.append(reason)
            continue
        passed.append(Clip(samples, start_s, scores))
        is_one_place = within_s[1] - within_s[0] < ONE_PLACE_S
        if is_one_place or transience(scores) <= SURE or len(passed) == COMPARED:
            break
    return passed


def _reader(path: Path, file: Any) -> tuple[float, Callable[[float], Samples]]:
    rate = int(file.samplerate)
    seconds = file.frames / rate
    if not file.seekable() or not 0.0 < seconds <= LONGEST_S:
        samples, _ = read_sound(path, max_seconds=READ_WHOLE_S)

        def cut(start_s: float) -> Samples:
            first = int(start_s * rate)
            return samples[first : first + _length_at(rate)]

        return len(samples) / rate, lambda start_s: _as_clip(cut(start_s), rate)

    def read(start_s: float) -> Samples:
        import soundfile

        try:
            file.seek(int(start_s * rate))
            piece = file.read(_length_at(rate), dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, AssertionError, ValueError):
            return np.zeros((0, 1), np.float32)
        return _as_clip(in_wav_order(piece, file.format), rate)

    return seconds, read


def _length_at(rate: int) -> int:
    return int(np.ceil(CLIP_SECONDS * rate))


def _as_clip(piece: Samples, rate: int) -> Samples:
    """Convert to a clip at 44.1 kHz, mono or stereo; too short a piece gives none."""
    if len(piece) < _length_at(rate) or not is_sound(piece):
        return piece[:0]
    if piece.shape[1] > 2:
        piece = to_stereo(piece)
    return resample(np.ascontiguousarray(piece), rate, SAMPLE_RATE)[:CLIP_LENGTH]
