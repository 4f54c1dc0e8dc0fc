"""Who may ask the page's server, and who may change something.

Names and origins are checked so that no web page elsewhere can reach the server through
a browser (DNS rebinding, cross-site requests); the token, so that not everyone in the
network turns the music off.
"""

import contextlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from effects.base.paths import state_dir
from engine.streams.request import RequestError, check_host, own_names

TOKEN_BYTES = 16
_TOKEN = re.compile(r"[\w-]{20,64}")

# Scripts and styles from this server alone, none within the document.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass(frozen=True)
class Access:
    """What a server lets whom do.

    Attributes:
        token: that whoever changes something has to know; empty for none.
        names: that the server goes by, in lower case.
    """

    token: str = ""
    names: frozenset[str] = frozenset()

    def refusal(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Return status and reason if a request must not be answered at all.

        Args:
            headers: of the request, by their names in lower case.
        """
        host = headers.get("host", "")
        try:
            check_host(host, self.names)
        except RequestError:
            known = ", ".join(sorted(self.names))
            return 421, f"this server is {known}; --web-name adds another name"
        origin = headers.get("origin")
        if not host or (origin is not None and _host_of(origin) != host.lower()):
            return 403, "a page of another origin"
        return None

    def allows(self, token: str) -> bool:
        """Whether who shows this token may change something."""
        if not self.token:
            return True
        return hmac.compare_digest(token.encode(), self.token.encode())

    def allows_request(
        self, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> bool:
        """Whether a request may change something."""
        given = headers.get("authorization", "").removeprefix("Bearer ")
        return self.allows(given or query.get("token", ""))


def names_of(more: Iterable[str] = ()) -> frozenset[str]:
    """Names of this machine, and others that the user knows it by."""
    return own_names() | {name.lower() for name in more}


def kept_token() -> str:
    """The token of this user's sessions, made when there is none."""
    path = state_dir() / "web-token"
    with contextlib.suppress(OSError, UnicodeError):
        found = path.read_text(encoding="ascii").strip()
        if _TOKEN.fullmatch(found):
            return found
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with contextlib.suppress(OSError):  # without room for it, it holds for once
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(path, flags, 0o600), "w") as file:
            file.write(token)
    return token


def _host_of(origin: str) -> str:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""
