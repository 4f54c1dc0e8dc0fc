"""OSCQuery on the page's server, as a controller meets it: JSON, and what it hears."""

import asyncio
import http.client
import json
import random
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request
from starlette.routing import Route
from websockets.exceptions import InvalidStatus

from engine.osc.query_tree import tree, values_of
from engine.web.access import Access, names_of
from engine.web.oscquery import query_routes
from engine.web.web_peer import BURST
from tests.support.osc import STATUS, bundle, number, packet, padded, unpacked
from tests.support.waiting import wait_until
from tests.support.web import Client, ServedPage, patience, served_page

OSC_PORT = 9470
GAIN = "/latent/master/gain"


@pytest.fixture(scope="module")
def page() -> Iterator[ServedPage]:
    with served_page(osc_port=OSC_PORT) as served:
        with served.client():  # the session has answered
            pass
        yield served


def get(page: ServedPage, path: str, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    is_json = answer.getheader("Content-Type", "").startswith("application/json")
    return answer.status, json.loads(body) if is_json else body


class Controller:
    """A client's WebSocket."""

    def __init__(self, page: ServedPage, path: str = "/", **options: Any) -> None:
        self._client: Client = page.client_at(path, **options)

    def __enter__(self) -> "Controller":
        return self

    def __exit__(self, *error: object) -> None:
        self._client.__exit__()

    def order(self, command: str, path: str) -> None:
        self.send(json.dumps({"COMMAND": command, "DATA": path}))

    def send(self, frame: str | bytes) -> None:
        self._client.send_raw(frame)

    def hears(self, *wanted: object) -> None:
        """Wait for a packet: its address and its arguments, to four digits."""
        deadline = time.monotonic() + 10.0
        last: list[tuple[object, ...]] = []
        while time.monotonic() < deadline:
            frame = self._client.next()
            if isinstance(frame, bytes):
                last = [tuple(map(_rounded, row)) for row in unpacked(frame)]
                if tuple(map(_rounded, wanted)) in last:
                    return
        raise AssertionError(f"{wanted} never came, last {last}")

    def is_told(self, path: str) -> None:
        """Wait until a path is said to have changed."""
        wanted = {"COMMAND": "PATH_CHANGED", "DATA": path}
        while True:
            frame = self._client.next()
            if isinstance(frame, str) and json.loads(frame) == wanted:
                return

    def hears_nothing(self, seconds: float) -> None:
        with pytest.raises(TimeoutError):
            self._client.next(seconds)


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


def test_the_tree_is_the_one_that_oscquery_alone_shows(page: ServedPage) -> None:
    status, found = get(page, "/")
    assert status == 200
    wanted = tree(values_of(page.controls.snapshot, page.session.shown))
    # As texts: a whole number is not a fraction to every client.
    assert json.dumps(found) == json.dumps(wanted)
    assert get(page, "/latent/preset/load?RANGE") == (
        200,
        {"RANGE": [{"VALS": ["dark", "shoreline"]}]},
    )
    assert get(page, "/latent/nothing")[0] == 404
    assert get(page, "/latent/next?UNIT")[0] == 204
    assert get(page, "/latent/tilt?EVIL")[0] == 400


def test_a_browser_gets_the_page(page: ServedPage) -> None:
    accept = "text/html,application/xhtml+xml,*/*;q=0.8"
    for path in ("/", "/?token=abc"):
        status, body = get(page, path, Accept=accept)
        assert status == 200
        assert b"<title>Latent</title>" in body
    assert get(page, "/?HOST_INFO", Accept=accept)[1]["OSC_PORT"] == OSC_PORT


def test_host_info_leads_to_both_servers(page: ServedPage) -> None:
    _, info = get(page, "/?HOST_INFO")
    assert (info["OSC_IP"], info["OSC_PORT"]) == ("127.0.0.1", OSC_PORT)
    assert info["WS_PORT"] == page.port
    assert info["EXTENSIONS"]["LISTEN"] is True
    assert info["EXTENSIONS"]["PATH_CHANGED"] is True
    # Through a tunnel the WebSocket is where the tunnel begins.
    _, info = get(page, "/?HOST_INFO", Host="localhost:9999")
    assert info["WS_PORT"] == 9999
    assert get(page, "/?HOST_INFO", Host="localhost:99999")[0] == 200


def test_who_is_elsewhere_is_not_led_to_a_port_of_this_machine(
    page: ServedPage,
) -> None:
    route = next(
        each
        for each in query_routes(page.server.context)
        if isinstance(each, Route) and each.path == "/latent"
    )

    def info(client: str) -> dict[str, Any]:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"HOST_INFO",
            "headers": [(b"host", b"latent.local:8080")],
            "client": (client, 50_000),
            "server": ("192.168.1.2", 8080),
            "scheme": "http",
        }
        answer = asyncio.run(route.endpoint(Request(scope)))
        found: dict[str, Any] = json.loads(answer.body)
        return found

    assert info("127.0.0.1")["OSC_PORT"] == OSC_PORT
    there = info("192.168.1.7")
    assert not {"OSC_IP", "OSC_PORT", "OSC_TRANSPORT"} & there.keys()
    assert there["WS_PORT"] == 8080
    assert there["EXTENSIONS"]["LISTEN"] is True


