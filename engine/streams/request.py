"""Requests to the stream server: what is understood, and from whom."""

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

MAX_HEAD = 16_384  # bytes of a request
_METHODS = ("GET", "HEAD", "OPTIONS")
_REQUEST_LINE = re.compile(r"([A-Z]{1,10}) (/[!-~]{0,1000}) HTTP/1\.([01])")
_HEADER = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([^\x00-\x08\x0a-\x1f]*)"
)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::(\d{1,5}))?")


class RequestError(Exception):
    """A request that gets an error instead of a stream.

    Args:
        status: of HTTP.
        reason: that belongs to it.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(frozen=True)
class Request:
    """A request that may be answered.

    Attributes:
        method: GET, HEAD or OPTIONS.
        path: without its query.
        host: as the client names this server, with its port; "" if it does not.
        headers: by their names in lower case.
    """

    method: str
    path: str
    host: str
    headers: Mapping[str, str]


def parse_request(head: bytes) -> Request:
    """Read the head of a request, with its empty last line.

    Raises:
        RequestError: it is malformed, has a body, or asks for a change.
    """
    try:
        lines = head.decode("latin-1").split("\r\n")[:-2]
        first = _REQUEST_LINE.fullmatch(lines[0])
    except IndexError:
        first = None
    if first is None:
        raise RequestError(400, "Bad Request")
    method, target, minor = first.groups()
    headers: dict[str, str] = {}
    for line in lines[1:]:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise RequestError(400, "Bad Request")
        name = match[1].lower()
        if name == "host" and name in headers:
            raise RequestError(400, "Bad Request")
        headers[name] = match[2].strip()
    if method not in _METHODS:
        raise RequestError(405, "Method Not Allowed")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise RequestError(413, "Content Too Large")
    if "host" not in headers and minor == "1":
        raise RequestError(400, "Bad Request")
    return Request(method, target.partition("?")[0], headers.get("host", ""), headers)


def check_host(host: str, names: frozenset[str]) -> None:
    """Refuse a name that is not this server's, so that no web page can pretend to it.

    Addresses are no names: a page that was made to point here has a name (DNS
    rebinding). A client of HTTP/1.0 may leave the host out.

    Args:
        host: of the request.
        names: that this server goes by.

    Raises:
        RequestError: another name.
    """
    if not host:
        return
    match = _HOST.fullmatch(host)
    if match is not None:
        name = match[1].strip("[]").lower()
        if name in names or _is_address(name):
            return
    raise RequestError(421, "Misdirected Request")


def own_names() -> frozenset[str]:
    """Names that this machine goes by."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset({"localhost", name, short, f"{short}.local"})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
