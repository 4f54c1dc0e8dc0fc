"""Albums in the page: what was decided about their songs, and the songs themselves.

Albums are chosen from a list of those known, and songs from an album's rows: nothing of
a request becomes a path.
"""

import asyncio
import base64
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from effects.audio.sound_reader import read_sound
from effects.base.errors import InputError, LatentError
from engine.album.known import known_albums
from engine.album.picture import RANGE_DB, log_rows, spectrogram_db
from engine.album.plan import MINUTES
from engine.album.review import Review
from engine.album.state import SongRow
from engine.web.context import WebContext

COLUMNS, ROWS = 640, 96  # of a song's picture
MAX_BODY = 4096  # bytes of a decision

Answer = TypeVar("Answer")


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """What a page decides: one of keeping or cutting, a name, or taking back."""

    song: int = 0
    kept: bool | None = None
    name: str | None = None
    undo: bool = False


def album_routes(context: WebContext) -> Sequence[BaseRoute]:
    """Routes of the albums; they are the user's own, so all of them need the token."""

    def route(
        path: str, ask: Callable[[Request], Any], method: str = "GET"
    ) -> BaseRoute:
        async def answer(request: Request) -> Response:
            context.require_change(request)
            found = await ask(request)
            if isinstance(found, Response):
                return found
            return JSONResponse(found, headers={"Cache-Control": "no-store"})

        return Route(path, answer, methods=[method])

    return [
        route("/api/albums", _albums),
        route("/api/albums/{album}", _album),
        route("/api/albums/{album}", _decide, "POST"),
        route("/api/albums/{album}/songs/{song:int}", _picture),
        route("/api/albums/{album}/songs/{song:int}.flac", _sound),
    ]


async def _albums(request: Request) -> Any:
    def listed() -> list[dict[str, Any]]:
        found = []
        for album, folder in known_albums().items():
            try:
                review = Review(folder)
            except LatentError:
                continue  # damaged, or of another version
            found.append({"id": album, "name": folder.name, **_counted(review)})
        return found

    return {"albums": await asyncio.to_thread(listed)}


async def _album(request: Request) -> Any:
    return await _told(request, _described)


async def _decide(request: Request) -> Any:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise HTTPException(413, "too long for a decision")
    try:
        decision = msgspec.json.decode(bytes(body), type=Decision)
    except msgspec.DecodeError as error:
        raise HTTPException(400, f"no decision: {error}") from None

    def decide(review: Review) -> dict[str, Any]:
        undone = None
        if decision.undo:
            undone = review.undo()
        elif decision.name is not None:
            review.name(decision.song, decision.name)
        elif decision.kept is not None:
            (review.keep if decision.kept else review.cut)(decision.song)
        else:
            raise InputError("says neither kept, name nor undo")
        return {**_described(review), "undone": undone}

    return await _told(request, decide)


async def _picture(request: Request) -> Any:
    path = await _told(request, lambda review: _song_file(review, request))
    return await asyncio.to_thread(_drawn, path, path.stat().st_mtime_ns)


async def _sound(request: Request) -> Response:
    path = await _told(request, lambda review: _song_file(review, request))
    return FileResponse(path, media_type="audio/flac")


async def _told(request: Request, ask: Callable[[Review], Answer]) -> Answer:
    """Ask a review of the album that a request names.

    Raises:
        HTTPException: 404 without such an album, 400 for what cannot be done.
    """
    folder = (await asyncio.to_thread(known_albums)).get(request.path_params["album"])
    if folder is None:
        raise HTTPException(404, "no such album")
    try:
        return await asyncio.to_thread(lambda: ask(Review(folder)))
    except LatentError as error:
        # The folder is the user's; a page need not know where it lies.
        raise HTTPException(400, str(error).replace(f"{folder}: ", "")) from None


def _song_file(review: Review, request: Request) -> Path:
    for row in review.songs:
        if row.number == request.path_params["song"]:
            path = review.folder / row.file
            if path.is_file() and not path.is_symlink():
                return path
    raise InputError("there is no such song")


def _described(review: Review) -> dict[str, Any]:
    return {
        "name": review.folder.name,
        **_counted(review),
        "songs": [_song(review, row) for row in review.songs],
    }


def _counted(review: Review) -> dict[str, int]:
    kept, cut, undecided = review.counts()
    return {"kept": kept, "cut": cut, "undecided": undecided}


def _song(review: Review, row: SongRow) -> dict[str, Any]:
    verdict = review.verdict(row.number)
    return {
        "number": row.number,
        "kept": verdict.kept,
        "name": verdict.name,
        "preset": row.preset,
        "key": row.key,
        "pattern": row.pattern,
        "lufs": round(row.measures.lufs, 1),
        "aside": list(row.reasons) if row.is_aside else [],
    }


@lru_cache(maxsize=24)
def _drawn(path: Path, changed_ns: int) -> dict[str, Any]:
    """A song's spectrum in time, for as long as its file is the same."""
    del changed_ns
    samples, rate = read_sound(path, max_seconds=60.0 * MINUTES[1])
    level = log_rows(spectrogram_db(samples, COLUMNS), rate, ROWS)
    bytes_ = np.clip(255.0 * (1.0 + level / RANGE_DB), 0.0, 255.0).astype(np.uint8)
    return {
        "seconds": len(samples) / rate,
        "columns": bytes_.shape[1],
        "rows": ROWS,
        "levels": base64.b64encode(bytes_.T.tobytes()).decode(),
    }
