"""Reading song cards from text and from files, and writing them beside a sound.

A card may have been written by anybody, so every field is checked.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeAlias, TypedDict

from msgspec import Meta

from effects.audio.sound_formats import is_sound
from effects.audio.sound_reader import opened
from effects.base.errors import InputError
from effects.base.one_line import shown
from effects.base.open_file import read_text
from effects.base.schema import decode_json
from effects.base.whole_file import write_whole
from engine.compose import grammar as grammars
from engine.control.controls import Value, snapshot_of
from engine.offline.song_card import FORMAT, SongCard, rules_text

SUFFIX = ".card"
MAX_FILE = 64 * 1024  # bytes of a file that is read as a card
MAX_SONG = 1_000_000  # an hour each: more than a hundred years
MAX_NAMES = 200  # effects by name; more do not fit in `MAX_TEXT` bytes

_Name: TypeAlias = Annotated[str, Meta(max_length=200)]
_Rule: TypeAlias = Annotated[str, Meta(max_length=grammars.MAX_PATTERN)]


def read_card(path: Path) -> SongCard:
    """Read the song card in a .card file, or in the comment of a sound file.

    Raises:
        InputError: there is none, or it is damaged.
    """
    if is_sound(path):
        with opened(path.resolve()) as file:
            text = str(file.copy_metadata().get("comment", ""))
    else:
        text = read_text(path, MAX_FILE, "song card")
    return parse_card(text, shown(path))


def card_path(audio: Path) -> Path:
    """The path of the song card beside a sound file.

    Raises:
        InputError: its name would be too long, although the sound file's is not.
    """
    path = audio.with_suffix(SUFFIX)
    try:
        path.exists()
    except OSError as error:
        raise InputError(f"{shown(path)}: {error.strerror}") from None
    return path


def write_beside(card: SongCard, audio: Path) -> Path:
    """Write a song card beside its sound file, and return its path.

    Raises:
        InputError: its name would be too long.
        RunError: it could not be written.
    """
    path = card_path(audio)
    write_whole(path, card.text())
    return path


@dataclass(frozen=True)
class _CardFile:
    """The fields of a song card as they are written."""

    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    seconds: Annotated[float, Meta(ge=3.0, le=86_400.0)]
    sample_rate: Annotated[int, Meta(ge=22_050, le=192_000)]
    model: _Name
    model_name: _Name = ""
    preset: _Name = ""
    controls: dict[str, Value] = field(default_factory=dict)
    grammar: _Name | dict[_Name, list[_Rule]] = "seed"
    effects: (
        Annotated[tuple[_Name, ...], Meta(max_length=MAX_NAMES)] | _Name | None
    ) = ()
    title: _Name = ""
    pattern: _Rule = ""
    key: _Name = ""
    like: _Name = ""
    song: Annotated[int, Meta(ge=0, le=MAX_SONG)] | None = None
    latent: _Name = ""


class _CardFormat(TypedDict, total=False):
    """The field that says which format a song card has."""

    card: int


def parse_card(text: str, where: str = "card") -> SongCard:
    """The song card that a text holds, whatever stands around it.

    Args:
        text: of a comment, or of a `.card` file.
        where: the file, for messages.

    Raises:
        InputError: no card, one of another format, or a field that does not fit.
    """
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin:
        raise InputError(f"{where}: holds no song card")
    content = text[begin : end + 1].encode("utf-8", "replace")
    found = decode_json(content, _CardFormat, where).get("card")
    if found is None:
        raise InputError(f"{where}: holds no song card")
    if found != FORMAT:
        age = "an older" if found < FORMAT else "a newer"
        raise InputError(
            f"{where}: a song card of format {found}, but this version reads format "
            f"{FORMAT}; render it with {age} version of Latent, the one that wrote it"
        )
    fields = decode_json(content, _CardFile, where)
    try:
        return _checked(fields)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _checked(fields: _CardFile) -> SongCard:
    """The card of fields that are of the right types.

    Raises:
        InputError: a control, a grammar or a list of effects that cannot be.
    """
    controls = snapshot_of(fields.controls)
    grammar: str | dict[str, tuple[str, ...]]
    if isinstance(fields.grammar, str):
        grammar = fields.grammar
    else:
        grammar = {symbol: tuple(right) for symbol, right in fields.grammar.items()}
        grammars.parse(rules_text(grammar), "grammar of the card")
    names = fields.effects if isinstance(fields.effects, tuple) else ()
    if len(set(names)) < len(names):
        raise InputError("effects: a name stands there twice")
    return SongCard(
        seed=fields.seed,
        seconds=fields.seconds,
        sample_rate=fields.sample_rate,
        model=fields.model,
        model_name=fields.model_name,
        preset=fields.preset,
        controls={name: controls[name] for name in fields.controls},
        grammar=grammar,
        effects=fields.effects,
        title=fields.title,
        pattern=fields.pattern,
        key=fields.key,
        like=fields.like,
        song=fields.song,
        latent=fields.latent,
    )
