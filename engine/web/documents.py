"""Documents of the page: presets, covers, songs and recordings."""

import asyncio
from collections.abc import Sequence

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from engine.compose import preset as presets
from engine.compose.likeness import point_of
from engine.streams.cover import cover_spectra, draw_song_cover
from engine.web.album_routes import album_routes
from engine.web.context import WebContext
from engine.web.oscquery import query_routes
from engine.web.recordings import recording_routes
from engine.web.songs import SongKitchen
from engine.web.space_routes import space_routes


def documents(context: WebContext) -> Sequence[BaseRoute]:
    """Routes of all documents."""
    return [
        *query_routes(context),
        Route("/api/presets/{name}", _preset),
        Route("/api/cover.png", Covers(context).answer),
        *SongKitchen(context).routes(),
        *recording_routes(context),
        *space_routes(context),
        *album_routes(context),
    ]


class Covers:
    """Draws the cover of the song that plays; the last one is kept.

    Args:
        context: of the server.
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._drawn: tuple[object, bytes] = (None, b"")

    async def answer(self, request: Request) -> Response:
        """Answer a request for the cover."""
        session = self._context.session
        sounds, pattern = (
            session.reading("song/sounds"),
            session.reading("song/pattern"),
        )
        if not sounds or not pattern:
            raise HTTPException(404, "no song plays yet")
        song = (*sounds, *pattern)
        if self._drawn[0] != song:
            model = await self._context.model()

            def draw() -> bytes:
                points = [point_of(str(text), model.n_latents) for text in sounds]
                timbres = model.decode(np.stack(points))
                return draw_song_cover(cover_spectra(timbres), str(pattern[0]))

            self._drawn = song, await asyncio.to_thread(draw)
        headers = {"Cache-Control": "max-age=60"}
        return Response(self._drawn[1], media_type="image/png", headers=headers)


async def _preset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in presets.names():  # names only: no path comes over a network
        raise HTTPException(404, "no such preset")
    found = presets.load(name)
    return JSONResponse(
        {
            "name": found.name,
            "description": found.description,
            "controls": dict(found.controls),
        }
    )
