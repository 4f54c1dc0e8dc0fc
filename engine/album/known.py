"""The albums that were made or reviewed on this machine, for the page to list.

A text file of folders, the latest first. What is no album any more is passed over.
"""

import contextlib
import hashlib
from pathlib import Path

from effects.base.errors import LatentError
from effects.base.open_file import read_text
from effects.base.paths import state_dir
from effects.base.whole_file import write_whole
from engine.album.state import STATE

KNOWN = "albums"
MOST = 24
MAX_BYTES = MOST * 4200


def remember_album(folder: Path) -> None:
    """Put an album at the head of the list; one that cannot be kept is left out."""
    path = str(folder.resolve())
    if not path.isprintable():  # a line has to hold it
        return
    listed = [path, *(str(each) for each in _listed() if str(each) != path)]
    with contextlib.suppress(LatentError, OSError, UnicodeError):
        state_dir().mkdir(parents=True, exist_ok=True)
        text = "\n".join(listed[:MOST]) + "\n"
        write_whole(state_dir() / KNOWN, text, private=True)


def known_albums() -> dict[str, Path]:
    """Folders of albums by a short name for each, the latest first."""
    return {
        album_id(folder): folder for folder in _listed() if (folder / STATE).is_file()
    }


def album_id(folder: Path) -> str:
    """A short name that says nothing of the folder."""
    path = str(folder.resolve()).encode(errors="surrogateescape")
    return hashlib.blake2b(path, digest_size=6).hexdigest()


def _listed() -> list[Path]:
    try:
        text = read_text(state_dir() / KNOWN, MAX_BYTES, "list of albums")
    except LatentError:
        return []
    return [Path(line) for line in text.splitlines() if line.startswith("/")][:MOST]
