"""The page's server: what it says, what it takes, and what it refuses."""

import base64
import gc
import http.client
import json
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from effects.audio.level_meter import MeterLevels
from engine.control.commands import COMMANDS
from engine.control.controls import TABLE
from engine.web.access import Access, names_of
from model.inference import TimbreModel
from tests.support.waiting import wait_until
from tests.support.web import (
    RATE,
    Client,
    ServedPage,
    fuzzed,
    patience,
    served_page,
)

GAIN = "/latent/master/gain"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("LATENT_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def page(home: Path) -> Iterator[ServedPage]:
    with served_page() as served:
        yield served


def get(
    page: ServedPage,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    **headers: str,
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.putrequest(method, path, skip_host="Host" in named)
    for name, value in named.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, {k.lower(): v for k, v in answer.getheaders()}


def test_the_first_message_is_all_there_is(page: ServedPage) -> None:
    with page.client() as client:
        client.send("/latent/tilt")
        _, args = client.wait("/latent/tilt")
        assert args == [page.controls.snapshot["tilt"]]
    with page.client(), page.client():
        pass
    _, body, _ = get(page, "/", Accept="text/html")
    assert b"<title>Latent</title>" in body


def test_hello_has_the_tables(page: ServedPage) -> None:
    with page.client():
        pass
    with Client(page.socket_url) as client:
        _, (hello,) = client.wait("/page/hello")
    assert [row["name"] for row in hello["controls"]] == [c.name for c in TABLE]
    assert [row["name"] for row in hello["commands"]] == [c.name for c in COMMANDS]
    assert hello["readings"]["/latent/song/title"] == ["Ebb"]
    assert hello["may_change"] is True
    assert hello["seed"] == 7


def test_values_go_both_ways_within_100_ms(page: ServedPage) -> None:
    limit = 0.1 * patience()
    with page.client() as client, page.client() as other:
        begun = time.monotonic()
        client.send(GAIN, -6)
        came_s = wait_until(
            lambda: page.controls.snapshot["master/gain"] == -6.0, every=0.005
        )
        assert came_s < limit
        came, _ = other.wait(GAIN, -6.0)
        assert came - begun < limit
        begun = time.monotonic()
        page.controls.set("master/gain", -12.5)
        for each in (client, other):
            came, _ = each.wait(GAIN, -12.5)
            assert came - begun < limit


def test_commands_reach_the_session(page: ServedPage) -> None:
    with page.client() as client:
        client.send("/latent/next")
        client.send("/latent/keep", 60)
        client.send("/latent/preset/load", "dark")
        wanted = [("next",), ("keep", 60.0), ("preset/load", "dark")]
        wait_until(lambda: page.session.done[-3:] == wanted)


@pytest.mark.parametrize(
    ("address", "args", "reason"),
    [
        (GAIN, ["loud"], "not a number"),
        (GAIN, [1, 2], "one value"),
        ("/latent/tuning/key", ["H"], "none of"),
        ("/latent/preset/load", ["../../etc/passwd"], "none of"),
        ("/latent/record/start", ["a/b"], "name"),
        ("/latent/song/title", ["mine"], "shown, not set"),
        ("/latent/nothing", [1], "no such"),
        ("/page/nothing", [], "no such"),
        ("/etc/passwd", [], "no such"),
    ],
)
def test_what_does_not_fit_is_answered_and_changes_nothing(
    page: ServedPage, address: str, args: list[object], reason: str
) -> None:
    before, done = page.controls.snapshot, len(page.session.done)
    with page.client() as client:
        client.send(address, *args)
        _, (_, text) = client.wait("/latent/error")
    assert reason in text
    assert page.controls.snapshot == before
    assert len(page.session.done) == done


def test_ten_thousand_fuzzed_messages_change_nothing(page: ServedPage) -> None:
    rng = random.Random(5)
    before, done = page.controls.snapshot, len(page.session.done)
    for _ in range(10):
        with page.client() as client:
            for _ in range(1000):
                client.send_raw(fuzzed(rng))
            client.send("/latent/tilt")
            client.wait("/latent/tilt", timeout=60.0)
    assert page.controls.snapshot == before
    assert len(page.session.done) == done


def test_a_frame_that_is_too_long_ends_the_connection(page: ServedPage) -> None:
    with page.client() as client:
        client.send_raw("x" * 20_000)
        with pytest.raises(ConnectionClosed):
            client.wait("/latent/never")
    with page.client():
        pass


def test_a_flood_keeps_the_last_value(page: ServedPage) -> None:
    with page.client() as client:
        for k in range(3000):
            client.send("/latent/width", k / 2000.0)
        wait_until(lambda: page.controls.snapshot["width"] == 2999 / 2000.0)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/../pyproject.toml", 404),
        ("/js/../../server.py", 404),
        ("/js/%2e%2e/%2e%2e/server.py", 404),
        ("/js/..%2f..%2fserver.py", 404),
        ("//etc/passwd", 404),
        ("/api/presets/..%2f..%2fdark", 404),
        ("/api/songs/..%2f..%2fx.flac", 404),
        ("/api/recordings/%2e%2e.flac", 404),
        ("/api/songs/" + "a" * 24, 404),
        ("/js/", 404),
    ],
)
def test_no_path_reaches_the_file_system(
    page: ServedPage, path: str, status: int
) -> None:
    found, body, _ = get(page, path)
    assert found == status
    assert b"import" not in body


