"""The file that keeps an album: its plan, and a row for each song that is done.

A folder of an album holds

    album.json       plan and rows
    001.flac ...     songs, with 001.card and 001.png beside them
    aside/           those that the gate set aside, with their cards and pictures
    skim.flac        some six seconds of each
    decisions.jsonl  what was decided in review
    album/           the finished album
    .work/           what is being made, and what more songs need of those done

Where a song lies follows from its number and its status, so no row can name a file
outside the folder.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, TypedDict

from msgspec import Meta

from effects.base.errors import InputError
from effects.base.open_file import read_bytes
from effects.base.schema import decode_json
from effects.base.whole_file import write_whole
from engine.album.plan import SONGS, AlbumPlan
from engine.control.harmony import KEYS

FORMAT = "latent-album"
FORMAT_VERSION = 2  # since version 0.2.0
STATE = "album.json"
ASIDE = "aside"  # folder, and status, of songs that the gate set aside
MAX_STATE = 8 << 20  # bytes; a row has some 600
MAX_ROW = 1 << 16

_Text: TypeAlias = Annotated[str, Meta(max_length=600)]
_Key: TypeAlias = Annotated[str, Meta(pattern=rf"^({'|'.join(KEYS)}) [a-z-]{{1,40}}$")]
_Seconds: TypeAlias = Annotated[float, Meta(ge=0.0)]


@dataclass(frozen=True)
class Measures:
    """What a song measures.

    Attributes:
        lufs: integrated loudness; -70 for silence.
        clip_lufs: of the loudest two seconds.
        weirdness: mean distance from the origin of latent space.
        spread_db: mean distance of its sounds from their mean, in tenths of octaves.
        treble_db: share of the K-weighted power above 3 kHz.
        roughness: mean sensory roughness.
        brightness: mean centre of the spectrum, octaves above 20 Hz.
    """

    lufs: float
    clip_lufs: float
    weirdness: float
    spread_db: float
    treble_db: float
    roughness: float
    brightness: float


@dataclass(frozen=True)
class SongRow:
    """A song of an album that is done.

    Attributes:
        number: from 1.
        status: `done`, or `aside` when the gate set it aside.
        reasons: why it was set aside.
        seed: of the song.
        title: that it was composed with; empty in albums of older versions.
        preset: name.
        key: tonic and scale, as `G dorian`.
        pattern: order of its sounds.
        measures: of the rendered sound.
        took_s: seconds that making it took.
        skim_s: second of the skim at which its excerpt begins, once there is one.
    """

    number: Annotated[int, Meta(ge=SONGS[0], le=SONGS[1])]
    status: Literal["done", "aside"]
    reasons: Annotated[tuple[_Text, ...], Meta(max_length=20)]
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    preset: _Text
    key: _Key
    pattern: _Text
    measures: Measures
    title: _Text = ""
    took_s: _Seconds = 0.0
    skim_s: _Seconds | None = None

    @property
    def is_aside(self) -> bool:
        """Whether the gate set it aside."""
        return self.status == ASIDE

    @property
    def file(self) -> str:
        """Its sound file, from the album's folder."""
        name = f"{file_stem(self.number)}.flac"
        return f"{ASIDE}/{name}" if self.is_aside else name

    @property
    def tonic(self) -> str:
        """Tonic of its key."""
        return self.key.split()[0]


def file_stem(number: int) -> str:
    """Stem of the files of song `number`."""
    return f"{number:03d}"


def read_state(folder: Path) -> tuple[AlbumPlan, dict[int, SongRow]]:
    """Plan and rows of an album, the rows by number.

    Raises:
        InputError: there is none, it is of another format, or its file is damaged.
    """
    path = folder / STATE
    if not path.exists():
        raise InputError(
            f"{folder}: holds no album; make one with 'latent album make {folder}'"
        )
    content = read_bytes(path, MAX_STATE, "album")
    found = decode_json(content, _AlbumFormat, str(path))
    if found.get("format") != FORMAT:
        raise InputError(f"{path}: not an album of Latent")
    version = found.get("version", 0)
    if version != FORMAT_VERSION:
        age = "an older" if version < FORMAT_VERSION else "a newer"
        raise InputError(
            f"{path}: an album of format {version}, but this version reads format "
            f"{FORMAT_VERSION}; finish it with {age} version of Latent, the one that "
            "made it, or make a new album"
        )
    state = decode_json(content, _AlbumFile, str(path))
    return state.plan, {row.number: row for row in state.songs}


def write_state(folder: Path, plan: AlbumPlan, rows: Mapping[int, SongRow]) -> None:
    """Write plan and rows, whole or not at all.

    Raises:
        RunError: the file could not be written.
    """
    state = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "plan": asdict(plan),
        "songs": [asdict(rows[number]) for number in sorted(rows)],
    }
    text = json.dumps(state, indent=1) + "\n"
    write_whole(folder / STATE, text, durable=True)


def read_row(path: Path) -> SongRow:
    """A row that stands in a file of its own.

    Raises:
        InputError: there is none, or it is damaged.
    """
    return decode_json(read_bytes(path, MAX_ROW, "song's row"), SongRow, str(path))


def write_row(path: Path, row: SongRow) -> None:
    """Write a row into a file of its own, whole or not at all.

    Raises:
        RunError: the file could not be written.
    """
    write_whole(path, json.dumps(asdict(row)), durable=True)


class _AlbumFormat(TypedDict, total=False):
    """The fields that say which format an album has."""

    format: str
    version: int


@dataclass(frozen=True)
class _AlbumFile:
    """All of the file."""

    plan: AlbumPlan
    songs: Annotated[list[SongRow], Meta(max_length=SONGS[1])]
