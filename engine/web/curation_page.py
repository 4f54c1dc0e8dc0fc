"""The page of `latent corpus curate`: clips to swipe, and decisions about them.

Clips are chosen by their ids from the corpus' rows: no text of a request is a path.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from effects.base.errors import LatentError
from engine.web.access import Access
from engine.web.bodies import read_body
from engine.web.connections import SignalFreeServer, TimedConnection
from engine.web.server import Guard, refused, static_routes
from model.corpus.curation.curation import REASONS, Curation
from model.corpus.curation.latents import latents_of
from model.inference import TimbreModel

PAGE = "/curate.html"
AHEAD = 3  # clips that the page loads before their turn
MAX_BODY = 1_024  # bytes of a decision
END_S = 2.0  # connections have so long to close


class ClipDecision(msgspec.Struct, forbid_unknown_fields=True):
    """What a page decides: about a clip, or that the last decision is taken back."""

    clip: int = -1
    verdict: str = ""
    reason: str = ""


class CurationServer:
    """Serves a corpus under curation, until it is told to end.

    One request at a time is answered by the curation, so windows are in step.

    Args:
        curation: of the corpus.
        access: who may do what.
    """

    def __init__(self, curation: Curation, access: Access) -> None:
        self._curation, self._access = curation, access
        self._lock = threading.Lock()
        self._ended = threading.Event()
        routes = [
            Route("/", lambda request: RedirectResponse(PAGE)),
            self._route("/api/curation", self._state),
            self._route("/api/curation", self._decide, "POST"),
            self._route("/api/curation/clips/{clip:int}", self._clip),
            self._route("/api/curation/songs/{clip:int}", self._song),
            *static_routes(),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: refused})
        self.app: ASGIApp = Guard(app, access)

    async def serve(self, sockets: Sequence[Any]) -> None:
        """Serve on sockets that are bound already."""
        config = uvicorn.Config(
            self.app,
            http=TimedConnection,
            lifespan="off",
            server_header=False,
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=1,
        )
        latents = threading.Thread(target=self._learn_latents, daemon=True)
        latents.start()
        try:
            await SignalFreeServer(config).serve(list(sockets))
        finally:
            self._ended.set()
            latents.join(END_S)

    def _route(
        self, path: str, ask: Callable[[Request], Any], method: str = "GET"
    ) -> BaseRoute:
        async def answer(request: Request) -> Response:
            # Clips are the user's own music: all of it needs the token, where one is.
            if not self._access.allows_request(request.headers, request.query_params):
                raise HTTPException(401, "needs the token")
            try:
                found = await ask(request)
            except LatentError as error:
                raise HTTPException(400, str(error)) from None
            if isinstance(found, Response):
                return found
            return JSONResponse(found, headers={"Cache-Control": "no-store"})

        return Route(path, answer, methods=[method])

    async def _state(self, request: Request) -> Any:
        return await self._locked(self._described)

    async def _decide(self, request: Request) -> Any:
        body = await read_body(request, MAX_BODY)
        try:
            decision = msgspec.json.decode(body, type=ClipDecision)
        except msgspec.DecodeError as error:
            raise HTTPException(400, f"no decision: {error}") from None

        def decide() -> dict[str, Any]:
            if decision.verdict == "keep":
                self._curation.keep(decision.clip)
            elif decision.verdict == "reject":
                self._curation.reject(decision.clip, decision.reason)
            elif decision.verdict == "undo":
                self._curation.undo()
            else:
                raise HTTPException(400, "a verdict is keep, reject or undo")
            return self._described()

        return await self._locked(decide)

    async def _clip(self, request: Request) -> Response:
        clip = request.path_params["clip"]
        path = await self._locked(lambda: self._curation.audio(clip))
        if not path.is_file() or path.is_symlink():
            raise HTTPException(404, "the clip's audio is gone")
        return FileResponse(path, media_type="audio/flac")

    async def _song(self, request: Request) -> Response:
        clip = request.path_params["clip"]
        return FileResponse(await self._locked(lambda: self._curation.song(clip)))

    async def _locked(self, ask: Callable[[], Any]) -> Any:
        def answer() -> Any:
            with self._lock:
                return ask()

        return await asyncio.to_thread(answer)

    def _described(self) -> dict[str, Any]:
        curation = self._curation
        upcoming = curation.upcoming(1 + AHEAD)
        counts = curation.counts()
        found = {
            "clips": counts.clips,
            "kept": counts.kept,
            "rejected": counts.rejected,
            "a_minute": round(counts.a_minute),
            "reasons": REASONS,
            "upcoming": upcoming,
        }
        if upcoming:
            clip = upcoming[0]
            row = curation.row(clip)
            found["clip"] = {
                "id": clip,
                "title": str(
                    row.get("title") or row.get("song") or row.get("group", clip)
                ),
                "artist": str(row.get("artist") or ""),
                "start_s": row.get("start_s"),
                "chance": curation.chance(clip),
                "over_limit": curation.suspicion(clip),
            }
        return found

    def _learn_latents(self) -> None:
        curation = self._curation
        found = latents_of(
            curation.corpus, TimbreModel.load(), lambda: not self._ended.is_set()
        )
        if found is not None:
            with self._lock:
                curation.learn_latents(found)