def test_names_and_origins_are_checked(page: ServedPage) -> None:
    with page.client():  # the session answers
        pass
    own = f"127.0.0.1:{page.port}"
    for path in ("/", "/api/song", "/js/main.js"):
        assert get(page, path)[0] == 200
        assert get(page, path, Host="evil.test")[0] == 421
        assert get(page, path, Origin="http://evil.test")[0] == 403
        assert get(page, path, Origin=f"http://{own}")[0] == 200
    for path in ("/ws", "/live"):
        for origin in ("http://evil.test", "null", "http://127.0.0.1:1"):
            with pytest.raises(InvalidStatus, match="403"):
                page.client_at(path, origin=origin)


def test_every_answer_has_the_headers(page: ServedPage) -> None:
    for path in ("/", "/nothing", "/api/presets/dark", "/css/page.css"):
        _, _, headers = get(page, path)
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_a_body_that_is_too_long_is_not_read(page: ServedPage) -> None:
    assert get(page, "/api/songs", "POST", b"x" * 100_000)[0] == 413
    assert get(page, "/api/songs", "POST", b"no card")[0] == 400
    assert get(page, "/", "POST", b"x")[0] == 405


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nX: ",
        b"POST /api/songs HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 90\r\n\r\n",
    ],
)
def test_a_client_that_dawdles_is_shown_out(
    page: ServedPage, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HEAD_S", "BODY_S", "LOOK_EVERY_S"):
        monkeypatch.setattr(f"engine.web.connections.{name}", 0.5)
    with socket.create_connection(("127.0.0.1", page.port), timeout=0.2) as client:
        client.sendall(sent % page.port if b"%d" in sent else sent)
        # a byte now and then
        wait_until(lambda: has_gone(client, b"a" if sent else b""))
    assert get(page, "/")[0] == 200


def has_gone(client: socket.socket, byte: bytes) -> bool:
    try:
        client.sendall(byte)
        return not client.recv(1000)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def clients_of(page: ServedPage) -> set[int]:
    """Ports of those whose connections the server holds."""
    return {
        each.raddr.port
        for each in psutil.Process().net_connections("tcp4")
        if each.laddr.port == page.port and each.raddr
    }


def test_a_client_that_takes_no_answer_is_shown_out(
    page: ServedPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TAKE_S", "LOOK_EVERY_S"):
        monkeypatch.setattr(f"engine.web.connections.{name}", 0.5)
    request = f"GET /js/sky.js HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", page.port), timeout=20.0) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        mine = client.getsockname()[1]
        client.sendall(1500 * request.encode())  # answers that no buffer holds
        wait_until(lambda: mine in clients_of(page))
        wait_until(lambda: mine not in clients_of(page), 60.0)
    assert get(page, "/")[0] == 200


