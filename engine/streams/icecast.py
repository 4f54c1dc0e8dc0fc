"""A source for an Icecast server: MP3 or Opus into a mount, with titles.

Icecast 2.4 takes a PUT whose body has neither a length nor chunks, which HTTP
libraries do not send; the request is written here. Titles of MP3 go over the
administration address, those of Opus into the stream: a new song begins a new chained
stream (RFC 7845, section 3).
"""

import base64
import re
import socket
import ssl
import time
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlencode, urlsplit

from effects.audio.levels import Samples
from effects.base.errors import InputError, RunError
from engine.streams.encoder import FORMATS, Encoder, StreamFormat
from engine.streams.messages import Playing
from engine.streams.sink import CONNECT_S, WRITE_S, check_peer

DEFAULT_PORT = 8000
TITLE_S = 3.0  # the server has so long to take a title: the sound waits meanwhile
TITLE_RETRY_S = 15.0
_MAX_HEAD = 8192
_OPUS_ENDINGS = (".opus", ".ogg", ".oga")


@dataclass(frozen=True)
class Mount:
    """A mount of an Icecast server.

    Attributes:
        host: of the server.
        port: of the server.
        path: of the mount, with its slash.
        user: of the source, as a rule "source".
        password: of the source; never shown.
        secure: whether to speak TLS.
    """

    host: str
    port: int
    path: str
    user: str = "source"
    password: str = field(default="", repr=False)
    secure: bool = False

    @property
    def shown(self) -> str:
        """Its URL without the password."""
        scheme = "https" if self.secure else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{self.path}"

    @property
    def url(self) -> str:
        """Its URL with the password, as `mount_from` reads it."""
        secret = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"
        return self.shown.replace("://", f"://{secret}", 1)

    @property
    def format(self) -> StreamFormat:
        """The format that its ending asks for; MP3 if it has none."""
        is_opus = self.path.lower().endswith(_OPUS_ENDINGS)
        return FORMATS["opus" if is_opus else "mp3"]


def mount_from(url: str, password: str = "") -> Mount:
    """Read http[s]://[USER:PASSWORD@]HOST[:PORT]/MOUNT.

    Args:
        url: of the mount.
        password: used when the URL has none.

    Raises:
        InputError: it is not such a URL; the text holds no password.
    """
    shown = re.sub(r"//.*@", "//", url, flags=re.DOTALL)  # no part of a password
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise InputError(f"--icecast {shown}: not a URL") from None
    path = parts.path
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            f"--icecast {shown}: not http://source:PASSWORD@HOST:PORT/MOUNT"
        )
    if len(path) < 2 or not re.fullmatch(r"/[!-~]+", path) or path.startswith("/admin"):
        raise InputError(f"--icecast {shown}: no mount, as /radio.mp3")
    if path.lower().endswith((".flac", ".aac", ".m4a", ".webm")):
        raise InputError(f"--icecast {shown}: a mount is MP3, or .opus for Opus")
    return Mount(
        parts.hostname,
        port,
        path,
        unquote(parts.username or "source"),
        unquote(parts.password or "") or password,
        parts.scheme == "https",
    )


