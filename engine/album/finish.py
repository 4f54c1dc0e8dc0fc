"""Finishing an album: order, gaps, loudness, names, tags, cover, cue sheet, playlist.

The songs are copied, sample by sample, and stay where they are. Each is followed by
a gap and filled to a whole number of frames of a compact disc, so that played without
a pause the album is in time with its cue sheet.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.replaygain import LoudnessMeter
from effects.audio.sound_writer import whole_sound_file
from effects.base.errors import InputError, RunError
from engine.album.make import WORK
from engine.album.order import Placeable, arranged
from engine.album.picture import can_draw, draw_cover
from engine.album.plan import write_text
from engine.album.review import Review
from engine.album.titles import title_for
from engine.recording.naming import safe_stem

FINISHED = "album"
GAP_S = 1.0  # of silence behind each song
CUE_FRAMES = 75  # a second
MOST_CUE_TRACKS = 99
COVER = "cover.png"

_OURS = frozenset({".flac", ".cue", ".m3u8", ".png", ".card"})

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Track:
    """A song of the finished album.

    Attributes:
        number: from 1.
        title: of the song.
        source: file it is copied from.
        name: of the file it is copied to.
        row: of the album's state.
    """

    number: int
    title: str
    source: Path
    name: str
    row: dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """A finished album: where, its tracks in order, and its length in seconds."""

    folder: Path
    tracks: tuple[Track, ...]
    seconds: float


def tracks_of(review: Review) -> list[Track]:
    """The songs that were chosen, in the order of the album, named.

    Raises:
        InputError: no song was chosen.
    """
    songs = review.chosen()
    if not songs:
        raise InputError(f"{review.folder}: no song was kept, and none passed the gate")
    order = arranged(
        [
            Placeable(row["key"].split()[0], float(row["measures"]["brightness"]))
            for row in songs
        ]
    )
    titles = {
        row["number"]: name
        for row in songs
        if (name := review.verdict(row["number"]).name)
    }
    tracks = []
    for place, index in enumerate(order, 1):
        row = songs[index]
        if row["number"] not in titles:
            titles[row["number"]] = title_for(row["seed"], titles.values())
        title = titles[row["number"]]
        digits = max(2, len(str(len(songs))))
        name = f"{place:0{digits}d} - {safe_stem(title)}.flac"
        tracks.append(Track(place, title, review.folder / row["file"], name, row))
    return tracks


def finish(
    folder: Path,
    *,
    title: str = "",
    artist: str = "Latent",
    gap_s: float = GAP_S,
    progress: Progress | None = None,
) -> Finished:
    """Make the finished album of a folder, in `folder/album`, in place of an older one.

    Args:
        folder: of the album, made and, if anybody liked, reviewed.
        title: of the album; the folder's name by default.
        artist: of all songs.
        gap_s: seconds of silence behind each song.
        progress: told tracks done and in all.

    Raises:
        InputError: there is nothing to finish, or `folder/album` holds other files.
        RunError: mutagen is not there, or writing failed.
    """
    if find_spec("mutagen") is None:
        raise RunError("tags need mutagen; 'pip install latent[album]' adds it")
    review = Review(folder)
    title = title or folder.resolve().name
    tracks = tracks_of(review)
    home = folder / FINISHED
    _check_replaceable(home)
    cover = _cover(folder, tracks)
    with _replacing(home) as new:
        gains, lengths = _copied(tracks, new, gap_s, progress)
        for track, gain in zip(tracks, gains, strict=True):
            _tag(new / track.name, track, len(tracks), title, artist, gain, cover)
        if cover:
            (new / COVER).write_bytes(cover)
        stem = safe_stem(title)
        if len(tracks) <= MOST_CUE_TRACKS:
            write_text(new / f"{stem}.cue", _cue(tracks, title, artist))
        write_text(new / f"{stem}.m3u8", _playlist(tracks, lengths, artist))
    return Finished(home, tuple(tracks), sum(lengths))


def _copied(
    tracks: Sequence[Track], new: Path, gap_s: float, progress: Progress | None
) -> tuple[list[dict[str, str]], list[float]]:
    """Copy all tracks; their ReplayGain tags, and their lengths in seconds."""
    import soundfile as sf

    meter: LoudnessMeter | None = None
    gains, lengths = [], []
    for done, track in enumerate(tracks, 1):
        try:
            # As whole numbers: through floats, loud samples lose their last bit.
            samples, rate = sf.read(track.source, dtype="int32", always_2d=True)
        except (sf.LibsndfileError, OSError) as error:
            raise InputError(f"{track.source}: cannot be read as audio") from error
        samples = followed_by_gap(samples, rate, gap_s)
        with whole_sound_file(new / track.name, rate) as write:
            write(samples)
        meter = meter or LoudnessMeter(rate)
        for start in range(0, len(samples), rate):
            meter.add((samples[start : start + rate] / 2.0**31).astype(np.float32))
        gains.append(dict(meter.track_tags()))
        lengths.append(len(samples) / rate)
        meter.next_track()
        if progress:
            progress(done, len(tracks))
    album = dict(meter.album_tags()) if meter else {}
    return [{**gain, **album} for gain in gains], lengths


def followed_by_gap(
    samples: NDArray[Any], sample_rate: int, gap_s: float
) -> NDArray[Any]:
    """A song with silence behind it, up to a whole frame of a compact disc."""
    length = len(samples) + round(gap_s * sample_rate)
    if sample_rate % CUE_FRAMES == 0:
        frame = sample_rate // CUE_FRAMES
        length = -(-length // frame) * frame
    return np.pad(samples, ((0, length - len(samples)), (0, 0)))


def _tag(
    path: Path,
    track: Track,
    n_tracks: int,
    album: str,
    artist: str,
    gain: dict[str, str],
    cover: bytes,
) -> None:
    from mutagen.flac import FLAC, Picture

    try:
        file = FLAC(path)
        file["title"] = track.title
        file["artist"] = file["albumartist"] = artist
        file["album"] = album
        file["tracknumber"] = str(track.number)
        file["tracktotal"] = str(n_tracks)
        file["date"] = datetime.now(UTC).date().isoformat()
        file["genre"] = "Ambient"
        file["initialkey"] = track.row["key"]
        card = track.source.with_suffix(".card")
        if card.is_file():
            file["comment"] = card.read_text(encoding="utf-8")
        for name, value in gain.items():
            file[name] = value
        if cover:
            picture = Picture()
            picture.type = 3  # front cover
            picture.mime, picture.desc, picture.data = "image/png", "Cover", cover
            picture.width, picture.height = _png_size(cover)
            picture.depth = 24
            file.add_picture(picture)
        file.save()
    except OSError as error:
        raise RunError(f"{path}: tags could not be written") from error


def _cover(folder: Path, tracks: Sequence[Track]) -> bytes:
    """The album's cover; empty where it cannot be drawn."""
    stems = [track.source.stem for track in tracks]
    spectra = [folder / WORK / f"{stem}.npy" for stem in stems]
    if not can_draw() or not all(path.is_file() for path in spectra):
        return b""
    return draw_cover([np.load(path, allow_pickle=False) for path in spectra])