def test_a_client_that_is_only_slow_gets_its_answer(
    page: ServedPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HEAD_S", "BODY_S", "TAKE_S", "LOOK_EVERY_S"):
        monkeypatch.setattr(f"engine.web.connections.{name}", 1.0)
    with page.client() as client:
        connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
        for _ in range(8):  # the connection stays, since it is used
            time.sleep(0.4)
            connection.request("GET", "/api/song")
            assert connection.getresponse().read()
        connection.close()
        client.send("/latent/tilt")  # and a WebSocket stays without being used
        client.wait("/latent/tilt")


def test_the_token_is_for_changes_alone(home: Path) -> None:
    access = Access("a" * 22, names_of())
    with served_page(access) as page, page.client() as client:
        before = page.controls.snapshot
        client.send(GAIN, -3)
        _, (_, text) = client.wait("/latent/error")
        assert "token" in text
        client.send("/page/token", "wrong")
        client.wait("/page/may-change", False)
        assert page.controls.snapshot == before
        client.send("/latent/tilt")  # looking needs none
        client.wait("/latent/tilt")
        assert get(page, "/api/song")[0] == 200
        assert get(page, "/api/recordings")[0] == 401
        assert get(page, "/api/songs", "POST", b"{}")[0] == 401
        assert get(page, "/api/recordings", Authorization="Bearer x")[0] == 401
        assert get(page, f"/api/recordings?token={access.token}")[0] == 200
        client.send("/page/token", access.token)
        client.wait("/page/may-change", True)
        client.send(GAIN, -3)
        wait_until(lambda: page.controls.snapshot["master/gain"] == -3.0)


def test_live_sound_is_the_master(page: ServedPage) -> None:
    with page.client():  # the session answers
        pass
    (tap,) = page.taps
    rng = np.random.default_rng(3)
    sent = rng.uniform(-0.5, 0.5, (RATE // 2, 2)).astype(np.float32)
    with page.client_at("/live") as listener:
        assert json.loads(listener.next()) == {"rate": RATE, "channels": 2}
        time.sleep(0.1)
        blocks: list[bytes] = []
        for k in range(0, len(sent), 512):
            tap.write(sent[k : k + 512])
        while sum(len(b) - 8 for b in blocks) < 4 * len(sent):
            frame = listener.next()
            assert isinstance(frame, bytes)
            blocks.append(frame)
    heard = np.frombuffer(b"".join(b[8:] for b in blocks), "<i2").reshape(-1, 2)
    np.testing.assert_array_equal(heard, np.rint(32_768.0 * sent).astype(np.int16))
    positions = [int.from_bytes(b[:8], "little") for b in blocks]
    lengths = [(len(b) - 8) // 4 for b in blocks]
    assert np.diff(positions).tolist() == lengths[:-1]


def test_spectra_come_while_they_are_watched(page: ServedPage) -> None:
    with page.client() as client:
        (tap,) = page.taps
        t = np.arange(RATE // 8) / RATE
        tone = np.stack([0.5 * np.sin(2 * np.pi * 1000.0 * t)] * 2, axis=1)
        client.send("/page/watch", True)
        spectra: list[bytes] = []
        while len(spectra) < 5:
            tap.write(tone.astype(np.float32))
            frame = client.next()
            if isinstance(frame, bytes) and frame[0] == 1:
                spectra.append(frame)
        levels = np.frombuffer(spectra[-1][1:-2], np.uint8)
        assert len(levels) == 96
        wanted = 95 * np.log(1000.0 / 40.0) / np.log(16_000.0 / 40.0)
        assert abs(int(levels.argmax()) - wanted) < 1.5
        assert levels.max() == pytest.approx(255 * (1 - 6.0 / 90.0), abs=4)
        assert spectra[-1][-1] == spectra[-1][-2] == pytest.approx(238, abs=2)


def test_a_server_that_is_late_has_the_whole_song(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ServedPage()
    page.link.start()
    far = page.link.connect()
    wait_until(lambda: page.taps)
    t = np.arange(8 * RATE) / RATE
    hertz = np.where(t < 4.0, 1000.0, 200.0)
    tone = 0.5 * np.sin(2 * np.pi * hertz * t)
    (tap,) = page.taps
    block = 1024
    for k in range(0, len(tone), block):
        tap.write(np.stack([tone[k : k + block]] * 2, axis=1).astype(np.float32))
    monkeypatch.setattr(page.link, "connect", lambda: far)
    page.start_server()
    try:
        wait_until(lambda: get(page, "/api/song")[0] == 200)
        wait_until(lambda: json.loads(get(page, "/api/song")[1])["columns"])
        picture = json.loads(get(page, "/api/song")[1])
    finally:
        page.stop()
    columns = np.frombuffer(base64.b64decode(picture["columns"]), np.uint8)
    loudest = columns.reshape(-1, picture["bands"]).argmax(axis=1)
    assert (picture["number"], picture["first"]) == (4, 0)
    assert len(loudest) == 16
    assert set(loudest[:8]) != set(loudest[8:])
    assert len(set(loudest[:8])) == len(set(loudest[8:])) == 1


def n_models() -> int:
    gc.collect()
    return sum(type(each) is TimbreModel for each in gc.get_objects())


def test_the_model_is_kept_while_a_page_is_open(page: ServedPage) -> None:
    context = page.server.context
    others = n_models()  # of tests before, in this process; the page may share one

    def is_held() -> bool:
        return context._model is not None

    with page.client():
        assert get(page, "/api/space")[0] == 200
        context.release_model(0.0)
        assert is_held()
    wait_until(lambda: not context.hub.n_pages)
    context.release_model(60.0)
    assert is_held()
    context.release_model(0.0)
    assert not is_held()
    assert n_models() <= others, "nothing else of the page holds it"
    assert get(page, "/api/space")[0] == 200


def test_a_hidden_page_is_not_woken_by_what_moves_always(page: ServedPage) -> None:
    with page.client() as hidden, page.client() as other:
        hidden.send("/page/watch", False)
        hidden.send("/latent/master/gain")
        hidden.wait("/latent/master/gain")  # what was said before is taken by now
        page.session.show(levels=lambda: MeterLevels(-31.0))
        other.wait("/latent/meter/lufs", -31.0, -200.0)
        page.session.show(title="Flow")
        while (frame := json.loads(hidden.next()))["address"] != "/latent/song/title":
            assert not frame["address"].startswith("/latent/meter/")
        hidden.send("/page/watch", True)
        hidden.wait("/latent/meter/lufs", -31.0, -200.0)


def test_a_listener_that_takes_nothing_is_dropped_from(page: ServedPage) -> None:
    """The server does not grow, and the others hear."""
    with page.client():
        pass
    (tap,) = page.taps
    slow = socket.create_connection(("127.0.0.1", page.port))
    slow.sendall(
        b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    silence = np.zeros((RATE // 10, 2), np.float32)
    with page.client_at("/live") as listener:
        listener.next()
        for _ in range(40):
            tap.write(silence)
            assert isinstance(listener.next(), bytes)
    slow.close()


def test_the_page_follows_the_next_session(home: Path) -> None:
    with served_page() as page, page.client() as client:
        client.send(GAIN, -9)
        client.wait(GAIN, -9.0)
        page.renew_session()
        client.wait("/page/session", False)
        client.wait("/page/session", True)
        _, (hello,) = client.wait("/page/hello")
        (row,) = [r for r in hello["controls"] if r["name"] == "master/gain"]
        assert row["value"] == 0.0


def test_a_hidden_page_is_not_told_what_moves_always(page: ServedPage) -> None:
    with page.client() as client, page.client() as other:
        client.send("/page/watch", False)
        other.send("/page/watch", True)
        client.send("/latent/tilt")  # by then it was heard
        client.wait("/latent/tilt")
        page.session.show(seconds=77.0, title="Undertow")
        other.wait("/latent/song/seconds", 77.0)
        _, told = client.wait("/latent/song/title")
        assert told == ["Undertow"]
        with pytest.raises(TimeoutError):
            client.wait("/latent/song/seconds", timeout=1.5)
        client.send("/page/watch", True)
        client.wait("/latent/song/seconds", 77.0)
