"""Where sessions that play can be found: Unix sockets in a folder of the user's own."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from effects.base.paths import state_dir

BACKLOG = 8


class LinkListener:
    """A socket that processes of this user can connect to, named by this process.

    Raises:
        OSError: the folder cannot be made or written.
    """

    def __init__(self) -> None:
        self._folder = sessions_dir()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if stat.S_IMODE(self._folder.stat().st_mode) & 0o077:
            self._folder.chmod(0o700)
        self._name = f"{os.getpid()}.link"
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            (self._folder / self._name).unlink(missing_ok=True)
            with _short(self._folder) as folder:
                self.socket.bind(f"{folder}/{self._name}")
            self.socket.listen(BACKLOG)
            self.socket.setblocking(False)
        except OSError:
            self.socket.close()
            raise

    def close(self) -> None:
        """Close the socket and take its name away."""
        self.socket.close()
        with contextlib.suppress(OSError):
            (self._folder / self._name).unlink()


def find_session() -> socket.socket | None:
    """Connect to the session that plays, the one begun last if there are several.

    Names that a killed session left behind are taken away.
    """
    folder = sessions_dir()
    try:
        found = sorted(folder.glob("*.link"), key=_made_at, reverse=True)
    except OSError:
        return None
    for path in found:
        each = socket.socket(socket.AF_UNIX)
        try:
            with _short(folder) as short:
                each.connect(f"{short}/{path.name}")
            return each
        except OSError as error:
            each.close()
            if isinstance(error, ConnectionRefusedError):
                with contextlib.suppress(OSError):
                    path.unlink()
    return None


def sessions_dir() -> Path:
    """Folder of the sockets of sessions."""
    return state_dir() / "sessions"


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Give a name of the folder that fits the 107 bytes of a socket's address."""
    if len(os.fsencode(folder)) < 80 or not Path("/proc/self/fd").is_dir():
        yield str(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _made_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
