"""The tracks of a finished album: which songs, in what order, and their titles."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from effects.base.errors import InputError
from engine.album.order import PlacedBy, arranged
from engine.album.review import Review
from engine.album.state import SongRow
from engine.compose.titles import unused_title
from engine.recording.naming import safe_stem


@dataclass(frozen=True)
class Track:
    """A song of the finished album.

    Attributes:
        number: from 1.
        title: of the song.
        source: file it is copied from.
        name: of the file it is copied to.
        row: of the song.
    """

    number: int
    title: str
    source: Path
    name: str
    row: SongRow


def tracks_of(review: Review) -> list[Track]:
    """The songs that were chosen, in the order of the album, named.

    Raises:
        InputError: no song was chosen.
    """
    songs = review.chosen()
    if not songs:
        raise InputError(f"{review.folder}: no song was kept, and none passed the gate")
    order = arranged([PlacedBy(row.tonic, row.measures.brightness) for row in songs])
    titles = {
        row.number: name for row in songs if (name := review.verdict(row.number).name)
    }
    tracks = []
    for place, index in enumerate(order, 1):
        row = songs[index]
        if row.number not in titles:
            titles[row.number] = _title(row, titles.values())
        title = titles[row.number]
        digits = max(2, len(str(len(songs))))
        name = f"{place:0{digits}d} - {safe_stem(title)}.flac"
        tracks.append(Track(place, title, review.folder / row.file, name, row))
    return tracks


def _title(row: SongRow, taken: Collection[str]) -> str:
    """The song's own title, or where another has it, one like it."""
    if row.title and row.title.casefold() not in (t.casefold() for t in taken):
        return row.title
    scale = row.key.split()[-1]
    return unused_title(taken, row.seed, row.preset, scale, row.measures.brightness)
