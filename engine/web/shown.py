"""How the page's address is shown to the user: as text, and as a QR code for phones."""

import io
import ipaddress
import socket
import sys


def is_near_only(host: str) -> bool:
    """Whether an address to listen on keeps other machines out."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown_address(host: str, port: int, token: str) -> list[str]:
    """Lines for the user: where the page is, and its token as a code on a terminal.

    Args:
        host: that the server listens on.
        port: TCP.
        token: that changes need; empty for none.
    """
    if not token:
        return [f"page: http://{_bracketed(host)}:{port}/"]
    url = f"http://{_bracketed(_reached_at(host))}:{port}/#token={token}"
    lines = [
        f"page: {url}",
        "page: without the token it is for listening and looking alone",
    ]
    if sys.stderr.isatty():
        lines += code_lines(url)
    return lines


def code_lines(text: str) -> list[str]:
    """A QR code as lines of half blocks, for a terminal."""
    try:
        import segno
    except ImportError:
        return []
    drawn = io.StringIO()
    segno.make(text, error="l").terminal(drawn, compact=True, border=2)
    return drawn.getvalue().splitlines()


def _reached_at(host: str) -> str:
    """The address under which another machine reaches a server that listens on `host`.

    Connecting UDP sends nothing; it only chooses an address.
    """
    try:
        if not ipaddress.ip_address(host).is_unspecified:
            return host
    except ValueError:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return socket.gethostname()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
