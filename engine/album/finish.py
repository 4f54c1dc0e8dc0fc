"""Finishing an album: order, gaps, loudness, names, tags, cover, cue sheet, playlist.

The songs are copied, sample by sample, and stay where they are. Each is followed by
a gap and filled to a whole number of frames of a compact disc, so that an album that is
played without a pause keeps in time with its cue sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.replaygain import LoudnessMeter
from effects.audio.sound_reader import opened
from effects.audio.sound_writer import whole_sound_file
from effects.base.errors import InputError, RunError
from effects.base.whole_file import write_whole
from engine.album.plan import MINUTES
from engine.album.replacing import COVER, replacing
from engine.album.review import Review
from engine.album.tags import AlbumTags, album_cover, write_tags
from engine.album.tracks import Track, tracks_of
from engine.graph import RENDER_RATE
from engine.offline.render import Progress
from engine.recording.cue_sheet import (
    FRAMES_PER_S,
    MAX_TRACKS,
    CueTrack,
    cue_sheet,
    printable,
)
from engine.recording.naming import safe_stem

FINISHED = "album"
GAP_S = 1.0  # of silence behind each song
BLOCK = 1 << 16  # samples copied together


@dataclass(frozen=True)
class FinishedAlbum:
    """A finished album: where, its tracks in order, and its length in seconds."""

    folder: Path
    tracks: tuple[Track, ...]
    seconds: float


def finish(
    folder: Path,
    *,
    title: str = "",
    artist: str = "Latent",
    gap_s: float = GAP_S,
    progress: Progress | None = None,
) -> FinishedAlbum:
    """Make the finished album of a folder, in `folder/album`, in place of an older one.

    What others put into `folder/album`, a file manager or its user, stays in it.

    Args:
        folder: of the album, made and, if anybody liked, reviewed.
        title: of the album; the folder's name by default.
        artist: of all songs.
        gap_s: seconds of silence behind each song.
        progress: takes tracks done and in all.

    Raises:
        InputError: there is nothing to finish, or `folder/album` is no folder.
        RunError: mutagen is not there, or writing failed.
    """
    if find_spec("mutagen") is None:
        raise RunError("tags need mutagen; 'bin/latent album finish' installs it")
    review = Review(folder)
    title = title or folder.resolve().name
    tracks = tracks_of(review)
    home = folder / FINISHED
    cover = album_cover(folder, tracks)
    tags = AlbumTags(title, artist, len(tracks), cover)
    with replacing(home) as new:
        gains, lengths = _copied(tracks, new, gap_s, progress)
        for track, gain in zip(tracks, gains, strict=True):
            write_tags(new / track.name, track, tags, gain)
        if cover:
            (new / COVER).write_bytes(cover)
        stem = safe_stem(title)
        if len(tracks) <= MAX_TRACKS:
            cues = [CueTrack(t.title, t.name, performer=artist) for t in tracks]
            sheet = cue_sheet(cues, title=title, performer=artist)
            write_whole(new / f"{stem}.cue", sheet, durable=True)
        playlist = _playlist(tracks, lengths, artist)
        write_whole(new / f"{stem}.m3u8", playlist, durable=True)
    return FinishedAlbum(home, tuple(tracks), sum(lengths))


def _copied(
    tracks: Sequence[Track], new: Path, gap_s: float, progress: Progress | None
) -> tuple[list[dict[str, str]], list[float]]:
    """Copy all tracks; returns their ReplayGain tags, and their lengths in seconds."""
    meter = LoudnessMeter(RENDER_RATE)
    gains, lengths = [], []
    for done, track in enumerate(tracks, 1):
        n_samples = _copy(track.source, new / track.name, meter, gap_s)
        gains.append(dict(meter.track_tags()))
        lengths.append(n_samples / RENDER_RATE)
        meter.next_track()
        if progress:
            progress(done, len(tracks))
    album = dict(meter.album_tags())
    return [{**gain, **album} for gain in gains], lengths


def _copy(source: Path, to: Path, meter: LoudnessMeter, gap_s: float) -> int:
    """Copy a song and the gap behind it; returns the samples of both."""
    import soundfile

    longest = round((60.0 * MINUTES[1] + 1.0) * RENDER_RATE)
    n_samples = 0
    with opened(source) as file, whole_sound_file(to, RENDER_RATE) as write:
        if file.channels != 2 or file.samplerate != RENDER_RATE:
            raise InputError(
                f"{source}: {file.channels} channels at {file.samplerate} Hz; songs of "
                f"an album have 2 at {RENDER_RATE} Hz"
            )
        while True:
            try:
                # As whole numbers: through floats, loud samples lose their last bit.
                block = file.read(BLOCK, dtype="int32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise InputError(f"{source}: is damaged ({error})") from error
            if not len(block):
                break
            n_samples += len(block)
            if n_samples > longest:
                raise InputError(f"{source}: longer than {MINUTES[1]:g} minutes")
            write(block)
            meter.add((block / 2.0**31).astype(np.float32))
        gap: NDArray[Any] = np.zeros((gap_length(n_samples, gap_s), 2), np.int32)
        write(gap)
        meter.add(gap.astype(np.float32))
    return n_samples + len(gap)


def gap_length(n_samples: int, gap_s: float) -> int:
    """Samples of silence behind a song, up to a whole frame of a compact disc.

    >>> gap_length(44_100, 0.0), gap_length(44_101, 0.0)
    (0, 587)
    """
    frame = RENDER_RATE // FRAMES_PER_S
    length = n_samples + round(gap_s * RENDER_RATE)
    return -(-length // frame) * frame - n_samples


def _playlist(tracks: Sequence[Track], lengths: Sequence[float], artist: str) -> str:
    lines = ["#EXTM3U"]
    for track, seconds in zip(tracks, lengths, strict=True):
        title = printable(f"{artist} - {track.title}")
        lines += [f"#EXTINF:{round(seconds)},{title}", track.name]
    return "\n".join(lines) + "\n"
