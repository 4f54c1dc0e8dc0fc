"""The page's server: files of the page, WebSockets, and documents."""

import asyncio
import base64
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from importlib import resources
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine.control.commands import Argument
from engine.streams.encoder import FORMATS
from engine.web.access import HEADERS, Access
from engine.web.connections import SignalFreeServer, TimedConnection
from engine.web.context import Routes, WebContext
from engine.web.hub import Hub
from engine.web.live import MAX_LISTENERS, LiveFeed, LiveListener
from engine.web.messages import MAX_MESSAGE
from engine.web.session_client import SessionClient
from engine.web.spectrum import BANDS, COLUMN_S, HIGH_HZ, LOW_HZ

MAX_CONNECTIONS = 512
MODEL_S = 300.0  # that a model is kept with no page open: some 40 MB
LOOK_S = 30.0  # between looks at whether it is used
STATIC_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}


class PageServer:
    """Serves the page, until it is told to end or its session has ended.

    Args:
        access: who may do what.
        find: returns a socket that is linked to a session, or None.
        routes: further documents.
    """

    def __init__(
        self,
        access: Access,
        find: Callable[[], socket.socket | None],
        routes: Sequence[Routes] = (),
    ) -> None:
        self._session = SessionClient(find, self._on_told, self._on_session)
        self._hub = Hub(self._session, access, self._on_watch)
        self.context = WebContext(access, self._session, self._hub)
        self._feeding: asyncio.Task[None] | None = None
        self._server: uvicorn.Server | None = None
        documents = [route for each in routes for route in each(self.context)]
        app = Starlette(
            routes=[*self._routes(), *documents, *static_routes()],
            exception_handlers={HTTPException: refused},
        )
        self.app: ASGIApp = Guard(app, access)

    async def serve(self, sockets: Sequence[socket.socket], *, once: bool) -> None:
        """Serve on sockets that are bound already.

        Args:
            sockets: to answer on.
            once: end with the session, instead of finding another.
        """
        config = uvicorn.Config(
            self.app,
            ws="websockets-sansio",
            http=TimedConnection,
            lifespan="off",
            ws_max_size=MAX_MESSAGE,
            ws_ping_interval=20.0,
            ws_per_message_deflate=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=1,
            server_header=False,
            access_log=False,
            log_config=None,
        )
        self._server = server = SignalFreeServer(config)

        async def follow() -> None:
            await self._session.run(once=once)
            server.should_exit = True

        async def look_after() -> None:
            while True:
                await asyncio.sleep(LOOK_S)
                self.context.release_model(MODEL_S)

        tasks = [asyncio.create_task(each()) for each in (follow, look_after)]
        try:
            await server.serve(list(sockets))
        finally:
            for task in tasks:
                task.cancel()

    def stop(self) -> None:
        """Any thread: end `serve`."""
        if self._server is not None:
            self._server.should_exit = True

    def _on_watch(self) -> None:
        if self.context.feed is not None:
            self.context.feed.wake()

    def _on_told(self, address: str, args: list[Argument]) -> None:
        if address == "/latent/now":
            self._follow_song(args)
        self._hub.tell(address, args)
        for told in self.context.on_told:
            told(address, args)

    def _follow_song(self, now: list[Argument] | None) -> None:
        """Begin another picture with another song."""
        if now and self.context.feed is not None:
            self.context.feed.picture.begin(int(now[0]) + 1)

    def _on_session(self, answers: bool) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
            self._feeding = self.context.feed = None
        facts, ring = self._session.facts, self._session.ring
        if facts is not None and ring is not None:
            feed = LiveFeed(
                facts.sample_rate, ring, lambda: self._hub.has_watchers, self._hub.show
            )
            self.context.feed = feed
            self._follow_song(self._session.reading("now"))
            self._feeding = asyncio.create_task(feed.run())
        self._hub.tell_session(answers)
        for told in self.context.on_session:
            told(answers)

    def _routes(self) -> list[BaseRoute]:
        return [
            WebSocketRoute("/ws", self._hub.meet),
            WebSocketRoute("/live", self._live),
            Route("/api/song", self._song),
            *(
                Route(f"/stream.{name}", self._stream(name), methods=["GET"])
                for name in FORMATS
            ),
        ]

    def _stream(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        async def stream(request: Request) -> Response:
            feed = self.context.require_feed()
            if feed.n_listeners >= MAX_LISTENERS:
                raise HTTPException(503, "too many listeners")
            return StreamingResponse(
                feed.stream(name),
                media_type=FORMATS[name].mime,
                headers={"Cache-Control": "no-store", "Accept-Ranges": "none"},
            )

        return stream

    async def _live(self, websocket: WebSocket) -> None:
        feed = self.context.feed
        if feed is None or feed.n_listeners >= MAX_LISTENERS:
            await websocket.close(1013)
            return
        await websocket.accept()
        listener = LiveListener()
        feed.listeners.add(listener)
        feed.wake()
        receiving = asyncio.create_task(_until_closed(websocket))
        try:
            await websocket.send_json({"rate": feed.sample_rate, "channels": 2})
            while not receiving.done() and self.context.feed is feed:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1.0):
                        block = await listener.blocks.get()
                    await websocket.send_bytes(block)
            await websocket.close(1001)
        except (WebSocketDisconnect, RuntimeError, OSError):
            pass  # it has gone
        finally:
            feed.listeners.discard(listener)
            receiving.cancel()

    async def _song(self, request: Request) -> Response:
        picture = self.context.require_feed().picture
        return JSONResponse(
            {
                "number": picture.number,
                "column_s": COLUMN_S,
                "bands": BANDS,
                "low_hz": LOW_HZ,
                "high_hz": HIGH_HZ,
                "first": picture.first,
                "columns": base64.b64encode(picture.columns).decode(),
            },
            headers={"Cache-Control": "no-store"},
        )


