"""The OSCQuery server: the OSC namespace as JSON over HTTP, announced by mDNS.

Controllers read it to build their surface by themselves. It is for reading only, by a
few clients at once, on the address of the OSC server. The page's server answers the
same, and tells of changes besides; where there is one, this server says so.
"""

import contextlib
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from effects.base.errors import RunError
from engine.control.callbacks import Say
from engine.control.commands import Actions
from engine.control.controls import Controls
from engine.control.status import SessionStatus
from engine.osc.addresses import is_everywhere, is_near_only, own_address
from engine.osc.query_tree import Node, answer, host_info, tree, values_of

MAX_CLIENTS = 8
CLIENT_S = 5.0  # that a client has for its request and to take the answer
POLL_S = 0.1  # between looks at whether to end
SERVICE = "_oscjson._tcp.local."
NO_ZEROCONF = (
    "mDNS needs the package zeroconf: 'bin/latent play --oscquery PORT' installs it"
)


class QueryServer:
    """Serves the tree of the namespace from `start` to `stop`.

    Args:
        controls: whose values are shown.
        actions: whose status is shown; called from the server's threads.
        osc_host: address that the OSC server listens on, and this one, too.
        osc_port: UDP port of the OSC server.
        port: TCP port of this server; 0 for a free one, which clients find by mDNS.
        say: takes one line for the user.
        announce: whether to use mDNS, for which the package zeroconf is needed.
        listen: gives host and port of the server that tells of changes, or None.
    """

    def __init__(
        self,
        controls: Controls,
        actions: Actions,
        osc_host: str,
        osc_port: int,
        *,
        port: int = 0,
        say: Say = lambda line: None,
        announce: bool = True,
        listen: Callable[[], tuple[str, int] | None] = lambda: None,
    ) -> None:
        self.name = f"Latent {osc_port}"
        self.port = port
        self._controls, self._actions = controls, actions
        self._host, self._osc_port, self._say = osc_host, osc_port, say
        self._announce, self._listen = announce, listen
        self._server: _Http | None = None
        self._announced: Callable[[], None] = lambda: None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Open the port and begin; mDNS is started in a thread.

        Raises:
            RunError: the port cannot be opened.
        """
        try:
            self._server = _Http((self._host, self.port), self)
        except OSError as error:
            raise RunError(
                f"OSCQuery: TCP port {self.port} on {self._host}: {error.strerror}"
            ) from error
        self.port = self._server.server_address[1]
        jobs = [partial(self._server.serve_forever, POLL_S)]
        jobs += [partial(self._make_known)] if self._announce else []
        for job in jobs:
            thread = threading.Thread(target=job, name="oscquery", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Close the port and end the announcement; harmless when not started."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        for thread in self._threads:
            thread.join(5.0)
        self._announced()

    def answer(self, target: str) -> tuple[int, Node | None]:
        """Return the HTTP status and the JSON for the target of a request."""
        parts = urlsplit(target)
        path, query = unquote(parts.path), parts.query.partition("=")[0]
        if query == "HOST_INFO":
            osc = self._host, self._osc_port
            return 200, host_info(self.name, osc, self._listen())
        status: SessionStatus | None
        try:
            status = self._actions.status()
        except Exception:
            # Without a status, readings are shown without a value.
            status = None
        root = tree(values_of(self._controls.snapshot, status))
        return answer(root, path, query)

    def allows(self, host: str) -> bool:
        """Whether a Host header is an address of this server, not a rebound name."""
        name, _, port = host.rpartition(":")
        if port != str(self.port):
            return False
        if name == "localhost":
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return address.is_loopback or not is_near_only(self._host)

    def _make_known(self) -> None:
        try:
            from zeroconf import ServiceInfo, Zeroconf
        except ImportError:
            self._say(NO_ZEROCONF)
            return
        try:
            addresses = _addresses(self._host)
            found = Zeroconf(interfaces=addresses)
            self._announced = found.close
            found.register_service(
                ServiceInfo(
                    SERVICE,
                    f"{self.name}.{SERVICE}",
                    addresses=[socket.inet_aton(each) for each in addresses],
                    port=self.port,
                    server=f"latent-{self._osc_port}.local.",
                )
            )
        except Exception as error:
            # No network, or a name in use: the server still has its address.
            self._say(f"mDNS: not announced: {error!r:.80}")


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 4 * MAX_CLIENTS

    def __init__(self, address: tuple[str, int], owner: QueryServer) -> None:
        self.owner = owner
        self._slots = threading.BoundedSemaphore(MAX_CLIENTS)
        self._ends: dict[socket.socket, float] = {}  # by when they must be answered
        super().__init__(address, _Request)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        self._ends[request] = time.monotonic() + CLIENT_S
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._ends.pop(request, None)
            self._slots.release()

    def service_actions(self) -> None:
        """Between requests: end those that take too long.

        A time-out of the socket is not enough: it begins anew with each byte.
        """
        now = time.monotonic()
        for request, end in tuple(self._ends.items()):
            if now > end:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that went away."""


class _Request(BaseHTTPRequestHandler):
    server: _Http
    timeout = CLIENT_S
    server_version = "Latent"
    sys_version = ""

    def do_GET(self) -> None:
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not self.server.owner.allows(hosts[0]):
            self._send(403, None)
            return
        if not self.path.startswith("/"):
            self._send(400, None)
            return
        self._send(*self.server.owner.answer(self.path))

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def _send(self, code: int, content: Node | None) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)


def _addresses(host: str) -> list[str]:
    """Return the IPv4 addresses to announce."""
    if host == "localhost":
        return ["127.0.0.1"]
    if is_everywhere(host):
        return [own_address() or "127.0.0.1"]
    return [host]