class IcecastTarget:
    """Feeds a mount; a `Target` of a sink.

    Args:
        mount: where to.
        sample_rate: Hz, of the samples given.
        name: of the radio.
    """

    def __init__(self, mount: Mount, sample_rate: int, name: str) -> None:
        self._mount, self._rate, self._name = mount, sample_rate, name
        self._socket: socket.socket | None = None
        self._encoder: Encoder | None = None
        self._told = ""
        self._title_at = 0.0  # monotonic, before which no title is told
        self._header_due = False

    def open(self) -> None:
        """Connect, and have the mount.

        Raises:
            OSError: the server is not there.
            RunError: the server refuses.
        """
        connection = self._connection()
        try:
            connection.settimeout(CONNECT_S)
            connection.sendall(self._put())
            status = _status(connection)
            if status == 100:
                status = _status(connection, optional=True)
            if status not in (0, 200):
                raise RunError(_refusal(status))
            connection.settimeout(WRITE_S)
        except (OSError, RunError):
            connection.close()
            raise
        self._socket, self._told = connection, ""
        self._encoder, self._title_at = None, 0.0

    def write(self, samples: Samples, playing: Playing) -> None:
        """Encode and send a block, after its title if that is new."""
        assert self._socket is not None
        check_peer(self._socket)
        data = b""
        is_new = playing.line != self._told and time.monotonic() >= self._title_at
        if self._encoder is None or is_new:
            data = self._retitle(playing)
        assert self._encoder is not None
        pieces = b"".join(self._encoder.encode(samples))
        if self._header_due and self._encoder.header:
            data += self._encoder.header
            self._header_due = False
        data += pieces
        if data:
            self._socket.sendall(data)

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _retitle(self, playing: Playing) -> bytes:
        """Tell the server of a title; returns the end of the stream before it."""
        self._told = playing.line
        stream_format = self._mount.format
        is_chained = stream_format.name == "opus"
        last = b""
        if self._encoder is None or is_chained:
            if self._encoder is not None:
                last = b"".join(self._encoder.close())
            self._encoder = Encoder(stream_format, self._rate, playing.line)
            self._header_due = True
        if not is_chained:
            self._tell(playing.line)
        return last

    def _tell(self, title: str) -> None:
        """Set the title of an MP3 mount; tried again later if that fails."""
        query = urlencode(
            {
                "mode": "updinfo",
                "mount": self._mount.path,
                "charset": "UTF-8",
                "song": title,
            },
            quote_via=quote,
        )
        try:
            with self._connection(TITLE_S) as connection:
                connection.settimeout(TITLE_S)
                connection.sendall(self._request("GET", f"/admin/metadata?{query}"))
                _status(connection)
        except (OSError, RunError):
            self._told, self._title_at = "", time.monotonic() + TITLE_RETRY_S

    def _connection(self, timeout: float = CONNECT_S) -> socket.socket:
        mount = self._mount
        connection = socket.create_connection((mount.host, mount.port), timeout)
        if not mount.secure:
            return connection
        context = ssl.create_default_context()
        return context.wrap_socket(connection, server_hostname=mount.host)

    def _put(self) -> bytes:
        stream_format = self._mount.format
        rate = stream_format.rate_for(self._rate)
        headers = (
            ("Content-Type", stream_format.mime),
            ("Expect", "100-continue"),
            ("Ice-Public", "0"),
            ("Ice-Name", self._name),
            ("Ice-Genre", "Ambient"),
            ("Ice-Bitrate", str(stream_format.kbps)),
            (
                "Ice-Audio-Info",
                f"bitrate={stream_format.kbps};samplerate={rate};channels=2",
            ),
        )
        return self._request("PUT", self._mount.path, headers)

    def _request(
        self, method: str, target: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> bytes:
        mount = self._mount
        secret = base64.b64encode(f"{mount.user}:{mount.password}".encode()).decode()
        host = f"[{mount.host}]" if ":" in mount.host else mount.host
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: {host}:{mount.port}",
            "User-Agent: Latent",
            f"Authorization: Basic {secret}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        return "\r\n".join([*lines, "", ""]).encode()


def _status(connection: socket.socket, *, optional: bool = False) -> int:
    """The status of an answer; 0 when none comes soon and `optional`.

    Raises:
        RunError: it is no answer.
    """
    head = b""
    if optional:
        connection.settimeout(1.0)
    while b"\r\n\r\n" not in head:
        try:
            byte = connection.recv(1)  # nothing behind the head is taken
        except TimeoutError:
            if optional and not head:
                return 0
            raise
        if not byte or len(head) > _MAX_HEAD:
            raise RunError("no answer of an Icecast server")
        head += byte
    match = re.match(rb"HTTP/1\.[01] (\d{3})", head)
    if match is None:
        raise RunError("no answer of an Icecast server")
    return int(match[1])


def _refusal(status: int) -> str:
    reasons = {
        401: "wrong user or password",
        403: "the mount is taken, or the format is not supported",
        404: "no such mount",
    }
    return reasons.get(status, f"the server answers {status}")