class Guard:
    """Refuses requests for other names and from other origins; adds headers.

    Args:
        app: that answers the rest.
        access: who may ask.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        headers = Headers(scope=scope)
        refusal = self._access.refusal(headers)
        if len(headers.getlist("host")) > 1 or len(headers.getlist("origin")) > 1:
            refusal = 400, "a header twice"
        if refusal is None:
            await self._app(scope, receive, send_guarded)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close(1008)
        else:
            status, reason = refusal
            response = PlainTextResponse(reason + "\n", status)
            await response(scope, receive, send_guarded)


def static_routes() -> list[BaseRoute]:
    """A route for each file of the page: no path of a request is looked up."""
    root = resources.files("engine.web") / "static"
    found: list[BaseRoute] = []

    def add(folder: Any, path: str) -> None:
        for entry in sorted(folder.iterdir(), key=lambda each: str(each.name)):
            if entry.is_dir():
                add(entry, f"{path}{entry.name}/")
                continue
            kind = STATIC_KINDS.get("." + entry.name.rpartition(".")[2])
            if kind is not None:
                found.append(Route(path + entry.name, _file(entry, kind)))
                if entry.name == "index.html":
                    found.append(Route(path, _file(entry, kind)))

    add(root, "/")
    return found


def _file(entry: Any, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        # Read each time: some kB, and a page that is worked on is seen at once.
        content = await asyncio.to_thread(entry.read_bytes)
        return Response(
            content, headers={"Content-Type": kind, "Cache-Control": "no-cache"}
        )

    return answer


async def refused(request: Request, error: Exception) -> Response:
    """Answer what a route has refused."""
    assert isinstance(error, HTTPException)
    return JSONResponse(
        {"error": error.detail}, error.status_code, headers=error.headers
    )


async def _until_closed(websocket: WebSocket) -> None:
    """Wait until a listener has gone; what it says is let go."""
    with contextlib.suppress(RuntimeError, OSError):
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
