"""Telling a service manager how the session is (the protocol of sd_notify(3)).

A manager that starts a service with `Type=notify` names a datagram socket in the
environment. It is told when the music has begun, that it still sounds, and when it
ends. A session that is no service has no socket, and nobody is told anything.
"""

import os
import socket
import time
from contextlib import suppress
from typing import Protocol

SOCKET = "NOTIFY_SOCKET"
WATCHDOG = "WATCHDOG_USEC"
WATCHDOG_PID = "WATCHDOG_PID"


class Sounding(Protocol):
    """What shows whether music is being played."""

    @property
    def seconds(self) -> float:
        """Seconds played so far."""

    @property
    def headroom_s(self) -> float:
        """Seconds of music made ahead."""


class ServiceManager:
    """The service manager that started this process, if one did.

    Messages are sent to it without waiting; one that cannot be sent is dropped.

    Args:
        session: that it is told about.
    """

    def __init__(self, session: Sounding) -> None:
        self._session = session
        self._address = os.environ.get(SOCKET, "")
        self._every_s = _watchdog_seconds() / 3.0
        self._due = 0.0
        self._played = -1.0  # seconds, when it was last told

    def ready(self) -> None:
        """Tell that the music has begun."""
        self._send("READY=1\nSTATUS=playing")

    def stopping(self) -> None:
        """Tell that the session ends."""
        self._send("STOPPING=1")

    def poll(self) -> None:
        """Tell that the music goes on, if it is time to, and if it does.

        A session whose position stands still, or that has no music left to play, keeps
        silent: the manager waits a while and starts it anew.
        """
        now = time.monotonic()
        if not self._every_s or now < self._due:
            return
        played = self._session.seconds
        if played > self._played and self._session.headroom_s > 0.0:
            self._send("WATCHDOG=1")
            self._due, self._played = now + self._every_s, played

    def _send(self, message: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        # A leading @ stands for the zero byte of an abstract address.
        address = self._address.replace("@", "\0", 1)
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out,
        ):
            out.setblocking(False)
            out.sendto(message.encode(), address)


def _watchdog_seconds() -> float:
    """Seconds within which the manager wants to hear from this process; 0 for never."""
    pid = os.environ.get(WATCHDOG_PID, "")
    microseconds = os.environ.get(WATCHDOG, "")
    if not microseconds.isdecimal() or pid not in ("", str(os.getpid())):
        return 0.0
    return int(microseconds) / 1e6
