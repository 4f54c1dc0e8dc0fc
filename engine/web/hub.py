"""The pages that are connected, and what each is sent."""

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.websockets import WebSocket

from engine.control.commands import ROOT
from engine.web.access import Access
from engine.web.messages import PAGE, BadMessage, WebMessage, decoded, encoded, hello
from engine.web.session_client import SessionClient
from engine.web.web_peer import MAX_WAITING, WebPeer

MAX_PAGES = 64

# What a page that says it does not watch is not told: it would wake it all the time.
MOVING = (
    *(ROOT + "meter/", ROOT + "point", ROOT + "headroom", ROOT + "status"),
    *(ROOT + "now", ROOT + "song/seconds", ROOT + "song/progress", PAGE + "head"),
)


class _Page(WebPeer):
    """One WebSocket of `/ws`."""

    watches: bool | None = None  # None before it has said so


class Hub:
    """Keeps pages told, and hands on what they say.

    Args:
        session: that is spoken to.
        access: says who may change something.
        on_watch: told when a page begins to show spectra.
    """

    def __init__(
        self,
        session: SessionClient,
        access: Access,
        on_watch: Callable[[], None] = lambda: None,
    ) -> None:
        self._session, self._access, self._on_watch = session, access, on_watch
        self._pages: set[_Page] = set()

    @property
    def n_pages(self) -> int:
        """Pages that are open."""
        return len(self._pages)

    @property
    def has_watchers(self) -> bool:
        """Whether a page shows spectra."""
        return any(page.watches for page in self._pages)

    def tell(self, address: str, args: list[Any]) -> None:
        """Send a message to every page; to a hidden one, nothing that moves always."""
        if self._pages:
            text = encoded(address, args)
            is_moving = address.startswith(MOVING)
            for page in tuple(self._pages):
                if not is_moving or page.watches is not False:
                    page.put(text)

    def tell_session(self, answers: bool) -> None:
        """Tell every page that the session has come or gone."""
        self.tell(PAGE + "session", [answers])
        if answers:
            for page in tuple(self._pages):
                self._welcome(page)

    def show(self, frame: bytes) -> None:
        """Send a binary frame to the pages that watch."""
        for page in tuple(self._pages):
            # Pictures are worth nothing late; messages go first.
            if page.watches and page.n_waiting < MAX_WAITING // 4:
                page.put(frame)

    async def meet(self, socket: WebSocket) -> None:
        """Serve one page until it goes."""
        if len(self._pages) >= MAX_PAGES:
            await socket.close(1013)
            return
        await socket.accept()
        token = socket.query_params.get("token", "")
        page = _Page(socket, may_change=self._access.allows(token))
        self._pages.add(page)
        self._welcome(page)
        try:
            await page.converse(partial(self._hear, page))
        finally:
            self._pages.discard(page)

    def _welcome(self, page: _Page) -> None:
        may_change = page.may_change
        session = self._session
        page.put(hello(session.values, session.facts, may_change=may_change))

    def _catch_up(self, page: _Page) -> None:
        """Tell a page what it was not told while it was hidden."""
        for address, args in self._session.values.items():
            if address.startswith(MOVING):
                page.put(encoded(address, args))

    def _hear(self, page: _Page, received: Any) -> None:
        try:
            text = received.get("text")
            if text is None:
                raise BadMessage("not a text")
            message = decoded(text)
        except BadMessage as reason:
            page.strike(encoded(ROOT + "error", ["", str(reason)]))
            return
        page.take(message, partial(self._carry_out, page))

    def _carry_out(self, page: _Page, message: WebMessage) -> None:
        address, args = message.address, message.args
        if address.startswith(PAGE):
            self._for_page(page, message)
        elif not address.startswith(ROOT):
            page.put(encoded(ROOT + "error", [address, "no such address"]))
        elif not args and address in self._session.values:
            page.put(encoded(address, self._session.values[address]))
        elif not page.may_change:
            page.put(encoded(ROOT + "error", [address, "needs the token"]))
        elif not self._session.send(address, *args):
            page.put(encoded(ROOT + "error", [address, "no session answers"]))

    def _for_page(self, page: _Page, message: WebMessage) -> None:
        match message.address.removeprefix(PAGE), message.args:
            case "watch", (bool() as watches,):
                page.watches = watches
                if watches:
                    self._catch_up(page)
                    self._on_watch()
            case "token", (str() as token,):
                page.may_change = self._access.allows(token)
                page.put(encoded(PAGE + "may-change", [page.may_change]))
            case _:
                error = [message.address, "no such message"]
                page.put(encoded(ROOT + "error", error))