def test_what_is_listened_to_is_heard_within_100_ms(page: ServedPage) -> None:
    page.controls.set("master/gain", -1.0)
    with Controller(page) as controller:
        controller.order("LISTEN", GAIN)
        controller.hears(GAIN, -1.0)  # what it is now
        begun = time.monotonic()
        page.controls.set("master/gain", -7.5)
        controller.hears(GAIN, -7.5)
        assert time.monotonic() - begun < 0.1 * patience()
        controller.order("LISTEN", "/latent/norm/tilt")
        page.controls.set("tilt", 3.0)
        controller.hears("/latent/norm/tilt", 0.625)
        controller.order("LISTEN", "/latent/song/title")
        controller.hears("/latent/song/title", "Ebb")
        controller.order("LISTEN", "/latent/tuning/key")
        page.controls.set("tuning/key", "D")
        controller.hears("/latent/tuning/key", "D")
        page.session.show(sleep_min=30.0)
        controller.order("LISTEN", "/latent/sleep")
        controller.hears("/latent/sleep", 30.0)


def test_what_is_ignored_or_was_never_asked_for_is_not_heard(page: ServedPage) -> None:
    page.controls.set("tilt", 0.0)
    with Controller(page) as controller:
        controller.order("LISTEN", "/latent/tilt")
        controller.hears("/latent/tilt", 0.0)
        controller.order("IGNORE", "/latent/tilt")
        controller.order("LISTEN", "/latent/rank")  # a container has no value
        controller.order("LISTEN", "/etc/passwd")
        time.sleep(0.2 * patience())
        page.controls.set("tilt", 1.0)
        page.controls.set("width", 0.3)
        controller.hears_nothing(0.3)


def test_packets_turn_controls_and_press_buttons(page: ServedPage) -> None:
    with Controller(page) as controller:
        controller.send(number(GAIN, -3.0))
        wait_until(lambda: page.controls.snapshot["master/gain"] == -3.0)
        controller.send(
            bundle(number("/latent/norm/tilt", 0.625), packet("/latent/tilt"))
        )
        wait_until(lambda: page.controls.snapshot["tilt"] == 3.0)
        before = len(page.session.done)
        controller.send(packet("/latent/next", "T"))
        controller.send(packet("/latent/next", "F"))  # let go
        controller.send(packet("/latent/preset/load", "s", padded(b"dark")))
        wait_until(lambda: len(page.session.done) >= before + 2)
        assert page.session.done[before:] == [("next",), ("preset/load", "dark")]


def test_a_changed_namespace_is_told(page: ServedPage) -> None:
    with Controller(page) as controller:
        time.sleep(0.2 * patience())
        page.session.show(presets=("dark", "shoreline", "mine"))
        controller.is_told("/latent/preset/load")
        load = get(page, "/latent/preset/load?RANGE")[1]
        assert load["RANGE"] == [{"VALS": ["dark", "shoreline", "mine"]}]
        controller.order("LISTEN", GAIN)
        page.renew_session()
        controller.is_told("/")
        page.controls.set("master/gain", -9.0)
        controller.hears(GAIN, -9.0)


def test_without_the_token_it_is_for_listening_alone() -> None:
    token = "x" * 22
    with served_page(Access(token, names_of())) as page:
        with page.client():
            pass
        with Controller(page) as controller:
            controller.send(number(GAIN, -20.0))
            controller.order("LISTEN", GAIN)
            controller.hears(GAIN, page.controls.snapshot["master/gain"])
            assert page.controls.snapshot["master/gain"] != -20.0
        with Controller(page, f"/?token={token}") as controller:
            controller.send(number(GAIN, -20.0))
            wait_until(lambda: page.controls.snapshot["master/gain"] == -20.0)
        assert get(page, "/latent/tilt?VALUE") == (200, {"VALUE": [0.0]})


def test_other_names_and_origins_are_refused(page: ServedPage) -> None:
    assert get(page, "/?HOST_INFO", Host="evil.example")[0] == 421
    assert get(page, "/latent/tilt", Origin="http://evil.example")[0] == 403
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        with pytest.raises(InvalidStatus):
            Controller(page, additional_headers=headers)


def test_strange_frames_change_nothing(page: ServedPage) -> None:
    page.session.shown = STATUS
    before, done = dict(page.controls.snapshot), len(page.session.done)
    rng = random.Random(3)
    odd = ["", "[" * 9000, "{}", '{"COMMAND": 3}', '{"COMMAND": "LISTEN", "DATA": {}}']
    with Controller(page) as controller:
        for _ in range(2000):
            if rng.random() < 0.3:
                controller.send(rng.choice(odd))
                continue
            raw = bytearray(number("/latent/tilt", 2.0))
            raw[rng.randrange(1, 20)] ^= 1 << rng.randrange(8)  # not its number
            controller.send(bytes(raw[: rng.choice([3, 12, 24])]))
        controller.send(packet("/latent/keep", "f", struct.pack(">f", float("nan"))))
        controller.order("LISTEN", GAIN)
        controller.hears(GAIN, before["master/gain"])
    changed = {k: v for k, v in page.controls.snapshot.items() if v != before[k]}
    assert set(changed) <= {"tilt"}  # where a bit was flipped in the padding alone
    assert len(page.session.done) == done


def test_the_last_value_of_a_flood_counts(page: ServedPage) -> None:
    n = round(3 * BURST)
    with Controller(page) as controller:
        for k in range(n):
            controller.send(number("/latent/width", k / n))
        controller.send(number("/latent/width", 0.25))
        wait_until(lambda: page.controls.snapshot["width"] == 0.25)
