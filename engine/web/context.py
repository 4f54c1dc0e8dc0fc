"""What the parts of the page's server share: the session, permissions, the model."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute

from effects.base.errors import LatentError
from engine.control.commands import Argument
from engine.web.access import Access
from engine.web.hub import Hub
from engine.web.live import LiveFeed
from engine.web.session_client import SessionClient
from model.inference import TimbreModel


@dataclass
class WebContext:
    """What the parts of the server share.

    Attributes:
        access: who may do what.
        session: that is spoken to.
        hub: of the pages.
        feed: of the master; None while no session answers.
        on_told: called with everything that the session tells.
        on_session: called when a session answers, and when it has gone.
        on_release: called when the model is let go.
    """

    access: Access
    session: SessionClient
    hub: Hub
    feed: LiveFeed | None = field(default=None)
    on_told: list[Callable[[str, list[Argument]], None]] = field(default_factory=list)
    on_session: list[Callable[[bool], None]] = field(default_factory=list)
    on_release: list[Callable[[], None]] = field(default_factory=list)
    _model: tuple[str, TimbreModel] | None = field(default=None, init=False)
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _asked: float = field(default=0.0, init=False)  # for the model, monotonic

    def require_change(self, request: Request) -> None:
        """Let only those through who may change something.

        Raises:
            HTTPException: 401 without the token.
        """
        if not self.access.allows_request(request.headers, request.query_params):
            raise HTTPException(401, "needs the token")

    async def model(self) -> TimbreModel:
        """Return the session's model, loaded when it is first asked for.

        Raises:
            HTTPException: 503 while there is no session, or it cannot be loaded.
        """
        facts = self.session.facts
        if facts is None:
            raise HTTPException(503, "no session answers", {"Retry-After": "1"})
        self._asked = time.monotonic()
        async with self._loading:
            if self._model is None or self._model[0] != facts.model:
                folder = Path(facts.model) if facts.model else None
                try:
                    loaded = await asyncio.to_thread(TimbreModel.load, folder)
                except LatentError as error:
                    raise HTTPException(503, str(error)) from None
                self._model = facts.model, loaded
            return self._model[1]

    def release_model(self, unused_s: float) -> None:
        """Let the model go if nobody has asked for it for so long."""
        is_unused = time.monotonic() - self._asked >= unused_s
        if self._model is not None and is_unused and not self.hub.n_pages:
            self._model = None
            for release in self.on_release:
                release()

    def require_feed(self) -> LiveFeed:
        """Return the feed of the session.

        Raises:
            HTTPException: 503 while there is none.
        """
        if self.feed is None:
            raise HTTPException(503, "no session answers", {"Retry-After": "1"})
        return self.feed


Routes = Callable[[WebContext], Sequence[BaseRoute]]  # of one part of the server
