"""Songs in: short clips from a folder of music, and a reason for what is refused.

From each song a few clips of two seconds are taken, one from each equal part of it,
where chance says; a clip that would make a bad timbre is refused and drawn again.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.conversion import resample
from effects.audio.levels import Samples, peak_db, rms_db
from effects.audio.sound_formats import FOREIGN_ENDINGS, SoundError
from effects.audio.sound_reader import (
    LOUDEST,
    UnsupportedError,
    list_sounds,
    opened,
    read_sound,
    read_tags,
)
from effects.base.one_line import shown
from model.config import CLIP_SECONDS, SAMPLE_RATE
from model.corpus.corpus import Corpus
from model.corpus.transients import has_transient
from model.spectrum import analyse

CLIP_LENGTH = round(CLIP_SECONDS * SAMPLE_RATE)
TRIES = 6  # draws from one part of a song before that part is given up
SILENCE_DBFS = -60.0
FLAT_TOPS = 5  # clipped peaks in a clip; a mastered song has one now and then
LONGEST_S = 24 * 3600.0  # a header that says more is not believed
READ_WHOLE_S = 600.0  # how much is read of a file whose length is unknown

UNSUPPORTED = "unsupported"
BROKEN = "broken file"
TOO_SHORT = "too short"
SILENCE = "silence"
CLIPPING = "clipping"
TRANSIENT = "transient"
DUPLICATE = "duplicate"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Refusal:
    """Something of which no clip was taken, and why.

    Attributes:
        name: of the file, fit to be shown.
        reason: one of the constants of this module.
        detail: what was found there, in words.
    """

    name: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Report:
    """What became of a folder.

    Attributes:
        songs: files from which clips were taken.
        clips: that were taken.
        known: files that had been taken before and were passed over.
        refused: files from which nothing was taken.
        draws_refused: reason -> how often it was met, in songs that were taken.
    """

    songs: int
    clips: int
    known: int
    refused: tuple[Refusal, ...]
    draws_refused: dict[str, int]


@dataclass(frozen=True)
class Clip:
    """Two seconds of a song: (n_samples, 1 or 2) at 44.1 kHz, from `start_s` on."""

    samples: Samples
    start_s: float


def add_folder(
    folder: Path,
    corpus: Corpus,
    *,
    clips_per_song: int,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> Report:
    """Take clips from every song in a folder and below into a corpus.

    Which clips are taken from a song follows from `rng` and what is in the file, so
    neither its name nor its neighbours matter. Each song is in the corpus for good
    as soon as it is done; songs of the corpus are not taken again.

    Args:
        folder: searched for sound files; or one file.
        corpus: to be added to.
        clips_per_song: at most.
        rng: of all chance.
        progress: called with (files done, files in all).

    Raises:
        SoundError: there is no such folder, or no sound file in it.
    """
    paths = list_sounds(folder)
    if not paths:
        raise SoundError(f"{shown(folder)}: no sound files in this folder")
    salt = int(rng.integers(2**63))
    before = known_songs(corpus)
    seen: set[str] = set()
    refused: list[Refusal] = []
    again: Counter[str] = Counter()
    n_songs = n_clips = n_known = 0
    for done, path in enumerate(paths):
        if progress is not None:
            progress(done, len(paths))
        try:
            digest = file_hash(path)
            if digest in before:
                n_known += 1
                continue
            if digest in seen:
                raise RefusedError(
                    DUPLICATE, "the same file is there under another name"
                )
            seen.add(digest)
            song_rng = np.random.default_rng([salt, int(digest[:16], 16)])
            clips, reasons = take_clips(path, clips_per_song, song_rng)
        except RefusedError as error:
            refused.append(Refusal(shown(path), error.reason, str(error)))
            continue
        if not clips:
            refused.append(Refusal(shown(path), *_main_reason(reasons)))
            continue
        again.update(reasons)
        _append(corpus, path, digest, clips)
        n_songs, n_clips = n_songs + 1, n_clips + len(clips)
    if progress is not None:
        progress(len(paths), len(paths))
    return Report(n_songs, n_clips, n_known, tuple(refused), dict(again))


class RefusedError(Exception):
    """A whole file cannot be used; `reason` is one of the module's constants."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def file_hash(path: Path) -> str:
    """SHA-256 of a regular file, in hexadecimal.

    Raises:
        RefusedError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RefusedError(BROKEN, error.strerror or "cannot be read") from error


def take_clips(
    path: Path, n_clips: int, rng: np.random.Generator
) -> tuple[list[Clip], list[str]]:
    """Clips of a song, at most `n_clips`, in order; and why others were refused.

    Raises:
        RefusedError: not a sound that can be read, or shorter than a clip.
    """
    try:
        with opened(path) as file:
            return _draw_all(_reader(path, file), n_clips, rng)
    except SoundError as error:
        detail = str(error).removeprefix(f"{shown(path)}: ")
        raise RefusedError(_kind(path, error), detail) from error


def fault(clip: Samples) -> str | None:
    """Why a clip would make a bad timbre, or None.

    Args:
        clip: at 44.1 kHz, shape (n_samples, channels).
    """
    if len(clip) < CLIP_LENGTH or not _is_sound(clip):
        return BROKEN
    if rms_db(clip - clip.mean(axis=0)) < SILENCE_DBFS:  # an offset is not heard
        return SILENCE
    if count_flat_tops(clip) >= FLAT_TOPS:
        return CLIPPING
    if has_transient(clip):
        return TRANSIENT
    return None


def count_flat_tops(clip: Samples) -> int:
    """Peaks that were cut off: a steep rise to the clip's peak that stays there.

    Counts places where a step of at least 1 % of the peak is followed by two of at
    most 0.2 %, at 97 % of the peak or more. No sine does so: two steps that flat at
    its crest mean that the one before is at most 0.6 %.

    Args:
        clip: shape (n_samples, channels); the peak is that of each channel.
    """
    level = np.abs(clip)
    peak = np.max(level, axis=0, keepdims=True)
    step = np.abs(np.diff(clip, axis=0))
    flat = step <= 0.002 * peak
    at_top = level[1:-2] >= 0.97 * peak
    corner = step[:-2] >= 0.01 * peak
    return int(np.count_nonzero(corner & flat[1:-1] & flat[2:] & at_top))


def known_songs(corpus: Corpus) -> set[str]:
    """Hashes of the songs that a corpus has clips of."""
    return {str(row["song_sha256"]) for row in corpus.rows() if "song_sha256" in row}


# A song to be cut: its seconds, and a function from a start in seconds to a clip,
# shorter than a clip where the file has an end or a hole.
Reader = tuple[float, Callable[[float], Samples]]


def _reader(path: Path, file: Any) -> Reader:
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
        return _as_clip(piece, rate)

    return seconds, read


def _length_at(rate: int) -> int:
    return int(np.ceil(CLIP_SECONDS * rate))


def _as_clip(piece: Samples, rate: int) -> Samples:
    """At 44.1 kHz, mono or stereo, no longer than a clip."""
    if len(piece) < _length_at(rate) or not _is_sound(piece):
        return piece[:0]
    if piece.shape[1] > 2:
        piece = np.stack([piece[:, 0::2].mean(1), piece[:, 1::2].mean(1)], axis=1)
    return resample(np.ascontiguousarray(piece), rate, SAMPLE_RATE)[:CLIP_LENGTH]


def _is_sound(samples: Samples) -> bool:
    """Whether samples are numbers of which a sound can consist; NaN compares false."""
    return bool(np.all(np.abs(samples) <= LOUDEST))


def _draw_all(
    reader: Reader, n_clips: int, rng: np.random.Generator
) -> tuple[list[Clip], list[str]]:
    seconds, read = reader
    if seconds < CLIP_SECONDS:
        raise RefusedError(TOO_SHORT, f"{seconds:.1f} s, a clip is {CLIP_SECONDS:g} s")
    n_parts = min(n_clips, int(seconds / CLIP_SECONDS))
    clips: list[Clip] = []
    reasons: list[str] = []
    for start_s, last_s in _parts(seconds, n_parts):
        for _ in range(TRIES):
            drawn_s = float(rng.uniform(start_s, last_s))
            samples = read(drawn_s)
            reason = fault(samples)
            if reason is None:
                clips.append(Clip(samples, drawn_s))
                break
            reasons.append(reason)
    return clips, reasons


def _parts(seconds: float, n: int) -> Iterator[tuple[float, float]]:
    """First and last start of a clip within each of `n` equal parts of a song."""
    part = seconds / n
    for number in range(n):
        yield number * part, max(number * part, (number + 1) * part - CLIP_SECONDS)


def _append(corpus: Corpus, path: Path, digest: str, clips: list[Clip]) -> None:
    timbres: NDArray[np.float32] = np.stack([analyse(clip.samples) for clip in clips])
    tags = read_tags(path)
    rows = [
        {
            "source": "song",
            "group": digest[:16],
            "song": tags.get("title") or shown(Path(path.name)),
            "author": tags.get("artist", ""),
            "licence": tags.get("license") or tags.get("copyright", ""),
            "song_sha256": digest,
            "start_s": round(clip.start_s, 3),
            "peak_db": round(peak_db(clip.samples), 2),
        }
        for clip in clips
    ]
    corpus.append(timbres, rows, audio=[clip.samples for clip in clips])


def _main_reason(reasons: list[str]) -> tuple[str, str]:
    reason, n = Counter(reasons).most_common(1)[0]
    return reason, f"{n} of {len(reasons)} clips drawn from it refused for this"


def _kind(path: Path, error: SoundError) -> str:
    foreign = path.suffix.lower() in FOREIGN_ENDINGS
    return UNSUPPORTED if foreign or isinstance(error, UnsupportedError) else BROKEN
