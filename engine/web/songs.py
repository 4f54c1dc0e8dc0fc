"""Songs that a page asks for: rendered again from their cards, one after the other.

A song is named by the digest of its card, so the same card is rendered once. What a
request says never becomes a path.
"""

import asyncio
import contextlib
import hashlib
import sys
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from effects.base.errors import InputError, LatentError
from effects.base.paths import cache_dir
from effects.base.search_path import child_environment
from effects.base.whole_file import write_whole
from engine.offline.song_card_file import parse_card
from engine.web.bodies import read_body
from engine.web.context import WebContext

MAX_CARD = 8192  # bytes
MAX_SECONDS = 3600.0  # of a song
MAX_WAITING = 4  # songs behind the one that is rendered
MAX_KEPT = 20  # files; the oldest are removed
NAME_DIGITS = 24

State: TypeAlias = Literal["waiting", "rendering", "done", "failed"]


@dataclass(frozen=True)
class _Song:
    """A song that was asked for."""

    name: str
    state: State
    text: str = ""  # what went wrong
    model: str = ""  # folder, for a card that names another than the bundled one


class SongKitchen:
    """Renders songs from cards, each in a process of its own.

    Args:
        context: of the server.
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._songs: dict[str, _Song] = {}
        self._waiting: deque[str] = deque()
        self._worker: asyncio.Task[None] | None = None

    def routes(self) -> list[BaseRoute]:
        """Routes of its documents."""
        return [
            Route("/api/songs", self._ask, methods=["POST"]),
            Route("/api/songs/{name}.flac", self._file),
            Route("/api/songs/{name}", self._state),
        ]

    async def _ask(self, request: Request) -> Response:
        self._context.require_change(request)
        text = (await read_body(request, MAX_CARD)).decode("utf-8", "replace")
        try:
            card = parse_card(text)
        except LatentError as error:
            raise HTTPException(400, str(error)) from None
        if card.seconds > MAX_SECONDS:
            raise HTTPException(
                400, "over an hour; 'latent render --card' has no limit"
            )
        name = hashlib.sha256(card.text().encode()).hexdigest()[:NAME_DIGITS]
        song = self._songs.get(name)
        if song is None or song.state == "failed" or self._is_lost(song):
            song = self._begin(name, card.text())
        return _told(song)

    async def _state(self, request: Request) -> Response:
        self._context.require_change(request)
        return _told(self._found(request))

    async def _file(self, request: Request) -> Response:
        self._context.require_change(request)
        song = self._found(request)
        if song.state != "done" or self._is_lost(song):
            raise HTTPException(404, "not rendered yet")
        return FileResponse(
            self._path(song.name, ".flac"),
            media_type="audio/flac",
            filename=f"latent-{song.name[:8]}.flac",
            content_disposition_type="inline",
        )

    def _found(self, request: Request) -> _Song:
        song = self._songs.get(request.path_params["name"])
        if song is None:
            raise HTTPException(404, "no such song; ask for it by its card")
        return song

    def _begin(self, name: str, card: str) -> _Song:
        facts = self._context.session.facts
        song = _Song(name, "done", model=facts.model if facts else "")
        if self._is_lost(song):
            if len(self._waiting) >= MAX_WAITING:
                raise HTTPException(503, "too many songs wait", {"Retry-After": "20"})
            try:
                self._path(name, ".card").parent.mkdir(parents=True, exist_ok=True)
                write_whole(self._path(name, ".card"), card)
            except (OSError, LatentError) as error:
                raise HTTPException(507, str(error)) from None
            song = replace(song, state="waiting")
            self._waiting.append(name)
        self._songs[name] = song
        if self._waiting and (self._worker is None or self._worker.done()):
            self._worker = asyncio.create_task(self._render_all())
        return song

    async def _render_all(self) -> None:
        while self._waiting:
            name = self._waiting.popleft()
            song = replace(self._songs[name], state="rendering")
            self._songs[name] = song
            try:
                await self._render(song)
                self._songs[name] = replace(song, state="done")
            except (InputError, OSError) as error:
                self._songs[name] = replace(song, state="failed", text=str(error))
            self._forget_old()

    async def _render(self, song: _Song) -> None:
        command = [sys.executable, "-P", "-m", "engine.cli", "render"]
        command += [str(self._path(song.name, ".flac"))]
        command += ["--card", str(self._path(song.name, ".card"))]
        if song.model:
            command += ["--model", song.model]
        process = await asyncio.create_subprocess_exec(
            *("nice", "-n", "10", *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=child_environment(OMP_NUM_THREADS="1"),
        )
        try:
            _, printed = await process.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        if process.returncode:
            lines = printed.decode("utf-8", "replace").strip().splitlines()
            raise InputError(" ".join(lines[-1:]).removeprefix("latent: "))

    def _forget_old(self) -> None:
        """Remove the files of songs beyond the last `MAX_KEPT`."""
        found = sorted(_folder().glob("*.flac"), key=lambda p: p.stat().st_mtime)
        for path in found[:-MAX_KEPT]:
            for each in (path, path.with_suffix(".card")):
                each.unlink(missing_ok=True)

    def _is_lost(self, song: _Song) -> bool:
        """Whether the file of a song that is done is not there."""
        return song.state == "done" and not self._path(song.name, ".flac").is_file()

    def _path(self, name: str, ending: str) -> Path:
        return _folder() / f"{name}{ending}"


def _folder() -> Path:
    return cache_dir() / "songs"


def _told(song: _Song) -> Response:
    return JSONResponse({"id": song.name, "state": song.state, "text": song.text})
