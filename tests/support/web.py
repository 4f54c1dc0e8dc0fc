"""The page's server for tests: beside a session of their own, or in this process."""

import asyncio
import json
import os
import random
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

from engine.control.controls import TABLE, Controls
from engine.live.mixer import MasterSink
from engine.streams.sockets import listen
from engine.web.access import Access, names_of
from engine.web.documents import documents
from engine.web.link import SessionLink
from engine.web.messages import SessionFacts
from engine.web.server import PageServer
from tests.support.osc import FakeSession
from tests.support.playing import Player

RATE = 48_000
ANSWER_S = 10.0

# Notes what a page sends to its speaker: `rms()` of the last 43 ms.
HEAR = """
(() => {
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioDestinationNode) {
      const ear = to.context.createAnalyser();
      ear.fftSize = 2048;
      connect.call(this, ear);
      window.rms = () => {
        const heard = new Float32Array(2048);
        ear.getFloatTimeDomainData(heard);
        return Math.sqrt(heard.reduce((sum, x) => sum + x * x, 0) / 2048);
      };
    }
    return connect.call(this, to, ...rest);
  };
})();
"""


class Client:
    """A WebSocket of the page's server, as another program uses it."""

    def __init__(self, url: str, **options: Any) -> None:
        self._stack = ExitStack()
        # Without a bound: a full queue would keep it from seeing the end.
        opened = connect(url, max_size=1 << 24, max_queue=None, **options)
        self._socket: ClientConnection = self._stack.enter_context(opened)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def send(self, address: str, *args: object) -> None:
        """Send a message."""
        self.send_raw(json.dumps({"address": address, "args": args}))

    def send_raw(self, data: str | bytes) -> None:
        """Send any frame."""
        self._socket.send(data)

    def next(self, timeout: float = ANSWER_S) -> str | bytes:
        """The next frame."""
        return self._socket.recv(timeout=timeout)

    def wait(
        self, address: str, *args: object, timeout: float = ANSWER_S
    ) -> tuple[float, list[Any]]:
        """Until a message comes; returns its monotonic time and its arguments.

        Args:
            address: of it.
            args: that it has; any if there are none.
            timeout: seconds.
        """
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0.0:
            frame = self.next(left)
            if isinstance(frame, bytes):
                continue
            message = json.loads(frame)
            if message["address"] == address and (
                not args or message["args"] == list(args)
            ):
                return time.monotonic(), message["args"]
        raise TimeoutError(f"{address} {args} never came")


class ServedPage:
    """A page's server in this process, beside a session that is no music.

    Attributes:
        controls: of the session.
        session: notes commands.
        link: of the session.
        taps: what the master is sent to.
        server: of the page.
        port: TCP.
    """

    def __init__(self, access: Access | None = None, osc_port: int = 0) -> None:
        self._osc = ("127.0.0.1", osc_port) if osc_port else ("", 0)
        self._begin_session()
        self._sockets = listen("127.0.0.1", 0, "--web")
        self.port: int = self._sockets[0].getsockname()[1]
        access = access or Access(names=names_of())
        self.server = PageServer(access, lambda: self.link.connect(), [documents])
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _begin_session(self) -> None:
        self.controls = Controls()
        self.session = FakeSession()
        self.taps: list[MasterSink] = []
        self.link = SessionLink(
            self.controls,
            self.session,
            SessionFacts(RATE, seed=7, osc_host=self._osc[0], osc_port=self._osc[1]),
            self.taps.append,
            self.taps.remove,
        )

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """Of its messages."""
        return f"ws://127.0.0.1:{self.port}/ws"

    def client(self, **options: Any) -> Client:
        """Another program that is connected, once the session answers."""
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            client = Client(self.socket_url, **options)
            _, (hello,) = client.wait("/page/hello")
            if hello["session"]:
                return client
            client.__exit__()
            time.sleep(0.05)
        raise TimeoutError("no session answered")

    def client_at(self, path: str, **options: Any) -> Client:
        """A WebSocket of another path."""
        return Client(f"ws://127.0.0.1:{self.port}{path}", **options)

    def renew_session(self) -> None:
        """End the session, and begin another with the values of the table."""
        self.link.stop()
        self._begin_session()
        self.link.start()

    def start(self) -> None:
        """Begin."""
        self.link.start()
        self.start_server()

    def start_server(self) -> None:
        """Begin to serve; the session's side has begun."""
        self._thread.start()

    def stop(self) -> None:
        """End the server, then the session."""
        self.server.stop()
        self._thread.join(ANSWER_S)
        self.link.stop()
        for each in self._sockets:
            each.close()

    def _run(self) -> None:
        asyncio.run(self.server.serve(self._sockets, once=False))


@contextmanager
def served_page(
    access: Access | None = None, osc_port: int = 0
) -> Iterator[ServedPage]:
    """Serve a page while the block runs."""
    page = ServedPage(access, osc_port)
    page.start()
    try:
        yield page
    finally:
        page.stop()


def page_of(player: Player, timeout: float = 60.0) -> str:
    """The address of the page of a session that runs, without the slash at its end."""
    player.wait_for("page: http", timeout)
    found = re.search(r"page: (http://\S+:\d+)/", player.said)
    assert found is not None
    return found[1]


_NAMES = (*(c.name for c in TABLE), "keep", "sleep", "preset/load", "nothing")
_ODD: tuple[Any, ...] = (
    None,
    [],
    {},
    "x" * 5000,
    "\0",
    [[1]],
    "NaN",
    {"a": 1},
    "\u202e",
    1e999,
)


def fuzzed(rng: random.Random) -> str | bytes:
    """A frame that is no message, or one whose arguments fit nothing."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randrange(200))
    if kind == 1:
        return "".join(chr(rng.randrange(32, 1000)) for _ in range(40))
    if kind == 2:
        return "[" * rng.randrange(5000)
    address = f"/latent/{rng.choice(_NAMES)}{rng.choice(['', '/', '/x', '*', '//'])}"
    args = [rng.choice(_ODD) for _ in range(rng.randrange(1, 4))]
    text = json.dumps({"address": address, "args": args})
    if kind == 3:
        cut = rng.randrange(len(text))
        return text[:cut] + rng.choice(["", "}", '"', "\\u0000"]) + text[cut + 1 :]
    return text


def patience() -> float:
    """What limits of time are multiplied by: programs that wait for each core."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
