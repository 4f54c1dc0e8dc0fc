"""The session's side of the page's process: starts it, and replaces it when it dies."""

import contextlib
import importlib.util
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass

import msgspec

from effects.base.errors import RunError
from effects.base.search_path import child_environment
from engine.control.callbacks import Say
from engine.osc.addresses import is_near_only
from engine.streams.replacing import keep_replacing
from engine.streams.sockets import HOST, listen
from engine.web.access import kept_token, names_of
from engine.web.link import SessionLink
from engine.web.shown import shown_address

PORT = 8080
PACKAGES = ("starlette", "uvicorn", "websockets")
END_S = 2.0  # the process has so long to close its connections


@dataclass(frozen=True)
class WebSettings:
    """Where a page is served.

    Attributes:
        host: address to listen on; beyond this machine, changes need a token.
        port: TCP, 0 for a free one.
        names: that the server is known by besides those of this machine.
    """

    host: str = HOST
    port: int = PORT
    names: tuple[str, ...] = ()


class PageProcess:
    """Serves the page of a session from `start` to `stop`.

    Args:
        link: of the session.
        settings: where to serve.
        say: takes one line for the user; called from a thread of its own.
    """

    def __init__(self, link: SessionLink, settings: WebSettings, say: Say) -> None:
        self.port = 0  # TCP port in use, once started
        self._link, self._settings, self._say = link, settings, say
        self._sockets: list[socket.socket] = []
        self._token = "" if is_near_only(settings.host) else kept_token()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # of starting and stopping the process
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    def start(self) -> None:
        """Open the port and start the process.

        Raises:
            InputError: not an address of this machine.
            RunError: the port is in use, or a package is missing.
        """
        check_packages()
        host, port = self._settings.host, self._settings.port
        self._sockets = listen(host, port, "--web")
        self.port = self._sockets[0].getsockname()[1]
        self._process = self._start_process()
        self._thread.start()
        for line in shown_address(host, self.port, self._token):
            self._say(line)

    def stop(self) -> None:
        """End the process; harmless if not started."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None:
            process.kill()  # it holds nothing that could be lost
            process.wait()
        if self._thread.is_alive():
            self._thread.join(END_S)
        for each in self._sockets:
            each.close()
        self._sockets = []

    def _start_process(self) -> "subprocess.Popen[bytes]":
        with self._link.connect() as link:
            plan = {
                "link": link.fileno(),
                "sockets": [each.fileno() for each in self._sockets],
                "token": self._token,
                "names": sorted(names_of(self._settings.names)),
            }
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "engine.web.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[plan["link"], *plan["sockets"]],  # type: ignore[list-item,misc]
                env=child_environment(),
            )
        assert process.stdin is not None
        with contextlib.suppress(OSError), process.stdin:
            process.stdin.write(msgspec.json.encode(plan) + b"\n")
        return process

    def _run(self) -> None:
        """Replace the process whenever it ends."""
        assert self._process is not None
        keep_replacing(
            self._process,
            attend=lambda process: None,
            start=self._start_another,
            stopping=self._stopping,
            say=self._say,
            name="the page's process",
        )

    def _start_another(self) -> "subprocess.Popen[bytes] | None":
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = self._start_process()
            return self._process


def check_packages() -> None:
    """Find out early that packages are missing.

    Raises:
        RunError: some are not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in PACKAGES):
        raise RunError(
            "the page needs packages that are not installed: start it as "
            "'bin/latent play --web PORT', which installs them"
        )
