"""Ingest: short clips from a folder of music, and a reason for each refusal.

A few clips of two seconds are taken from each song, one at a random place of each of
its equal parts. A clip that would make a bad timbre is refused, and another is drawn.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.conversion import in_wav_order, resample, to_stereo
from effects.audio.levels import Samples, peak_db, rms_db
from effects.audio.sound_formats import (
    FOREIGN_ENDINGS,
    SoundError,
    UnsupportedError,
)
from effects.audio.sound_reader import (
    MOST_AMPLITUDE,
    opened,
    read_sound,
    read_tags,
)
from effects.audio.sound_search import list_sounds
from effects.base.errors import InputError
from effects.base.one_line import shown
from effects.base.open_file import open_regular
from effects.base.streams import Purpose, stream
from model.config import CLIP_SECONDS, SAMPLE_RATE
from model.corpus.corpus import CLIPS, MANIFEST, TIMBRES, Corpus
from model.corpus.transients import first_exceeded, transient_scores
from model.spectrum import analyse

CLIP_LENGTH = round(CLIP_SECONDS * SAMPLE_RATE)
TRIES = 12  # draws from a part of a song until it is given up
SILENCE_DBFS = -60.0
FLAT_TOPS = 5  # clipped peaks from which a clip is refused; loud masters have some
LONGEST_S = 24 * 3600.0  # a longer duration in a header is taken for damage
READ_WHOLE_S = 600.0  # longest part that is read of a file of unknown length

UNSUPPORTED = "unsupported"
BROKEN = "broken file"
TOO_SHORT = "too short"
SILENCE = "silence"
CLIPPING = "clipping"
TRANSIENT = "transient"
FADE = "fade"
DUPLICATE = "duplicate"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Refusal:
    """A file of which no clip was taken, and why.

    Attributes:
        name: of the file, printable.
        reason: one of the constants of this module, such as `SILENCE`.
        detail: a phrase that says more.
    """

    name: str
    reason: str
    detail: str


@dataclass(frozen=True)
class IngestReport:
    """The result of adding a folder to a corpus.

    Attributes:
        songs: number of files from which clips were taken.
        clips: number of clips taken.
        known: number of files whose clips the corpus had already.
        refused: files from which no clip was taken.
        draws_refused: for the other files, the number of refused draws by reason.
    """

    songs: int
    clips: int
    known: int
    refused: tuple[Refusal, ...]
    draws_refused: dict[str, int]


@dataclass(frozen=True)
class Clip:
    """Two seconds of a song.

    Attributes:
        samples: shape (n_samples, 1 or 2) at 44.1 kHz.
        start_s: place in the song, in seconds.
    """

    samples: Samples
    start_s: float


def add_folder(
    folder: Path,
    corpus: Corpus,
    *,
    clips_per_song: int,
    seed: int,
    progress: Progress | None = None,
) -> IngestReport:
    """Add clips of every song in a folder and its subfolders to a corpus.

    The places of a song's clips depend on the seed and the content of its file, not on
    its name or the other files. The clips of a song are on the disk when the next song
    begins; songs that are in the corpus already are passed over.

    Args:
        folder: a folder with sound files, or one file.
        corpus: opened for writing.
        clips_per_song: largest number of clips of a song.
        seed: of the places.
        progress: called with (files done, files in all).

    Raises:
        SoundError: there is no such folder, or no sound file in it.
        RunError: the corpus cannot be written.
    """
    paths = [path for path in list_sounds(folder) if not _is_clip_of_a_corpus(path)]
    if not paths:
        raise SoundError(f"{shown(folder)}: no sound files in this folder")
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
            rng = stream(Purpose.CLIPS, seed, int(digest[:16], 16))
            clips, reasons = take_clips(path, clips_per_song, rng)
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
    return IngestReport(n_songs, n_clips, n_known, tuple(refused), dict(again))


class RefusedError(Exception):
    """A file cannot be used; `reason` is one of the module's constants."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        RefusedError: the file cannot be read.
    """
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (InputError, OSError) as error:
        raise RefusedError(BROKEN, str(error)) from error


def take_clips(
    path: Path, n_clips: int, rng: np.random.Generator
) -> tuple[list[Clip], list[str]]:
    """Take clips of a song at random places.

    Args:
        path: of the sound file.
        n_clips: at most, one from each of as many equal parts.
        rng: draws the places.

    Returns:
        The clips in their order, and the reason for each draw that was refused.

    Raises:
        RefusedError: the file is no readable sound, or shorter than a clip.
    """
    try:
        with opened(path) as file:
            return _draw_all(_reader(path, file), n_clips, rng)
    except SoundError as error:
        detail = str(error).removeprefix(f"{shown(path)}: ")
        raise RefusedError(_kind(path, error), detail) from error


def fault(clip: Samples) -> str | None:
    """Find out why a clip would make a bad timbre.

    Args:
        clip: at 44.1 kHz, shape (n_samples, channels).

    Returns:
        One of the constants of this module, or None for a good clip.
    """
    if len(clip) < CLIP_LENGTH or not _is_sound(clip):
        return BROKEN
    clip = clip - clip.mean(axis=0)  # a DC offset is inaudible
    if rms_db(clip) < SILENCE_DBFS:
        return SILENCE
    if count_flat_tops(clip) >= FLAT_TOPS:
        return CLIPPING
    exceeded = first_exceeded(clip)
    if exceeded == "fade":
        return FADE
    return TRANSIENT if exceeded else None


def count_flat_tops(clip: Samples) -> int:
    """Count peaks that were cut off by clipping.

    A flat top is a step of at least 1 % of the amplitude followed by two of at most
    0.2 %, within 3 % of the highest or lowest sample. A sine has none: where two steps
    at its crest are that small, the one before is at most 0.6 %.

    Args:
        clip: shape (n_samples, channels); each channel is compared with its own peaks.
    """
    top, bottom = np.max(clip, axis=0), np.min(clip, axis=0)
    sounding = top > bottom  # a silent channel is flat everywhere
    clip, top, bottom = clip[:, sounding], top[sounding], bottom[sounding]
    amplitude = 0.5 * (top - bottom)
    step = np.abs(np.diff(clip, axis=0))
    flat = step <= 0.002 * amplitude
    # The steps of a quiet recording of 16 bits are as large beside its amplitude.
    corner = step[:-2] >= np.maximum(0.01 * amplitude, 3.0 / 2**15)
    level = clip[1:-2]
    at_end = (level >= top - 0.03 * amplitude) | (level <= bottom + 0.03 * amplitude)
    return int(np.count_nonzero(corner & flat[1:-1] & flat[2:] & at_end))


def _is_clip_of_a_corpus(path: Path) -> bool:
    """Whether a file is a clip that was taken before: a corpus may lie among music."""
    return any(
        clips.name == CLIPS
        and all((clips.parent / name).is_file() for name in (MANIFEST, TIMBRES))
        for clips in path.parents[:2]
    )


def known_songs(corpus: Corpus) -> set[str]:
    """Hashes of the songs that a corpus has clips of."""
    return {str(row["song_sha256"]) for row in corpus.rows() if "song_sha256" in row}


# Duration of a song in seconds, and a function that reads the clip at a start in
# seconds. The clip is empty where the file ends or is damaged.
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
        return _as_clip(in_wav_order(piece, file.format), rate)

    return seconds, read


def _length_at(rate: int) -> int:
    return int(np.ceil(CLIP_SECONDS * rate))


def _as_clip(piece: Samples, rate: int) -> Samples:
    """Convert to a clip at 44.1 kHz, mono or stereo; too short a piece gives none."""
    if len(piece) < _length_at(rate) or not _is_sound(piece):
        return piece[:0]
    if piece.shape[1] > 2:
        piece = to_stereo(piece)
    return resample(np.ascontiguousarray(piece), rate, SAMPLE_RATE)[:CLIP_LENGTH]


def _is_sound(samples: Samples) -> bool:
    """Whether all samples are finite and within what a sound file can hold."""
    return bool(np.all(np.abs(samples) <= MOST_AMPLITUDE))  # False for NaN


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
    """First and last start in seconds of a clip in each of `n` equal parts."""
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
            "title": tags.get("title") or shown(Path(path.name)),
            "artist": tags.get("artist", ""),
            "licence": tags.get("license") or tags.get("copyright", ""),
            "song_sha256": digest,
            "start_s": round(clip.start_s, 3),
            "peak_db": round(peak_db(clip.samples), 2),
            "scores": {
                name: round(score, 2)
                for name, score in asdict(transient_scores(clip.samples)).items()
            },
        }
        for clip in clips
    ]
    corpus.append(timbres, rows, audio=[flac_bytes(clip.samples) for clip in clips])


def flac_bytes(clip: Samples) -> bytes:
    """A clip as a FLAC file of 16 bits."""
    import soundfile

    file = BytesIO()
    soundfile.write(file, clip, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _main_reason(reasons: list[str]) -> tuple[str, str]:
    reason, n = Counter(reasons).most_common(1)[0]
    return reason, f"{n} of {len(reasons)} clips drawn from it refused for this"


def _kind(path: Path, error: SoundError) -> str:
    foreign = path.suffix.lower() in FOREIGN_ENDINGS
    return UNSUPPORTED if foreign or isinstance(error, UnsupportedError) else BROKEN
