"""OSCQuery as a controller meets it: HTTP, JSON, and found by mDNS."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from engine.control.commands import COMMANDS
from engine.control.controls import TABLE, Controls
from engine.control.readings import READINGS
from engine.control.status import SessionStatus
from engine.osc.query import MAX_CLIENTS, NO_ZEROCONF, SERVICE, QueryServer
from tests.support.osc import FakeSession

HOST = "127.0.0.1"


@pytest.fixture
def server() -> Iterator[QueryServer]:
    made = QueryServer(Controls(), FakeSession(), HOST, 9470, announce=False)
    made.start()
    yield made
    made.stop()


def get(
    server: QueryServer, target: str, host: str | None = None
) -> tuple[int, dict[str, Any] | None]:
    connection = http.client.HTTPConnection(HOST, server.port, timeout=5.0)
    try:
        connection.putrequest("GET", target, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"{HOST}:{server.port}")
        connection.endheaders()
        response = connection.getresponse()
        body = response.read()
        return response.status, json.loads(body) if body else None
    finally:
        connection.close()


def test_the_tree_has_every_control_command_and_reading(server: QueryServer) -> None:
    status, root = get(server, "/")
    assert status == 200
    leaves: dict[str, Any] = {}

    def walk(node: dict[str, Any]) -> None:
        if "TYPE" in node:
            leaves[node["FULL_PATH"]] = node
        for name, child in node.get("CONTENTS", {}).items():
            assert child["FULL_PATH"].endswith("/" + name)
            # What python-oscquery asks of every node, or it refuses the whole tree.
            assert ("VALUE" in child) == (child["ACCESS"] != 0) != ("CONTENTS" in child)
            assert child["ACCESS"] == 0 or len(child["VALUE"]) == len(child["TYPE"]) > 0
            walk(child)

    assert root is not None
    walk(root)
    for control in TABLE:
        leaf = leaves["/latent/" + control.name]
        assert leaf["ACCESS"] == 3
        assert leaf["VALUE"] == [control.default]
        assert leaf["DESCRIPTION"] == control.text
        if control.choices:
            assert leaf["RANGE"] == [{"VALS": list(control.choices)}]
        elif leaf["TYPE"] == "f":
            assert leaf["RANGE"] == [{"MIN": control.low, "MAX": control.high}]
            assert leaf["CLIPMODE"] == ["both"]
        assert leaves[f"/latent/norm/{control.name}"]["TYPE"] == "f"
    assert {f"/latent/{c.name}" for c in COMMANDS} <= leaves.keys()
    assert all(leaves[f"/latent/{c.name}"]["ACCESS"] == 2 for c in COMMANDS)
    assert {f"/latent/{r.name}" for r in READINGS} <= leaves.keys()
    assert leaves["/latent/point"]["TYPE"] == "ff"
    assert leaves["/latent/preset/load"]["RANGE"] == [{"VALS": ["dark", "shoreline"]}]


def test_a_value_is_the_one_in_force(server: QueryServer) -> None:
    server._controls.set("tilt", 3.0)
    assert get(server, "/latent/tilt?VALUE") == (200, {"VALUE": [3.0]})
    assert get(server, "/latent/tilt?UNIT") == (200, {"UNIT": ["dB"]})
    status, node = get(server, "/latent/rank")
    assert status == 200
    assert node is not None
    assert "pitch" in node["CONTENTS"]


def test_what_is_not_there_is_said_by_the_status(server: QueryServer) -> None:
    assert get(server, "/latent/nothing") == (404, None)
    assert get(server, "/latent/next?UNIT") == (204, None)
    assert get(server, "/latent/tilt?EVIL") == (400, None)


def test_host_info_leads_to_the_osc_port(server: QueryServer) -> None:
    _, info = get(server, "/?HOST_INFO")
    assert info is not None
    assert (info["OSC_IP"], info["OSC_PORT"]) == (HOST, 9470)
    assert info["OSC_TRANSPORT"] == "UDP"
    assert info["EXTENSIONS"]["VALUE"] is True


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example:{port}",
        "localhost.evil.com:{port}",
        "127.0.0.1.nip.io:{port}",
        "localhost.:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "192.168.1.2:{port}",
        "",
    ],
)
def test_a_name_that_was_led_to_us_gets_nothing(server: QueryServer, host: str) -> None:
    assert get(server, "/", host.format(port=server.port)) == (403, None)


@pytest.mark.parametrize("host", ["localhost:{port}", "[::1]:{port}"])
def test_our_own_names_are_answered(server: QueryServer, host: str) -> None:
    assert get(server, "/?HOST_INFO", host.format(port=server.port))[0] == 200


@pytest.mark.parametrize(
    "request_line",
    [
        b"POST / HTTP/1.1",
        b"GET http://evil/ HTTP/1.1",
        b"GET /../../etc/passwd HTTP/1.1",
        b"GET /%2e%2e/%00 HTTP/1.1",
        b"nonsense",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1",
    ],
)
def test_strange_requests_are_turned_away(
    server: QueryServer, request_line: bytes
) -> None:
    with socket.create_connection((HOST, server.port), timeout=5.0) as client:
        host = f"\r\nHost: {HOST}:{server.port}\r\n\r\n"
        client.sendall(request_line + host.encode())
        answer = client.recv(65_536)
    assert b" 200 " not in answer.partition(b"\r\n")[0]
    assert get(server, "/?HOST_INFO")[0] == 200


def test_clients_that_say_nothing_do_not_pile_up(server: QueryServer) -> None:
    before = threading.active_count()
    silent = [
        socket.create_connection((HOST, server.port), timeout=5.0)
        for _ in range(2 * MAX_CLIENTS)
    ]
    deadline = time.monotonic() + 5.0
    try:
        while threading.active_count() < before + MAX_CLIENTS:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        silent[-1].settimeout(5.0)
        assert silent[-1].recv(1) == b"", "there is no room for it"
        assert threading.active_count() <= before + MAX_CLIENTS
    finally:
        for client in silent:
            client.close()


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nX: ", b"G"])
def test_clients_that_dawdle_leave_their_places_to_others(
    server: QueryServer, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.osc.query.CLIENT_S", 1.0)
    slow = [
        socket.create_connection((HOST, server.port), timeout=5.0)
        for _ in range(MAX_CLIENTS)
    ]
    for client in slow:
        client.sendall(sent)
    deadline = time.monotonic() + 10.0
    try:
        while True:
            assert time.monotonic() < deadline, "all places are taken for ever"
            for client in slow:
                with contextlib.suppress(OSError):
                    client.sendall(b"a")  # a byte now and then
            with contextlib.suppress(OSError, http.client.HTTPException):
                assert get(server, "/?HOST_INFO")[0] == 200
                break
            time.sleep(0.2)
    finally:
        for client in slow:
            client.close()


def test_a_status_that_fails_costs_the_readings_alone() -> None:
    class Broken(FakeSession):
        def status(self) -> SessionStatus:
            raise RuntimeError("no status")

    server = QueryServer(Controls(), Broken(), HOST, 9470, announce=False)
    server.start()
    try:
        assert get(server, "/latent/tilt?VALUE") == (200, {"VALUE": [0.0]})
        assert get(server, "/latent/song/title?VALUE") == (200, {"VALUE": [""]})
    finally:
        server.stop()


def test_it_is_found_by_mdns() -> None:
    from zeroconf import Zeroconf

    server = QueryServer(Controls(), FakeSession(), HOST, 9471)
    server.start()
    try:
        with Zeroconf(interfaces=[HOST]) as browser:
            found = browser.get_service_info(SERVICE, f"Latent 9471.{SERVICE}", 8000)
        assert found is not None
        assert found.port == server.port
        assert found.parsed_addresses() == [HOST]
    finally:
        server.stop()


def test_without_zeroconf_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "zeroconf", None)
    said: list[str] = []
    server = QueryServer(Controls(), FakeSession(), HOST, 9472, say=said.append)
    server.start()
    server.stop()
    assert said == [NO_ZEROCONF]
    assert "bin/latent play" in NO_ZEROCONF
