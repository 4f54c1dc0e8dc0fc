"""A finished album takes the place of an older one, and nobody's files are lost.

What an album consists of stands in a list in its folder, names with sizes. Whatever
else lies there, a file manager's or its user's, goes along into the folder that
replaces it; where a new file has its name, under another one.
"""

import glob
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from effects.base.errors import InputError, RunError
from effects.base.open_file import read_bytes
from effects.base.schema import decode_json
from effects.base.whole_file import write_whole

MADE = ".made.json"  # the list: sizes by names
MAX_MADE = 1 << 20  # bytes of it that are read
COVER = "cover.png"

_OLD = "-old"  # ends the name of a folder that is being replaced
_DRAWN = "?" * 8  # what `mkdtemp` puts after its prefix
# Albums of before there was a list.
_TRACK = re.compile(r"\d{2,} - .*\.flac")


@contextmanager
def replacing(home: Path) -> Iterator[Path]:
    """A new folder, to be filled, that takes the place of `home` when all went well.

    A link to a folder stays, and the folder is replaced.

    Raises:
        InputError: `home` is no folder, or its list is damaged.
        RunError: it cannot be written.
    """
    home = home.resolve() if home.is_symlink() else home
    try:
        _restore(home)
        made = _made_here(home)
        new = Path(tempfile.mkdtemp(dir=home.parent, prefix=_prefix(home)))
    except OSError as error:
        raise _unwritable(home, error) from error
    try:
        yield new
        _list(new)
        new.chmod(stat.S_IMODE(home.stat().st_mode) if home.exists() else 0o755)
        if home.exists():
            _keep_others(home, new, made)
        _exchange(home, new)
    except OSError as error:
        raise _unwritable(home, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _exchange(home: Path, new: Path) -> None:
    """Put the new folder in the place of the old one, or leave that where it is."""
    old = new.with_name(new.name + _OLD)
    if home.exists():
        os.replace(home, old)
    try:
        os.replace(new, home)
    except OSError:
        if old.exists():
            os.replace(old, home)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _restore(home: Path) -> None:
    """Put back the album that a kill left between its place and the new one's."""
    pattern = f"{glob.escape(_prefix(home))}{_DRAWN}{_OLD}"
    for old in sorted(home.parent.glob(pattern)):
        if home.exists():  # the kill came later: the new album has all of it
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(old, home)


def _prefix(home: Path) -> str:
    """Of the folders beside `home` that are its own: others may be linked to there."""
    return f".latent-{home.name}-"


def _list(folder: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    write_whole(folder / MADE, json.dumps(sizes, ensure_ascii=False), durable=True)


def _made_here(home: Path) -> Mapping[str, int]:
    """Sizes by names of what an earlier album consists of.

    Raises:
        InputError: `home` is no folder, or its list is damaged.
    """
    if not home.exists():
        return {}
    if not home.is_dir():
        raise InputError(f"{home}: is in the way; move it")
    if (home / MADE).exists():
        content = read_bytes(home / MADE, MAX_MADE, "list of an album")
        return decode_json(content, dict[str, int], str(home / MADE))
    cues = {path.stem for path in home.glob("*.cue")}
    lists = {path.stem for path in home.glob("*.m3u8")}
    names = {f"{stem}{suffix}" for stem in cues & lists for suffix in (".cue", ".m3u8")}
    return {
        path.name: path.stat().st_size
        for path in home.iterdir()
        if path.is_file()
        and not path.is_symlink()
        and (path.name in names | {COVER} or _TRACK.fullmatch(path.name))
    }


def _keep_others(home: Path, new: Path, made: Mapping[str, int]) -> None:
    """Take into a new album what is in `home` and was not made here."""
    for path in sorted(home.iterdir()):
        status = path.lstat()
        is_made = stat.S_ISREG(status.st_mode) and made.get(path.name) == status.st_size
        if is_made or path.name == MADE:
            continue
        to = _free(new / path.name)
        if stat.S_ISDIR(status.st_mode):
            shutil.copytree(path, to, symlinks=True, copy_function=_link)
        else:
            _link(str(path), str(to))


def _free(path: Path) -> Path:
    """The path, or one beside it that nothing has: `cover.1.png` for `cover.png`."""
    free = path
    for number in count(1):
        if not os.path.lexists(free):
            break
        free = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return free


def _link(source: str, to: str) -> None:
    try:
        os.link(source, to, follow_symlinks=False)
    except OSError:  # a file system without links, or a file of somebody else
        shutil.copy2(source, to, follow_symlinks=False)


def _unwritable(home: Path, error: OSError) -> RunError:
    why = error.strerror or "what others put there cannot be copied"
    return RunError(f"{home}: cannot be written ({why})")
