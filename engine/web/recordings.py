"""Recordings of the session, and what was kept of it, for listening and downloading."""

import asyncio
import hashlib
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from engine.web.context import WebContext

MAX_LISTED = 200  # the latest
NAME_DIGITS = 24


def recording_routes(context: WebContext) -> list[BaseRoute]:
    """Routes of the recordings."""

    async def listed(request: Request) -> Response:
        context.require_change(request)
        found = await asyncio.to_thread(_recordings, context)
        rows = [
            {
                "id": name,
                "name": path.name,
                "bytes": size,
                "made": made,
            }
            for name, (path, size, made) in found.items()
        ]
        return JSONResponse({"recordings": rows}, headers={"Cache-Control": "no-store"})

    async def one(request: Request) -> Response:
        context.require_change(request)
        found = await asyncio.to_thread(_recordings, context)
        if request.path_params["name"] not in found:
            raise HTTPException(404, "no such recording")
        path, _, _ = found[request.path_params["name"]]
        return FileResponse(path, media_type="audio/flac", filename=path.name)

    return [
        Route("/api/recordings", listed),
        Route("/api/recordings/{name}.flac", one),
    ]


def _recordings(context: WebContext) -> dict[str, tuple[Path, int, float]]:
    """Path, bytes and time of each recording, the latest first, by a digest."""
    facts = context.session.facts
    if facts is None or not facts.recordings:
        return {}
    found = []
    for path in Path(facts.recordings).glob("*.flac"):
        if path.name.startswith(".") or path.is_symlink() or not path.is_file():
            continue
        status = path.stat()
        found.append((path, status.st_size, status.st_mtime))
    found.sort(key=lambda row: row[2], reverse=True)
    return {
        hashlib.sha256(row[0].name.encode("utf-8", "surrogateescape")).hexdigest()[
            :NAME_DIGITS
        ]: row
        for row in found[:MAX_LISTED]
    }
