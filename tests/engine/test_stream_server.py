"""The HTTP server of the streams, in its own process, fed with tones in real time."""

import json
import os
import signal
import socket
import time
import zlib
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from effects.base.errors import InputError, RunError
from engine.streams.encoder import FORMATS
from engine.streams.listener import META_EVERY
from engine.streams.messages import Outputs
from engine.streams.radio import StreamRadio, StreamSettings
from tests.support.streams import (
    RATE,
    Source,
    ask,
    decoded,
    fetch,
    playing,
    streaming,
    tones,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow
BEGUN_S = 5.5  # a radio has played so long: a burst is whole


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    with streaming() as running:
        time.sleep(BEGUN_S)
        yield running


def read_for(answer: object, seconds: float) -> bytes:
    data, began = b"", time.monotonic()
    while time.monotonic() - began < seconds:
        data += answer.read1(65_536)  # type: ignore[attr-defined]
    return data


@pytest.mark.parametrize("name", FORMATS)
def test_a_listener_gets_a_burst_and_then_the_stream(name: str, source: Source) -> None:
    with fetch(source.port, f"/stream.{name}") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == FORMATS[name].mime
        assert answer.headers["icy-name"] == "Latent"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["icy-metaint"] is None
        burst = read_for(answer, 1.0)
        data = burst + read_for(answer, 4.0)
    codec = "ogg" if name == "opus" else name
    assert len(decoded(burst, codec, is_cut=True)) >= 3.9 * RATE, "four seconds at once"
    samples = decoded(data, codec, is_cut=True)
    assert 8.0 * RATE < len(samples) < 12.5 * RATE
    level = np.sqrt(np.mean(samples[RATE:-RATE] ** 2, axis=0))
    np.testing.assert_allclose(level, 0.2 / np.sqrt(2.0), rtol=0.05)


def test_flac_is_the_master_to_the_bit(source: Source) -> None:
    with fetch(source.port, "/stream.flac") as answer:
        data = read_for(answer, 3.0)
    heard = decoded(data, "flac", is_cut=True)
    master = tones(0, 90 * RATE)
    steps, wanted = np.rint(heard * 2**23), np.rint(master * 2**23)
    first = steps[:200]
    starts = np.flatnonzero(np.all(wanted[: -len(first)] == first[0], axis=1))
    (at,) = [s for s in starts if np.array_equal(wanted[s : s + 200], first)]
    np.testing.assert_array_equal(steps, wanted[at : at + len(steps)])


def test_titles_stand_between_the_sound_and_change(source: Source) -> None:
    with fetch(source.port, "/stream.mp3", **{"Icy-MetaData": "1"}) as answer:
        every = int(answer.headers["icy-metaint"])
        assert every == META_EVERY
        sound, titles = b"", []
        source.radio.tell(playing(7))
        for _ in range(9):
            sound += answer.read(every)
            titles.append(answer.read(16 * answer.read(1)[0]).rstrip(b"\0"))
    told = [title for title in titles if title]
    url = f"http://127.0.0.1:{source.port}/cover.png?song=7"
    assert (
        told[-1].decode() == f"StreamTitle='Latent - Song 7 (dark)';StreamUrl='{url}';"
    )
    assert len(told) <= 2, "only what is new is told"
    assert len(decoded(sound, "mp3", is_cut=True)) > 5 * RATE, (
        "no title is taken for sound"
    )


def test_the_cover_and_what_plays(source: Source) -> None:
    source.radio.tell(playing(8))
    wait_until(lambda: now(source)["song"] == 8)
    assert now(source) == {
        "title": "Song 8",
        "preset": "dark",
        "song": 8,
        "listeners": 0,
    }
    with fetch(source.port, "/cover.png?song=8") as answer:
        assert answer.headers["content-type"] == "image/png"
        data = answer.read()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    start = data.index(b"IDAT") + 4
    length = int.from_bytes(data[start - 8 : start - 4], "big")
    rows = np.frombuffer(zlib.decompress(data[start : start + length]), np.uint8)
    assert rows.reshape(600, 1801)[:, 1:].std() > 20.0, "it shows something"
    with fetch(source.port, "/stream.m3u") as answer:
        assert f"http://127.0.0.1:{source.port}/stream.mp3" in answer.read().decode()


def now(source: Source) -> dict[str, object]:
    with fetch(source.port, "/now.json") as answer:
        found: dict[str, object] = json.load(answer)
    return found


HOSTILE = (
    (b"", 400),
    (b"GET / HTTP/1.1", 400),
    (b"GET / HTTP/1.1\nHost: localhost", 400),
    (b"GET  / HTTP/1.1\r\nHost: localhost", 400),
    (b"GET / HTTP/2.0\r\nHost: localhost", 400),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost", 400),
    (b"GET / HTTP/1.1\r\nHost : localhost", 400),
    (b"GET / HTTP/1.1\r\n Host: localhost", 400),
    (b"GET http://localhost/ HTTP/1.1\r\nHost: localhost", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"POST / HTTP/1.1\r\nHost: localhost", 405),
    (b"PUT /stream.mp3 HTTP/1.1\r\nHost: localhost", 405),
    (b"DELETE /cover.png HTTP/1.1\r\nHost: localhost", 405),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9", 413),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked", 413),
    (b"GET / HTTP/1.1\r\nHost: attacker.example", 421),
    (b"GET / HTTP/1.1\r\nHost: localhost.attacker.example", 421),
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1.nip.io:8000", 421),
    (b"GET / HTTP/1.1\r\nHost: localhost:8000@attacker.example", 421),
    (b"GET / HTTP/1.1\r\nHost: [::1", 421),
    (b"GET /stream.mp3 HTTP/1.1\r\nHost: attacker.example", 421),
    (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost", 404),
    (b"GET /%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost", 404),
    (b"GET /stream.wav HTTP/1.1\r\nHost: localhost", 404),
    (b"GET /stream. HTTP/1.1\r\nHost: localhost", 404),
    (b"GET /status HTTP/1.1\r\nHost: localhost", 404),
    (b"GET /" + b"a" * 3_000 + b" HTTP/1.1\r\nHost: localhost", 400),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 40_000, 431),
)


