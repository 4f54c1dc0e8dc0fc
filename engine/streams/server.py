"""The HTTP server of the streams: read-only, one request a connection.

Players of every age are answered alike: a head of HTTP/1.1, then sound until one side
closes, in no chunks, since some radios know none.
"""

import asyncio
import json
import socket
from collections.abc import Callable, Iterable, Mapping

from engine.streams.channel import Channel
from engine.streams.cover import draw_song_cover
from engine.streams.listener import META_EVERY, Listener
from engine.streams.messages import Playing
from engine.streams.request import (
    MAX_HEAD,
    Request,
    RequestError,
    check_host,
    own_names,
    parse_request,
)

HEAD_S = 10.0  # a client has so long for its request
ANSWER_S = 20.0  # and so long to take a short answer
MAX_CONNECTIONS = 512
MAX_AFTER = 65_536  # bytes that a listener may send after its request
SEND_BUFFER = 131_072  # of the kernel, a connection

_COMMON = (
    ("Server", "Latent"),
    ("Connection", "close"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "icy-metaint, icy-name, icy-br"),
)
_TEXT = "text/plain; charset=utf-8"


class StreamServer:
    """Answers listeners; everything runs in one event loop.

    Args:
        channels: streams by their names.
        playing: gives the song that plays.
        name: of the radio.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        playing: Callable[[], Playing],
        name: str,
    ) -> None:
        self.n_served = 0
        self._channels, self._playing, self._name = channels, playing, name
        self._names = own_names()
        self._n_connections = 0
        self._servers: list[asyncio.Server] = []
        self._cover: tuple[Playing, bytes] | None = None

    async def start(self, sockets: Iterable[socket.socket]) -> None:
        """Answer on sockets that are bound already."""
        for each in sockets:
            server = await asyncio.start_server(self._meet, sock=each, limit=MAX_HEAD)
            self._servers.append(server)

    async def stop(self, timeout: float = 1.0) -> None:
        """Let listeners have what they were sent, for a moment, and close."""
        for server in self._servers:
            server.close()
        listeners = {each for c in self._channels.values() for each in c.listeners}
        for listener in listeners:
            listener.transport.close()
        deadline = asyncio.get_running_loop().time() + timeout
        while any(each.waiting for each in listeners):
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.02)
        for listener in listeners:
            listener.transport.abort()

    @property
    def n_listeners(self) -> int:
        """Listeners of all streams."""
        return sum(len(channel.listeners) for channel in self._channels.values())

    async def _meet(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        transport = writer.transport
        if self._n_connections >= MAX_CONNECTIONS:
            transport.write(_head(503, "Service Unavailable", [("Retry-After", "30")]))
            transport.close()
            return
        self._n_connections += 1
        try:
            peer: socket.socket = writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # the client has gone, or never asked
        finally:
            self._n_connections -= 1
            transport.abort()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            request = await self._request(reader)
            channel = self._channels.get(request.path.removeprefix("/stream."))
            if channel is not None and request.method == "GET":
                await self._listen(channel, request, reader, writer)
                return
            answer = await self._short_answer(request, channel)
        except RequestError as refused:
            headers = [("Content-Type", _TEXT)]
            if refused.status == 405:
                headers.append(("Allow", "GET, HEAD, OPTIONS"))
            text = f"{refused.reason}\n".encode()
            answer = _head(refused.status, refused.reason, headers, text)
        writer.write(answer)
        async with asyncio.timeout(ANSWER_S):
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    async def _request(self, reader: asyncio.StreamReader) -> Request:
        try:
            async with asyncio.timeout(HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise RequestError(431, "Request Header Fields Too Large") from None
        request = parse_request(head)
        check_host(request.host, self._names)
        return request

    async def _listen(
        self,
        channel: Channel,
        request: Request,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Keep a listener until it goes or is dropped; `Channel` sends to it."""
        wants_titles = request.headers.get("icy-metadata") == "1"
        writer.write(_head(200, "OK", self._stream_headers(channel, wants_titles)))
        listener = Listener(writer.transport, wants_titles, _host(request, writer))
        channel.listeners.add(listener)
        self.n_served += 1
        try:
            n_after = 0
            while data := await reader.read(4096):
                n_after += len(data)
                if n_after > MAX_AFTER:
                    break
        finally:
            channel.listeners.discard(listener)

    async def _short_answer(self, request: Request, channel: Channel | None) -> bytes:
        """The answer to a request that is not for a stream's sound."""
        if request.method == "OPTIONS":
            allowed = [
                ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
                ("Access-Control-Allow-Headers", "Icy-MetaData, Range"),
            ]
            return _head(204, "No Content", allowed)
        if channel is not None:
            return _head(200, "OK", self._stream_headers(channel, False))
        body, mime = await self._document(request)
        answer = _head(200, "OK", [("Content-Type", mime)], body)
        return answer[: -len(body)] if request.method == "HEAD" and body else answer

    async def _document(self, request: Request) -> tuple[bytes, str]:
        """Body and media type of a short document."""
        base = f"http://{request.host}" if request.host else ""
        playing = self._playing()
        if request.path == "/":
            lines = [self._name, playing.line, f"{base}/stream.m3u"]
            lines += [f"{base}/stream.{name}" for name in self._channels]
            return "\n".join([*lines, ""]).encode(), _TEXT
        if request.path == "/stream.m3u":
            text = f"#EXTM3U\n#EXTINF:-1,{self._name}\n{base}/stream.mp3\n"
            return text.encode(), "audio/x-mpegurl"
        if request.path == "/now.json":
            row = {
                "title": playing.title,
                "preset": playing.preset,
                "song": playing.number,
                "listeners": self.n_listeners,
            }
            return json.dumps(row).encode(), "application/json"
        if request.path == "/cover.png" and playing.spectra:
            if self._cover is None or self._cover[0] is not playing:
                drawn = await asyncio.to_thread(
                    draw_song_cover, playing.spectra, playing.pattern
                )
                self._cover = playing, drawn
            return self._cover[1], "image/png"
        raise RequestError(404, "Not Found")

    def _stream_headers(
        self, channel: Channel, wants_titles: bool
    ) -> list[tuple[str, str]]:
        headers = [
            ("Content-Type", channel.format.mime),
            ("Accept-Ranges", "none"),
            ("icy-name", self._name),
            ("icy-genre", "Ambient"),
            ("icy-br", str(channel.format.kbps)),
            ("icy-pub", "0"),
        ]
        if wants_titles:
            headers.append(("icy-metaint", str(META_EVERY)))
        return headers


def _head(
    status: int,
    reason: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
) -> bytes:
    """An answer's head, with its length and body if there is one."""
    lines = [f"HTTP/1.1 {status} {reason}"]
    lines += [f"{name}: {value}" for name, value in (*_COMMON, *headers)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def _host(request: Request, writer: asyncio.StreamWriter) -> str:
    """This server as the client knows it."""
    if request.host:
        return request.host
    host, port = writer.get_extra_info("sockname")[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