def _png_size(content: bytes) -> tuple[int, int]:
    """Width and height of a PNG, from its header."""
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def _cue(tracks: Sequence[Track], title: str, artist: str) -> str:
    lines = [f"PERFORMER {_quoted(artist)}", f"TITLE {_quoted(title)}"]
    for track in tracks:
        lines += [
            f"FILE {_quoted(track.name)} WAVE",
            f"  TRACK {track.number:02d} AUDIO",
            f"    TITLE {_quoted(track.title)}",
            f"    PERFORMER {_quoted(artist)}",
            "    INDEX 01 00:00:00",
        ]
    return "\n".join(lines) + "\n"


def _playlist(tracks: Sequence[Track], lengths: Sequence[float], artist: str) -> str:
    lines = ["#EXTM3U"]
    for track, seconds in zip(tracks, lengths, strict=True):
        lines += [f"#EXTINF:{round(seconds)},{artist} - {track.title}", track.name]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', "'") + '"'


def _check_replaceable(home: Path) -> None:
    """Refuse to replace a folder in which somebody keeps other things."""
    if not home.exists():
        return
    if not home.is_dir():
        raise InputError(f"{home}: is in the way; move it")
    for path in home.iterdir():
        if path.suffix.lower() not in _OURS or path.is_dir():
            raise InputError(f"{home}: holds {path.name}, which is not ours; move it")


@contextmanager
def _replacing(home: Path) -> Iterator[Path]:
    """A new folder that takes the place of `home` when all went well."""
    new = Path(tempfile.mkdtemp(dir=home.parent, prefix=".latent-album-"))
    try:
        yield new
        new.chmod(0o755)
        old = new.with_name(new.name + "-old")
        if home.exists():
            os.replace(home, old)
        os.replace(new, home)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise RunError(f"{home}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
