"""Files that appear under their names only when they are whole.

A file is written under a hidden name of its own beside its place, and takes its place
in one step when nothing failed. Until then, and after any failure, what stood there
before is untouched. The hidden name is drawn by chance and created exclusively, so a
link that somebody left in the folder is never followed.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from effects.base.errors import RunError
from effects.base.one_line import shown

PREFIX = ".latent-"  # of the hidden names; a killed program may leave such files


@contextmanager
def whole_file(
    path: Path, *, durable: bool = False, private: bool = False
) -> Iterator[Path]:
    """A temporary path, an empty file, that becomes `path` when the block ends well.

    Args:
        path: of the file, replaced if it is there; its folder exists.
        durable: whether a power cut after the block must not lose the file.
        private: whether the owner alone may read it.

    Raises:
        RunError: what has that name is no file, as a FIFO; the folder cannot be
            written; or writing failed on the way, as on a full disk. Other errors of
            the block pass through; the file is gone then, too.
    """
    if _mode(path) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise RunError(f"{shown(path)}: is no file, and is left as it is")
    temporary = path.with_name(f"{PREFIX}{secrets.token_hex(8)}{path.suffix}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        os.close(os.open(temporary, flags, 0o600 if private else 0o666))
        yield temporary
        if durable:
            _sync(temporary)
        os.replace(temporary, path)
        if durable:
            _sync(path.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"{shown(path)}: cannot be written ({reason})") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_whole(
    path: Path, content: bytes | str, *, durable: bool = False, private: bool = False
) -> None:
    """Write a small file whole, or leave the file that was there as it is.

    Args:
        path: of the file.
        content: bytes, or a text that is written as UTF-8.
        durable: as for `whole_file`.
        private: as for `whole_file`.

    Raises:
        RunError: it cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    with whole_file(path, durable=durable, private=private) as temporary:
        temporary.write_bytes(data)


def is_fifo(path: Path) -> bool:
    """Whether a path leads to a FIFO; False where it cannot be looked at."""
    return _mode(path) == stat.S_IFIFO


def _mode(path: Path) -> int:
    """The kind of file that a path leads to, as in `stat`; 0 if there is none."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):
        return 0


def _sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