@pytest.mark.parametrize(("request_head", "status"), HOSTILE)
def test_a_request_that_does_not_fit_gets_an_error(
    request_head: bytes, status: int, source: Source
) -> None:
    answer = ask(source.port, request_head + b"\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()), head
    assert len(body) < 100


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8000", "[::1]:80", "10.0.0.9"]
)
def test_its_own_names_and_addresses_are_hosts(host: str, source: Source) -> None:
    head = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    assert ask(source.port, head).startswith(b"HTTP/1.1 200 ")


def test_heads_preflights_and_old_clients_are_answered(source: Source) -> None:
    with fetch(source.port, "/stream.opus", "HEAD") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == "audio/ogg"
        assert answer.read() == b""
    with fetch(source.port, "/", "HEAD") as answer:
        assert int(answer.headers["content-length"]) > 50
        assert answer.read() == b""
    with fetch(source.port, "/stream.mp3", "OPTIONS") as answer:
        assert answer.status == 204
        assert "Icy-MetaData" in answer.headers["access-control-allow-headers"]
    assert ask(source.port, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_who_asks_too_slowly_is_shown_out(source: Source) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", source.port)) as slow:
        slow.settimeout(30.0)
        slow.sendall(b"GET / HTTP/1.1\r\n")
        assert slow.recv(100) == b""
    assert 8.0 < time.monotonic() - began < 15.0


def test_stalled_listeners_are_dropped_and_others_unharmed() -> None:
    rng = np.random.default_rng(3)
    noise = (0.05 * rng.standard_normal((RATE, 2))).astype(np.float32)
    with streaming(render=lambda start, n: noise[start % RATE :][:n]) as source:
        stalled = []
        for _ in range(10):
            each = socket.socket()
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.connect(("127.0.0.1", source.port))
            each.sendall(b"GET /stream.flac HTTP/1.1\r\nHost: localhost\r\n\r\n")
            stalled.append(each)
        with fetch(source.port, "/stream.flac") as answer:
            wait_until(lambda: source.radio.counts.listeners == 11)
            n_bytes = 0
            deadline = time.monotonic() + 60.0
            while source.radio.counts.slow < 10:
                assert time.monotonic() < deadline
                n_bytes += len(answer.read1(65_536))
            memory = psutil.Process(source.worker).memory_info().rss
            assert len(read_for(answer, 2.0)) > 200_000, "this one goes on"
        assert source.radio.counts.slow == 10
        assert memory < 200 << 20
        assert source.held_s < 0.05
        for each in stalled:
            each.close()


def test_a_worker_that_dies_is_replaced_at_the_same_address() -> None:
    with streaming() as source:
        wait_until(lambda: source.radio.counts.served == 0)
        first = source.worker
        os.kill(first, signal.SIGKILL)
        source.wait_for("the stream worker ended")
        with fetch(source.port, "/stream.mp3") as answer:  # waits for the new one
            assert len(read_for(answer, 3.0)) > 20_000
        assert source.worker != first
        assert now(source)["title"] == "Song 1", "the new one was told"


def test_nothing_is_left_at_the_end() -> None:
    with streaming() as source:
        pid, port = source.worker, source.port
        with fetch(port, "/stream.mp3") as answer:
            answer.read1(100)
            began = time.monotonic()
            source.radio.stop()
            assert time.monotonic() - began < 3.0
            while answer.read1(65_536):
                pass
    assert not psutil.pid_exists(pid)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_port_in_use_and_a_foreign_address_are_told() -> None:
    with streaming() as source:
        taken = StreamRadio(
            StreamSettings(Outputs(serve=True), port=source.port), RATE, print
        )
        with pytest.raises(RunError, match=r"port \d+ on 127.0.0.1 is in use"):
            taken.start()
        taken.stop()
    foreign = StreamRadio(
        StreamSettings(Outputs(serve=True), "198.51.100.7", 0), RATE, print
    )
    with pytest.raises(InputError, match="no address of this machine"):
        foreign.start()
    foreign.stop()
