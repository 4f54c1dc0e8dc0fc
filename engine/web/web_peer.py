"""One WebSocket of the page's server: what waits to be sent, and what came too fast."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from engine.osc.clients import TokenBucket
from engine.web.messages import WebMessage

MAX_WAITING = 512  # frames that a peer has not taken; then it has to come again
RATE, BURST = 120.0, 240.0  # messages a second that a peer may send
MAX_STRIKES = 20_000  # messages beyond the rate or malformed, until it is cut off
LATE_S = 0.05  # between looks at messages that came too fast

Frame: TypeAlias = str | bytes


class WebPeer:
    """Whoever has opened a WebSocket, until it goes.

    Args:
        socket: accepted already.
        may_change: whether it may change anything.
    """

    def __init__(self, socket: WebSocket, *, may_change: bool) -> None:
        self.socket, self.may_change = socket, may_change
        self._waiting: asyncio.Queue[Frame | None] = asyncio.Queue(MAX_WAITING)
        self._bucket = TokenBucket(RATE, BURST)
        self._late: dict[str, WebMessage] = {}  # by address
        self._strikes = 0

    @property
    def n_waiting(self) -> int:
        """Frames that it has not taken."""
        return self._waiting.qsize()

    def put(self, frame: Frame) -> None:
        """Queue a frame; a peer that takes nothing is ended."""
        try:
            self._waiting.put_nowait(frame)
        except asyncio.QueueFull:
            self.end()

    def end(self) -> None:
        """Have the socket closed once what is queued has gone, or at once."""
        while self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)

    async def converse(self, hear: Callable[[Any], None]) -> None:
        """Send what is queued and have what comes heard, until it goes.

        Args:
            hear: takes each message as ASGI has it.
        """
        sending = asyncio.create_task(self._feed())
        try:
            while True:
                received = await self.socket.receive()
                if received["type"] == "websocket.disconnect":
                    break
                hear(received)
        except (WebSocketDisconnect, RuntimeError, OSError):
            pass  # it has gone
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    async def _feed(self) -> None:
        """Send what is queued, until it goes or is ended."""
        try:
            while (frame := await self._waiting.get()) is not None:
                if isinstance(frame, str):
                    await self.socket.send_text(frame)
                else:
                    await self.socket.send_bytes(frame)
            if self.socket.client_state is WebSocketState.CONNECTED:
                await self.socket.close(1013)
        except (WebSocketDisconnect, RuntimeError, OSError):
            pass  # it has gone
        finally:
            self._late.clear()

    def take(
        self, message: WebMessage, carry_out: Callable[[WebMessage], None]
    ) -> None:
        """Carry a message of the peer out, now or when its rate allows.

        The last value of a fader counts; a flood in many addresses does not.
        """
        if not self._late and self._bucket.take(1.0, time.monotonic()):
            carry_out(message)
            return
        if not self._late:
            self._look_later(carry_out)
        self._late.pop(message.address, None)
        if len(self._late) < MAX_WAITING:
            self._late[message.address] = message
        self.strike()

    def strike(self, answer: Frame | None = None) -> None:
        """Count a message that was wrong or too much; an answer goes by its rate."""
        self._strikes += 1
        if self._strikes >= MAX_STRIKES:
            self.end()
        elif answer is not None and self._bucket.take(1.0, time.monotonic()):
            self.put(answer)

    def _look_later(self, carry_out: Callable[[WebMessage], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(LATE_S, self._carry_out_late, carry_out)

    def _carry_out_late(self, carry_out: Callable[[WebMessage], None]) -> None:
        while self._late and self._bucket.take(1.0, time.monotonic()):
            carry_out(self._late.pop(next(iter(self._late))))
        if self._late:
            self._look_later(carry_out)
