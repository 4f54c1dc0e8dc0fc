"""Connections of the page's servers: none of them holds its place for ever.

uvicorn gives up a connection that is idle between two requests, and no other. Whoever
opened as many as there is room for, and sent a letter now and then, kept others out.
"""

import asyncio
import contextlib
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

LOOK_EVERY_S = 5.0
HEAD_S = 20.0  # a client has so long for the lines of a request
BODY_S = 120.0  # so long for what it sends with them
TAKE_S = 60.0  # and so long to take a piece of the answer


class TimedConnection(H11Protocol):
    """A connection that ends when its client takes too long."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._n_resumed = 0
        self._state: object = None
        self._since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to look at it."""
        super().connection_made(transport)
        self._look()

    def resume_writing(self) -> None:
        """The client has taken a piece of the answer."""
        super().resume_writing()
        self._n_resumed += 1

    def _look(self) -> None:
        if self not in self.connections:  # closed, or a WebSocket by now
            return
        now = self.loop.time()
        limit_s, state = self._waits_for()
        if state != self._state:
            self._state, self._since = state, now
        if now - self._since > limit_s:
            self.transport.abort()
        else:
            self.loop.call_later(LOOK_EVERY_S, self._look)

    def _waits_for(self) -> tuple[float, object]:
        """How long this may last, and a value that changes when something does."""
        cycle = self.cycle
        if self.flow.write_paused:
            return TAKE_S, ("answer", id(cycle), self._n_resumed)
        if cycle is None or cycle.response_complete:
            return HEAD_S, ("head", id(cycle))
        if cycle.more_body:
            return BODY_S, ("body", id(cycle))
        return float("inf"), "served"


class SignalFreeServer(uvicorn.Server):
    """A server that leaves signals to its process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """The process that serves decides about signals."""
        yield
