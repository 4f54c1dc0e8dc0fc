"""OSCQuery on the page's server: the OSC namespace as JSON, and its changes.

The same paths as an OSCQuery server of its own has: `/` and what lies below `/latent`,
by HTTP, and a WebSocket at `/` that sends what is listened to as OSC packets and takes
OSC packets. A browser that asks for `/` gets the page.

The format follows https://github.com/Vidvox/OSCQueryProposal.
"""

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route, WebSocketRoute
from starlette.types import Scope
from starlette.websockets import WebSocket

from effects.base.errors import InputError
from engine.control.commands import COMMANDS, ROOT, Argument, Command
from engine.control.controls import TABLE
from engine.control.readings import (
    READINGS_BY_NAME,
    Reading,
    reading_types,
    typed,
)
from engine.control.status import SessionStatus
from engine.osc.addresses import is_near_only
from engine.osc.guard import RefusedDatagram, messages
from engine.osc.query_tree import (
    ATTRIBUTES,
    Node,
    QueryValues,
    answer,
    host_info,
    tree,
)
from engine.osc.request import parsed
from engine.osc.values import ADDRESSES, control_addresses, value_at
from engine.web.context import WebContext
from engine.web.heard_paths import PATHS, packet_at, paths_of
from engine.web.messages import WebMessage
from engine.web.web_peer import WebPeer

MAX_PEERS = 32
NOWHERE = ("", 0)  # a sender without an address of OSC


class _Order(msgspec.Struct, rename="upper"):
    """What a client asks for, as a text over the WebSocket."""

    command: str
    data: str = ""


_orders = msgspec.json.Decoder(_Order)


def query_routes(context: WebContext) -> Sequence[BaseRoute]:
    """Routes of OSCQuery."""
    query = OscQuery(context)
    context.on_told.append(query.tell)
    context.on_session.append(query.tell_session)
    return [
        WebSocketRoute("/", query.meet),
        _RootRoute("/", query.answer),
        Route(ROOT.rstrip("/"), query.answer),
        Route(ROOT + "{path:path}", query.answer),
    ]


class _RootRoute(Route):
    """The root of the namespace, for whoever asks for no page."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Let a browser go on to the page, which has the same path."""
        if scope["type"] == "http":
            accepted = dict(scope["headers"]).get(b"accept", b"")
            asked = scope["query_string"].decode("latin-1").partition("=")[0]
            if b"text/html" in accepted and asked not in ("HOST_INFO", *ATTRIBUTES):
                return Match.NONE, {}
        return super().matches(scope)


class _QueryPeer(WebPeer):
    """A client's WebSocket."""

    def __init__(self, socket: WebSocket, *, may_change: bool) -> None:
        super().__init__(socket, may_change=may_change)
        self.heard: set[str] = set()  # paths that it listens to


