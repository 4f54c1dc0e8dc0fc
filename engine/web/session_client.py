"""The web process's side of the link: values as they are now, and the shared ring."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

from engine.control.commands import ROOT, Argument
from engine.streams.shared_ring import SharedRing
from engine.web.link_folder import find_session
from engine.web.messages import (
    READY,
    BadMessage,
    SessionFacts,
    Values,
    decoded,
    encoded,
    facts_from,
)

RETRY_S = 0.5  # between looks for a session
FACTS_S = 5.0  # a session has so long to say what it is
MAX_LINE = 65_536
MAX_UNSENT = 1 << 18  # bytes that the session has not taken


class SessionClient:
    """Speaks to one session after the other.

    Args:
        find: returns a socket that is linked to a session, or None.
        on_told: takes address and arguments of what the session says.
        on_session: told whether a session answers, when that has changed.
    """

    def __init__(
        self,
        find: Callable[[], socket.socket | None] = find_session,
        on_told: Callable[[str, list[Argument]], None] = lambda address, args: None,
        on_session: Callable[[bool], None] = lambda answers: None,
    ) -> None:
        self.values: Values = {}  # what controls and readings are, by address
        self.facts: SessionFacts | None = None  # of the session that answers
        self.ring: SharedRing | None = None  # of its master
        self._find, self._on_told, self._on_session = find, on_told, on_session
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, *, once: bool) -> None:
        """Keep linked to a session.

        Args:
            once: return when the session has ended, instead of finding another.
        """
        while True:
            found = await asyncio.to_thread(self._find)
            if found is not None:
                try:
                    await self._follow(found)
                except (OSError, ValueError, BadMessage):
                    pass  # it ended in the middle of something
                finally:
                    found.close()
            if once:
                return
            await asyncio.sleep(RETRY_S)

    def send(self, address: str, *args: Argument) -> bool:
        """Tell the session something; returns whether it could be sent."""
        writer = self._writer
        if writer is None or writer.is_closing():
            return False
        if writer.transport.get_write_buffer_size() > MAX_UNSENT:
            return False
        writer.write(encoded(address, args).encode() + b"\n")
        return True

    def reading(self, name: str) -> list[Argument] | None:
        """Return the values of a control or a reading; None if they are not known."""
        return self.values.get(ROOT + name)

    async def _follow(self, found: socket.socket) -> None:
        found.settimeout(FACTS_S)
        facts, ring, rest = await asyncio.to_thread(_first, found)
        found.setblocking(False)
        reader, writer = await _streams(found, rest)
        self.facts, self.ring, self._writer = facts, ring, writer
        try:
            while line := await reader.readline():
                message = decoded(line)
                args = list(message.args)
                if message.address == READY:
                    self._on_session(True)
                    continue
                if message.address != ROOT + "error":
                    self.values[message.address] = args
                self._on_told(message.address, args)
        finally:
            self.facts = self.ring = self._writer = None
            self.values = {}
            writer.close()
            ring.close()
            self._on_session(False)


async def _streams(
    found: socket.socket, rest: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams of a socket, of which `rest` was read already: it has to come first."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(MAX_LINE)
    reader.feed_data(rest)
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await loop.create_connection(lambda: protocol, sock=found)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _first(found: socket.socket) -> tuple[SessionFacts, SharedRing, bytes]:
    """Read a session's first line, with the descriptor of its ring."""
    received, descriptors = bytearray(), []
    try:
        while b"\n" not in received:
            data, fds, _, _ = socket.recv_fds(found, 4096, 1)
            descriptors += fds
            received += data
            if not data or len(received) > MAX_LINE:
                raise BadMessage("no session")
        line, _, rest = bytes(received).partition(b"\n")
        facts = facts_from(line)
        ring = SharedRing.attach(descriptors.pop(), facts.capacity, from_now=False)
        return facts, ring, rest
    except IndexError:
        raise BadMessage("no ring") from None
    finally:
        for each in descriptors:
            with contextlib.suppress(OSError):
                os.close(each)
