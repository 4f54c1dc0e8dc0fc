"""How the page's address is shown to the user: as text, and as a QR code for phones."""

import io
import socket
import sys

from engine.osc.addresses import is_everywhere, own_address


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
    """Where another machine reaches a server that listens on `host`."""
    if is_everywhere(host):
        return own_address() or socket.gethostname()
    return host


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
