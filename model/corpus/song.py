"""What becomes of one song: a pure function of its file, fit for any machine."""

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.credits import credits_of_name
from effects.audio.levels import Samples, peak_db
from effects.base.errors import InputError
from effects.base.one_line import shown
from effects.base.open_file import open_regular
from effects.base.streams import Purpose, stream
from model.config import SAMPLE_RATE
from model.corpus.clips import Clip, OpenSong, draw_clips, open_song
from model.corpus.faults import BROKEN, RefusedError
from model.corpus.fingerprint import fingerprint, to_text
from model.spectrum import analyse


@dataclass(frozen=True)
class SongTask:
    """A file to be examined.

    Attributes:
        path: of the file.
        clips: number of clips that are taken of it, if it is not long.
        every_s: one clip for each so many seconds is taken of a long one.
        seed: of the places.
    """

    path: str
    clips: int
    every_s: float
    seed: int


@dataclass(frozen=True)
class ExaminedSong:
    """What was found in a file.

    Attributes:
        sha256: of the file; empty if it could not be read.
        seconds: length of the song.
        fingerprint: as a text; empty if there is none.
        wanted: number of clips that were to be taken.
        reason: why no clip was taken, as a constant of `faults`; empty if some were.
        detail: a phrase that says more.
        rows: a description of each clip, for the manifest.
        timbres: of the clips, shape (n, n_bands).
        audio: of the clips, as FLAC files.
        draws_refused: number of refused draws by reason.
    """

    sha256: str = ""
    seconds: float = 0.0
    fingerprint: str = ""
    wanted: int = 0
    reason: str = ""
    detail: str = ""
    rows: tuple[dict[str, Any], ...] = ()
    timbres: NDArray[np.float32] | None = None
    audio: tuple[bytes, ...] = ()
    draws_refused: dict[str, int] = field(default_factory=dict)


def examine(task: SongTask) -> ExaminedSong:
    """Take clips of a song, and its fingerprint.

    The places depend on the seed and the content of the file, not on its name.
    """
    path = Path(task.path)
    digest = ""
    try:
        digest = file_hash(path)
        with open_song(path) as song:
            n_clips = max(task.clips, ceil(song.seconds / task.every_s))
            rng = stream(Purpose.CLIPS, task.seed, int(digest[:16], 16))
            clips, reasons = draw_clips(song, n_clips, rng)
            made = to_text(fingerprint(song.seconds, song.read))
            rows = [_row(path, digest, song, clip) for clip in clips]
    except RefusedError as error:
        return ExaminedSong(digest, reason=error.reason, detail=str(error))
    found = ExaminedSong(digest, song.seconds, made, n_clips)
    if not clips:
        reason, n = Counter(reasons).most_common(1)[0]
        detail = f"{n} of {len(reasons)} clips drawn from it refused for this"
        return replace(found, reason=reason, detail=detail)
    return replace(
        found,
        rows=tuple(rows),
        timbres=np.stack([analyse(clip.samples) for clip in clips]),
        audio=tuple(flac_bytes(clip.samples) for clip in clips),
        draws_refused=dict(Counter(reasons)),
    )


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        RefusedError: the file cannot be read.
    """
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (InputError, OSError) as error:
        detail = str(error).removeprefix(f"{shown(path)}: ")
        raise RefusedError(BROKEN, detail) from error


def flac_bytes(clip: Samples) -> bytes:
    """A clip as a FLAC file of 16 bits."""
    import soundfile

    file = BytesIO()
    soundfile.write(file, clip, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def path_text(path: Path) -> str:
    """A path as a text that any JSON reader takes, whatever bytes it has."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _row(path: Path, digest: str, song: OpenSong, clip: Clip) -> dict[str, Any]:
    named, tags = credits_of_name(path), song.tags
    scores = asdict(clip.scores)
    return {
        "source": "song",
        "group": digest[:16],
        "path": path_text(path.absolute()),
        "title": tags.get("title") or named.get("title") or shown(Path(path.name)),
        "artist": tags.get("artist") or named.get("artist", ""),
        "album": tags.get("album", ""),
        "licence": tags.get("license") or tags.get("copyright", ""),
        "source_url": named.get("source_url", ""),
        "duration_s": round(song.seconds, 3),
        "start_s": round(clip.start_s, 3),
        "peak_db": round(peak_db(clip.samples), 2),
        "scores": {name: round(score, 2) for name, score in scores.items()},
        "song_sha256": digest,
    }
