"""The map's documents: the space, its sounds, and sound files to be heard by it."""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from effects.base.errors import InputError
from engine.control.commands import Argument
from engine.web.context import WebContext
from engine.web.messages import PAGE
from engine.web.space import Space

MAX_UPLOAD = 64 << 20  # bytes of a sound file
MAX_UPLOADS = 2  # that are heard at once
MAX_QUESTIONS = 2  # that are computed at once: the music needs the rest of the machine

Answer = TypeVar("Answer")


def space_routes(context: WebContext) -> Sequence[BaseRoute]:
    """Routes of the map, and its messages: the head moves as the session tells it."""
    map_routes = _SpaceRoutes(context)
    context.on_told.append(map_routes.follow)
    return [
        Route("/api/space", map_routes.space),
        Route("/api/space/song", map_routes.song),
        Route("/api/space/sounds/{number:int}", map_routes.sound),
        Route("/api/space/audition/{like}", map_routes.audition),
        Route("/api/space/place/{like}", map_routes.place),
        Route("/api/space/hear", map_routes.hear, methods=["POST"]),
    ]


class _SpaceRoutes:
    """What the routes share: the space of the session's model."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._uploads = asyncio.Semaphore(MAX_UPLOADS)
        self._questions = asyncio.Semaphore(MAX_QUESTIONS)
        self._space: Space | None = None
        self._placing: asyncio.Future[None] | None = None
        context.on_release.append(self._release)

    async def space(self, request: Request) -> Response:
        return _json(await self._ask(lambda space: space.document()))

    async def song(self, request: Request) -> Response:
        session = self._context.session
        sounds = [str(text) for text in session.reading("song/sounds") or ()]
        pattern = "".join(map(str, session.reading("song/pattern") or ()))
        point = [float(value) for value in session.reading("point") or ()]

        def answer(space: Space) -> dict[str, Any]:
            return {**space.song(sounds, pattern), "head": space.place_of(point)}

        return _json({**await self._ask(answer), "pattern": pattern})

    async def sound(self, request: Request) -> Response:
        number = request.path_params["number"]
        found = await self._ask(lambda space: space.sound(number))
        if found is None:
            raise HTTPException(404, "no such sound")
        return _json(found)

    async def audition(self, request: Request) -> Response:
        like = request.path_params["like"]
        content = await self._ask(lambda space: space.audition(like))
        return Response(content, media_type="audio/flac")

    async def place(self, request: Request) -> Response:
        like = request.path_params["like"]
        return _json({"place": await self._ask(lambda space: space.place(like))})

    async def hear(self, request: Request) -> Response:
        self._context.require_change(request)
        if self._uploads.locked():
            raise HTTPException(
                503, "other sounds are being heard", {"Retry-After": "2"}
            )
        async with self._uploads:
            with tempfile.TemporaryDirectory(prefix="latent-") as folder:
                # Its name is the server's: what the browser calls it goes nowhere.
                path = Path(folder, "sound.mp3")
                await _received(request, path)
                return _json(await self._ask(lambda space: space.heard(path), "sound"))

    def follow(self, address: str, args: Sequence[Argument]) -> None:
        """Tell the pages where the music is, if any of them shows it."""
        is_seen = address == "/latent/point" and self._context.hub.has_watchers
        if is_seen and (self._placing is None or self._placing.done()):
            self._placing = asyncio.ensure_future(self._tell_head(list(args)))

    async def _tell_head(self, point: Sequence[Any]) -> None:
        with contextlib.suppress(HTTPException):
            place = await self._ask(lambda space: space.place_of(point))
            if place is not None:
                self._context.hub.tell(PAGE + "head", place)

    def _release(self) -> None:
        self._space = None

    async def _ask(self, question: Callable[[Space], Answer], what: str = "") -> Answer:
        """Ask the space, beside the loop that serves.

        Raises:
            HTTPException: 503 without a session, 400 for what cannot be answered.
        """
        model = await self._context.model()
        if self._space is None or self._space.model is not model:
            facts = self._context.session.facts
            folder = Path(facts.model) if facts and facts.model else None
            self._space = Space(model, folder)
        space = self._space
        try:
            async with self._questions:
                return await asyncio.to_thread(question, space)
        except InputError as error:
            reason = str(error)
            if what:  # the path of a temporary file says nothing to anybody
                reason = f"this {what} cannot be used:{reason.partition(':')[2]}"
            raise HTTPException(400, reason) from None


async def _received(request: Request, path: Path) -> None:
    """Write the body of a request into a file.

    Raises:
        HTTPException: 413 over `MAX_UPLOAD` bytes, 400 if it broke off or is empty.
    """
    size = 0
    try:
        with path.open("xb") as file:
            async for piece in request.stream():
                size += len(piece)
                if size > MAX_UPLOAD:
                    raise HTTPException(413, f"over {MAX_UPLOAD >> 20} MB")
                await asyncio.to_thread(file.write, piece)
    except ClientDisconnect:
        raise HTTPException(400, "broke off") from None
    except OSError as error:
        raise HTTPException(507, f"no room for it ({error.strerror})") from None
    if not size:
        raise HTTPException(400, "an empty file")


def _json(content: Any) -> Response:
    return JSONResponse(content, headers={"Cache-Control": "no-store"})
