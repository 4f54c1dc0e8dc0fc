"""Nothing malformed gets past the guard, and nothing takes long on its way to fail."""

import fnmatch
import random
import resource
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control.controls import TABLE, Controls
from engine.osc.guard import RefusedDatagram, is_pattern, matching, messages
from engine.osc.handler import OscHandler
from tests.support.mutants import mutated, refusal, sound_packets
from tests.support.osc import FakeSession, bundle, number, packet, padded

HERE = ("127.0.0.1", 5000)
ADDRESSES = ["/latent/" + control.name for control in TABLE]


def nested(depth: int) -> bytes:
    inner = packet("/latent/tilt")
    for _ in range(depth):
        inner = bundle(inner)
    return inner


def with_element_size(size: int) -> bytes:
    return b"#bundle\0" + bytes(8) + struct.pack(">i", size) + packet("/a")


HOSTILE = {
    "empty": b"",
    "one byte": b"/",
    "no multiple of four": packet("/latent/tilt") + b"\0",
    "too long": bytes(8196),
    "65,507 bytes": b"/" + b"a" * 65_506,
    "zeros": bytes(64),
    "endless element": b"#bundle\0" + bytes(8) + struct.pack(">i", -4),
    "element of size -4": with_element_size(-4),
    "element of size 0": with_element_size(0),
    "element of size 3": with_element_size(3),
    "element beyond the end": with_element_size(64),
    "element of 2 GiB": with_element_size(2**31 - 1),
    "element of -2 GiB": with_element_size(-(2**31)),
    "bundle without a time": b"#bundle\0" + bytes(4),
    "half a size": b"#bundle\0" + bytes(8) + b"\0\0",
    "five deep": nested(5),
    "3,000 deep": nested(3000),
    "400 deep": nested(400),
    "129 messages": bundle(*[packet("/a")] * 129),
    "no slash": padded(b"latent/tilt") + padded(b","),
    "no end": b"/latent/tilt" + b"aaaa",
    "long address": packet("/" + "a" * 128),
    "address in Latin-1": padded(b"/latent/\xe9") + padded(b","),
    "address with a new line": packet("/latent/\n\x1b[31m"),
    "padding with a message in it": b"/a\0/" + padded(b","),
    "no comma": padded(b"/latent/tilt") + padded(b"f") + bytes(4),
    "arrays": packet("/latent/tilt", "[" * 60 + "]" * 60),
    "thousands of arrays": packet("/latent/tilt", "[" * 4000),
    "thousands of nils": packet("/latent/tilt", "N" * 4000),
    "65 switches": packet("/latent/tilt", "T" * 65),
    "blob": packet("/latent/tilt", "b", struct.pack(">i", -8)),
    "midi": packet("/latent/tilt", "m", bytes(4)),
    "infinitum": packet("/latent/tilt", "I"),
    "half a number": packet("/latent/tilt", "d", bytes(4)),
    "no number": packet("/latent/tilt", "f"),
    "bytes behind": packet("/latent/tilt", "f", bytes(8)),
    "nan": number("/latent/tilt", float("nan")),
    "inf": number("/latent/tilt", float("inf")),
    "-inf": packet("/latent/tilt", "d", struct.pack(">d", float("-inf"))),
    "nan behind a sound value": bundle(
        number("/latent/tilt", 3.0), number("/latent/width", float("nan"))
    ),
    "text that is not UTF-8": packet("/latent/tuning/key", "s", b"\xff\xfe\0\0"),
    "text with escapes": packet("/latent/tuning/key", "s", padded(b"\x1b[2J\n")),
    "text of 4 kB": packet("/latent/tuning/key", "s", padded(b"D" * 4000)),
    "text without an end": packet("/latent/tuning/key", "s", b"DDDD"),
    "60 stars": packet("/" + "*" * 60),
    "120 stars": packet("/latent/" + "*" * 110 + "x"),
    "nine patterns": bundle(*[packet("/latent/*")] * 9),
    "five wildcards": packet("/latent/*?*?*"),
    "open bracket": packet("/latent/[abc"),
    "open brace": packet("/latent/{a,b"),
    "brackets in brackets": packet("/latent/[a[b]]"),
    "closed only": packet("/latent/a]"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_packet_is_refused_at_once_and_changes_nothing(name: str) -> None:
    controls, session = Controls(), FakeSession()
    handler = OscHandler(controls, session)
    before = controls.snapshot
    best = min(_time(handler, HOSTILE[name]) for _ in range(5))
    assert best < 0.002
    assert controls.snapshot is before
    assert session.done == []
    assert handler.counters.refused == 5


def _time(handler: OscHandler, datagram: bytes) -> float:
    start = time.thread_time()
    handler.handle(datagram, HERE, time.monotonic())
    return time.thread_time() - start


# Sound to the guard; whether the value fits is the table's to say.
ODD_BUT_SOUND = {
    "no type tags": packet("/latent/tilt", tags=None),
    "a far time": bundle(number("/latent/width", 1.0), tag=2**64 - 1),
    "four deep": nested(4),
    "an empty bundle": bundle(),
    "128 messages": bundle(*[packet("/latent/tilt")] * 128),
    "1e308": packet("/latent/tilt", "d", struct.pack(">d", 1e308)),
    "a denormal": packet("/latent/tilt", "d", struct.pack(">d", 5e-324)),
    "-0": number("/latent/tilt", -0.0),
    "the largest h": packet("/latent/tilt", "h", struct.pack(">q", 2**63 - 1)),
    "a text for a number": packet("/latent/tilt", "s", padded(b"3")),
    "two values": packet("/latent/tilt", "ff", bytes(8)),
    "umlauts": packet("/latent/record/start", "s", padded("Süße Töne".encode())),
}


@pytest.mark.parametrize("name", ODD_BUT_SOUND)
def test_odd_but_sound_packets_leave_values_in_their_range(name: str) -> None:
    assert refusal(ODD_BUT_SOUND[name]) is None
    controls = Controls()
    handler = OscHandler(controls, FakeSession())
    handler.handle(ODD_BUT_SOUND[name], HERE, 0.0)
    assert handler.counters.failed == 0
    tilt = controls.snapshot["tilt"]
    assert isinstance(tilt, float)
    assert -12.0 <= tilt <= 12.0


def test_messages_come_out_in_order() -> None:
    parts = [number(address, 0.5) for address in ADDRESSES[:6]]
    datagram = bundle(parts[0], bundle(parts[1], bundle(parts[2])), *parts[3:])
    assert messages(datagram) == parts


# Patterns.

PATTERNS = [
    ("/latent/rank/*", 7),
    ("/latent/rank/[pv]*", 2),
    ("/latent/rank/[!a-m]*", 4),
    ("/latent/{tilt,width,nothing}", 2),
    ("/latent/tuning/{key,scale}", 2),
    ("/latent/ti?t", 1),
    ("/latent/*/*", sum(address.count("/") == 3 for address in ADDRESSES)),
    ("/*/tilt", 1),
    ("/latent/*tilt*", 1),
    ("/latent/r[a-c]nk/mo*on", 1),
    ("/latent/rank", 0),
    ("/latent/*/*/*", 0),
    ("/latent/{}", 0),
    ("/latent/[]ilt", 0),
]


@pytest.mark.parametrize(("pattern", "n_found"), PATTERNS)
def test_patterns_find_what_they_stand_for(pattern: str, n_found: int) -> None:
    assert len(matching(pattern, ADDRESSES)) == n_found


@given(
    pattern=st.text("ab?*", max_size=9).filter(
        lambda text: sum(text.count(wildcard) for wildcard in "?*") <= 4
    ),
    text=st.text("ab", max_size=9),
)
def test_wildcards_agree_with_another_matcher(pattern: str, text: str) -> None:
    found = matching("/" + pattern, ["/" + text])
    assert bool(found) == fnmatch.fnmatchcase(text, pattern)


@given(st.text("ab[]{}!-,?*/", max_size=24))
def test_any_pattern_is_answered_or_refused(text: str) -> None:
    try:
        found = matching("/" + text, ["/a", "/ab", "/b/a"])
    except RefusedDatagram:
        assert is_pattern(text)
    else:
        assert set(found) <= {"/a", "/ab", "/b/a"}


def test_the_time_of_a_pattern_grows_with_its_length_alone() -> None:
    address = "/" + "a" * 120

    def cost(pattern: str) -> float:
        times = []
        for _ in range(5):
            start = time.thread_time()
            matching(pattern, [address] * 100)
            times.append(time.thread_time() - start)
        return min(times)

    plain = cost("/" + "a" * 100 + "?b")
    worst = cost("/*" + "a" * 48 + "*" + "a" * 48 + "*b")
    assert worst < 10.0 * plain + 0.01


def test_the_costliest_packet_that_passes_is_cheap() -> None:
    handler = OscHandler(Controls(), FakeSession())
    worst = 0.0
    for at in range(20):  # others each time, or a cache would answer
        long = ["/l*t*t/*t*/" + "{}" for _ in range(8)]
        parts = [
            packet(address.format(f"{at:02d}{n}" + "x" * 80), "f", bytes(4))
            for n, address in enumerate(long)
        ]
        fill = [number("/latent/norm/wiggle/amount", 0.5)] * (128 - 8)
        datagram = bundle(*parts, *fill)
        assert refusal(datagram) is None
        worst = max(worst, _time(handler, datagram))
    assert worst < 0.05


# Fuzz.


def test_a_hundred_thousand_mutants_do_no_harm() -> None:
    rng = random.Random(12)
    seeds = sound_packets()
    controls, session = Controls(), FakeSession()
    lines: list[str] = []
    handler = OscHandler(controls, session, say=lines.append)
    memory, worst, slowest, n_refused = 0, 0.0, b"", 0
    for at in range(100_000):
        if at == 20_000:  # caches are full by then
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        datagram = mutated(rng, seeds)
        refused, snapshot = refusal(datagram), controls.snapshot
        n_done = len(session.done)
        now = at * 1e-3
        start = time.thread_time()
        replies = handler.handle(datagram, HERE, now)
        spent = time.thread_time() - start
        if spent > worst:
            worst, slowest = spent, datagram
        handler.tick(now)
        assert len(replies) <= 140
        if refused:
            n_refused += 1
            assert controls.snapshot is snapshot
            assert len(session.done) == n_done
    counters = handler.counters
    assert counters.failed == 0
    assert counters.refused == n_refused > 10_000
    assert counters.received == 100_000
    assert counters.changes > 1000, "some got through, or this tests nothing"
    for control in TABLE:
        assert control.check(controls.snapshot[control.name]) is not None
    # A busy machine makes any one packet slow, but not the same one every time.
    worst = _time(OscHandler(Controls(), FakeSession()), slowest)
    assert worst < 0.02, f"worst packet {1e3 * worst:.1f} ms"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert grown < 2048, f"{grown} KiB"
    assert len(lines) < 400
    assert all(line.isprintable() for line in lines)
