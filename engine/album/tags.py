"""Tags and cover of the tracks of a finished album."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from effects.base.errors import InputError, RunError
from effects.base.one_line import one_line
from effects.base.open_file import read_bytes, read_text
from engine.album.make import WORK
from engine.album.picture import can_draw, draw_cover
from engine.album.tracks import Track
from engine.offline.song_card_file import MAX_FILE as MAX_CARD

MAX_SPECTRA = 1 << 20  # bytes of the spectra of one song


@dataclass(frozen=True)
class AlbumTags:
    """What the tags of all tracks of an album have in common.

    Attributes:
        title: of the album.
        artist: of all songs.
        n_tracks: how many there are.
        cover: a PNG, or empty.
    """

    title: str
    artist: str
    n_tracks: int
    cover: bytes = b""


def write_tags(
    path: Path, track: Track, album: AlbumTags, gain: Mapping[str, str]
) -> None:
    """Write the tags of a track into its FLAC file.

    Args:
        path: of the file.
        track: what it is.
        album: what all its tracks share.
        gain: ReplayGain tags by name.

    Raises:
        InputError: the song's card cannot be read.
        RunError: the file could not be written.
    """
    from mutagen.flac import FLAC, Picture

    try:
        file = FLAC(path)
        file["title"] = track.title
        file["artist"] = file["albumartist"] = album.artist
        file["album"] = album.title
        file["tracknumber"] = str(track.number)
        file["tracktotal"] = str(album.n_tracks)
        file["date"] = datetime.now(UTC).date().isoformat()
        file["genre"] = "Ambient"
        file["initialkey"] = track.row.key
        card = track.source.with_suffix(".card")
        if card.is_file():
            file["comment"] = read_text(card, MAX_CARD, "song card")
        for name, value in gain.items():
            file[name] = value
        if album.cover:
            picture = Picture()
            picture.type = 3  # front cover
            picture.mime, picture.desc, picture.data = "image/png", "Cover", album.cover
            picture.width, picture.height = _png_size(album.cover)
            picture.depth = 24
            file.add_picture(picture)
        file.save()
    except OSError as error:
        raise RunError(f"{path}: tags could not be written") from error


def album_cover(folder: Path, tracks: Sequence[Track]) -> bytes:
    """The album's cover as a PNG; empty where it cannot be drawn.

    Args:
        folder: of the album.
        tracks: of the finished album, in order.

    Raises:
        InputError: the spectra of a song are damaged.
    """
    spectra = [folder / WORK / f"{track.source.stem}.npy" for track in tracks]
    if not can_draw() or not all(path.is_file() for path in spectra):
        return b""
    return draw_cover([_spectra(path) for path in spectra])


def _spectra(path: Path) -> NDArray[np.float32]:
    """Smoothed timbres along a song, shape (n, n_bands), as making it left them."""
    content = read_bytes(path, MAX_SPECTRA, "song's spectra")
    try:
        spectra = np.load(BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as error:
        raise InputError(f"{path}: is damaged ({one_line(str(error))})") from None
    if (
        spectra.ndim != 2
        or spectra.dtype != np.float32
        or not np.isfinite(spectra).all()
    ):
        raise InputError(f"{path}: is damaged; remove it")
    return np.asarray(spectra)


def _png_size(content: bytes) -> tuple[int, int]:
    """Width and height of a PNG, from its header."""
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
