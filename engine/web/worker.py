"""The page's process: serves the page of the session that started it.

Started by `engine.web.process` with descriptors of a link and of listening sockets; a
line on the standard input says the rest. It ends when the link does.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from dataclasses import dataclass

import msgspec

from effects.base.memory import give_memory_back
from engine.web.access import Access
from engine.web.documents import documents
from engine.web.server import PageServer


@dataclass(frozen=True)
class PagePlan:
    """What a page's process is started with.

    Attributes:
        link: descriptor of a socket that is linked to the session.
        sockets: descriptors of listening sockets.
        token: that changes need; empty for none.
        names: that the server goes by.
    """

    link: int
    sockets: tuple[int, ...]
    token: str = ""
    names: tuple[str, ...] = ()


def main() -> None:
    """Serve until the session has ended."""
    # A Ctrl-C in a terminal reaches the whole group; the session decides.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    give_memory_back()
    plan = msgspec.json.decode(sys.stdin.readline(), type=PagePlan)
    access = Access(plan.token, frozenset(plan.names))
    server = PageServer(access, lambda: socket.socket(fileno=plan.link), [documents])
    sockets = [socket.socket(fileno=each) for each in plan.sockets]
    with contextlib.suppress(BrokenPipeError):
        asyncio.run(server.serve(sockets, once=True))
    os._exit(0)  # threads may wait for what never comes


if __name__ == "__main__":
    main()