class OscQuery:
    """Answers clients, and tells them what they listen to.

    Args:
        context: of the server.
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._peers: set[_QueryPeer] = set()
        self._shapes: dict[str, object] = {}  # of nodes that change, by path

    async def answer(self, request: Request) -> Response:
        """Answer a request for a node, or for the server itself."""
        attribute = request.url.query.partition("=")[0]
        if attribute == "HOST_INFO":
            return _json(200, self._host_info(request))
        if self._context.session.facts is None:
            return _json(503, None)
        root = tree(self._values())
        return _json(*answer(root, request.scope["path"], attribute))

    async def meet(self, socket: WebSocket) -> None:
        """Serve one client until it goes."""
        if len(self._peers) >= MAX_PEERS:
            await socket.close(1013)
            return
        await socket.accept()
        token = socket.query_params.get("token", "")
        peer = _QueryPeer(socket, may_change=self._context.access.allows(token))
        self._peers.add(peer)
        try:
            await peer.converse(partial(self._hear, peer))
        finally:
            self._peers.discard(peer)

    def tell(self, address: str, args: Sequence[Argument]) -> None:
        """Send what the session tells to those that listen to it."""
        for path in paths_of(address) if self._peers else ():
            listening = [peer for peer in self._peers if path in peer.heard]
            if listening and (packet := packet_at(path, args)) is not None:
                for peer in listening:
                    peer.put(packet)
        for path in self._reshaped(address, args):
            self._tell_changed(path)

    def tell_session(self, answers: bool) -> None:
        """Tell everyone that the namespace is another session's now."""
        self._shapes.clear()
        if answers:
            for address, args in self._context.session.values.items():
                self._reshaped(address, args)
            self._tell_changed("/")

    def _tell_changed(self, path: str) -> None:
        text = msgspec.json.encode({"COMMAND": "PATH_CHANGED", "DATA": path}).decode()
        for peer in tuple(self._peers):
            peer.put(text)

    def _reshaped(self, address: str, args: Sequence[Argument]) -> list[str]:
        """Paths whose nodes have another type or range since the session told this."""
        reading = READINGS_BY_NAME.get(address.removeprefix(ROOT))
        if reading is None or not reading.types.endswith("*"):
            return []
        shapes: dict[str, object] = {address: len(args)}
        values = self._values()
        for command in COMMANDS:
            if command.listed is not None:
                shapes[ROOT + command.name] = values.choices(command)
        changed = [path for path, shape in shapes.items() if self._is_new(path, shape)]
        self._shapes |= shapes
        return changed

    def _is_new(self, path: str, shape: object) -> bool:
        return path in self._shapes and self._shapes[path] != shape

    def _hear(self, peer: _QueryPeer, received: Any) -> None:
        data = received.get("bytes")
        if data is not None:
            self._take_packet(peer, data)
            return
        try:
            order = _orders.decode(received.get("text") or "")
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            peer.strike()
            return
        if order.command == "IGNORE":
            peer.heard.discard(order.data)
        elif order.command == "LISTEN" and order.data in PATHS:
            peer.heard.add(order.data)
            # What it was told before by HTTP may have changed since.
            known = self._context.session.values.get(PATHS[order.data])
            if known is not None and (packet := packet_at(order.data, known)):
                peer.put(packet)
        else:
            peer.strike()  # a path without a value, or what this server cannot do

    def _take_packet(self, peer: _QueryPeer, data: bytes) -> None:
        try:
            requests = [parsed(raw, NOWHERE, 0.0) for raw in messages(data)]
            found = [
                each for one in requests for each in _changes(one.address, one.args)
            ]
        except (RefusedDatagram, InputError):
            peer.strike()
            return
        if not peer.may_change:
            peer.strike()
            return
        for message in found:
            peer.take(message, self._carry_out)

    def _carry_out(self, message: WebMessage) -> None:
        self._context.session.send(message.address, *message.args)

    def _host_info(self, request: Request) -> Node:
        facts = self._context.session.facts
        osc = (facts.osc_host, facts.osc_port) if facts and facts.osc_port else None
        if osc and is_near_only(osc[0]) and not is_near_only(_host_of(request)):
            osc = None  # it could not be reached from there; the WebSocket can
        port = _port_of(request)
        name = f"Latent {osc[1] if osc else port}"
        return host_info(name, osc, ("", port))

    def _values(self) -> QueryValues:
        session = self._context.session

        def known(reading: Reading) -> Sequence[Argument] | None:
            found = session.reading(reading.name)
            if found is None:
                return None
            # JSON does not tell whole numbers from others.
            return tuple(map(typed, reading_types(reading, len(found)), found))

        def listed(name: str) -> tuple[str, ...]:
            return tuple(map(str, session.reading(name) or ()))

        status = SessionStatus(
            presets=listed("preset/list"), effects=listed("effects/list")
        )

        def choices(command: Command) -> tuple[str, ...]:
            return command.choices_in(status)

        controls = {
            control.name: (session.reading(control.name) or [control.default])[0]
            for control in TABLE
        }
        return QueryValues(controls, known, choices)


def _changes(address: str, args: tuple[Argument, ...]) -> list[WebMessage]:
    """What a packet asks the session for.

    Raises:
        InputError: a value does not fit its control.
    """
    if not args and address in ADDRESSES:
        return []  # whoever wants to know listens, or asks by HTTP
    if addresses := control_addresses(address):
        if len(args) != 1:
            raise InputError("takes one value")
        found = [value_at(each, args[0]) for each in addresses]
        return [WebMessage(ROOT + name, (value,)) for name, value in found]
    return [WebMessage(address, args)]


def _host_of(request: Request) -> str:
    return request.client.host if request.client else ""


def _port_of(request: Request) -> int:
    """The port as the client knows it, which may have come through a tunnel."""
    with contextlib.suppress(ValueError):  # over 65,535
        return request.url.port or 80
    return 80


def _json(status: int, content: Node | None) -> Response:
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if content is None:
        return Response(status_code=status, headers=headers)
    return JSONResponse(content, status, headers=headers)
