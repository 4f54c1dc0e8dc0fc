"""The audio of clips: FLAC files in folders of a thousand."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from effects.base.errors import InputError
from effects.base.whole_file import PREFIX, write_whole

CLIPS = "clips"
A_FOLDER = 1_000  # clips whose audio lies in one folder


def keep_audio(
    corpus: Path, rows: Sequence[dict[str, Any]], audio: Sequence[bytes]
) -> None:
    """Write the audio of clips, and its `file_name` into their rows.

    Args:
        corpus: its folder.
        rows: with the `id` of each clip.
        audio: of each, as a FLAC file.
    """
    for row, content in zip(rows, audio, strict=True):
        folder = f"{CLIPS}/{row['id'] // A_FOLDER:03d}"
        (corpus / folder).mkdir(parents=True, exist_ok=True)
        row["file_name"] = f"{folder}/{row['id']:06d}.flac"
        write_whole(corpus / row["file_name"], content)


def audio_path(corpus: Path, name: str) -> Path:
    """Where the audio of a clip lies, by the `file_name` of its row.

    Raises:
        InputError: the name leads out of the corpus.
    """
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{name!r:.80}: is not within {corpus}")
    return corpus / path


def remove_audio_from(corpus: Path, clip: int) -> None:
    """Remove audio of this clip and later ones, and what a killed program left."""
    for path in list(_last_audio(corpus / CLIPS, clip)):
        number = path.stem
        if path.name.startswith(PREFIX) or (number.isdecimal() and int(number) >= clip):
            path.unlink()


def _last_audio(clips: Path, clip: int) -> Iterator[Path]:
    """Audio in the folders to which a killed program may have added."""
    yield from clips.glob("*.flac")  # of older corpora
    for folder in clips.iterdir() if clips.is_dir() else ():
        if folder.name.isdecimal() and int(folder.name) >= clip // A_FOLDER:
            yield from folder.glob("*.flac")
