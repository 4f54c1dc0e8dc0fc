"""The OSC server, played by clients that are not ours: liblo's, over real sockets."""

import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from effects.base.errors import InputError, RunError
from engine.control.commands import COMMANDS
from engine.control.controls import TABLE, Controls
from engine.control.readings import READINGS
from engine.osc.addresses import is_near_only, is_neighbour
from engine.osc.handler import OscHandler
from engine.osc.server import OscServer, OscSettings
from tests.support.osc import (
    Client,
    Dump,
    FakeSession,
    bundle,
    number,
    oscdump,
    oscsend,
    packet,
)


class Stage:
    """A server with what it plays on."""

    def __init__(self, **settings: object) -> None:
        self.controls = Controls()
        self.session = FakeSession()
        self.said: list[str] = []
        self.server = OscServer(
            self.controls,
            self.session,
            OscSettings(port=0, **settings),  # type: ignore[arg-type]
            self.said.append,
        )
        self.server.start()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.server.stop()
    assert not made.server._thread.is_alive()
    assert made.server.handler.counters.failed == 0


@pytest.fixture
def client(stage: Stage) -> Iterator[Client]:
    made = Client(stage.server.port)
    yield made
    made.close()


@pytest.fixture
def dump(stage: Stage, tmp_path: Path) -> Iterator[Dump]:
    with oscdump(tmp_path) as made:
        oscsend(stage.server.port, "/latent/subscribe", "i", made.port)
        made.wait_for("/latent/status")
        yield made


# What is sent with oscsend, and what oscdump then shows to a subscriber.
EXCHANGES = [
    ("/latent/wiggle/amount f 0.5", r"^/latent/wiggle/amount f 0\.5"),
    ("/latent/wiggle/amount i 1", r"^/latent/wiggle/amount f 1\.0"),
    ("/latent/wiggle/amount d 1.25", r"^/latent/wiggle/amount f 1\.25"),
    ("/latent/wiggle/amount h 2", r"^/latent/wiggle/amount f 2\.0"),
    ("/latent/wiggle/amount f 99", r"^/latent/wiggle/amount f 2\.0"),
    ("/latent/norm/wiggle/amount f 0.25", r"^/latent/wiggle/amount f 0\.5"),
    ("/latent/wiggle/amount f 1", r"^/latent/norm/wiggle/amount f 0\.5"),
    ("/latent/rank/pitch f -1", r"^/latent/rank/pitch f -1\.0"),
    ("/latent/master/mute T", r"^/latent/master/mute T"),
    ("/latent/master/mute i 1", r"^/latent/master/mute T"),
    ("/latent/hold F", r"^/latent/hold F"),
    ("/latent/hold f 1", r"^/latent/norm/hold f 1\.0"),
    ("/latent/tuning/key s G#", r'^/latent/tuning/key s "G#"'),
    ("/latent/tuning/key i 0", r'^/latent/tuning/key s "C"'),
    ("/latent/norm/tuning/scale f 0", r'^/latent/tuning/scale s "chromatic"'),
    ("/latent/wiggle/amount", r"^/latent/wiggle/amount f 0\.35"),
    ("/latent/hold", r"^/latent/hold F"),
    ("/latent/tuning/key", r'^/latent/tuning/key s "D"'),
    ("/latent/r*/pi?ch", r"^/latent/rank/pitch f 0\.0"),
    ("/latent/rank/{pitch,motion} f 0.5", r"^/latent/rank/motion f 0\.5"),
    ("/latent/status", r'^/latent/status sfifs "playing" 12\.5\d* 0 0\.25\d* "null"'),
    ("/latent/now", r'^/latent/now isssf 3 "Ebb" "ABAC" "B" 0\.5'),
    ("/latent/song/title", r'^/latent/song/title s "Ebb"'),
    ("/latent/point", r"^/latent/point ff 0\.5\d* -0\.5"),
    ("/latent/preset/list", r'^/latent/preset/list ss "dark" "shoreline"'),
    ("/latent/ping", r'^/latent/pong ss "[\d.]+" "playing"'),
    ("/latent/dump", r"^/latent/dump/end i \d+"),
    ("/latent/nowhere f 1", r'^/latent/error ss "/latent/nowhere" "no such address"'),
    ("/latent/hop s fast", r'^/latent/error ss "/latent/hop" "hop: .fast. is not a'),
    ("/latent/hop ff 1 2", r'^/latent/error ss "/latent/hop" "takes one value, got 2"'),
    ("/latent/tuning/key s H", r'^/latent/error ss "/latent/tuning/key" "tuning/key: '),
    ("/latent/go s F", r'^/latent/error ss "/latent/go" "none of: A, B, C, D, E"'),
    ("/latent/go s E", r'^/latent/error ss "/latent/go" "the song has no E"'),
    ("/latent/preset/load s ../x", r'^/latent/error ss "/latent/preset/load" "none of'),
    ("/latent/record/start s a/b", r'^/latent/error ss "/latent/record/start" "a name'),
    ("/latent/effects/only s rain", r'^/latent/effects/chosen s "'),
    ("/latent/effects/mix s rain", r'^/latent/effects/chosen s "'),
    ("/latent/effects/mix s rain:x", r'^/latent/error ss "/latent/effects/mix" ".*DB'),
    ("/latent/sleep s soon", r'^/latent/error ss "/latent/sleep" "takes a number"'),
    ("/latent/hop N", r'^/latent/error ss "" "packet refused: type tags"'),
    ("/latent/hop f nan", r'^/latent/error ss "" "packet refused: a number that is'),
    ("/latent/hop f inf", r'^/latent/error ss "" "packet refused: a number that is'),
]


@pytest.mark.parametrize(("sent", "shown"), EXCHANGES)
def test_oscsend_asks_and_oscdump_shows(
    stage: Stage, dump: Dump, sent: str, shown: str
) -> None:
    before = len(dump.lines())
    oscsend(stage.server.port, *sent.split())
    dump.wait_for(shown, after=before)


ORDERS = [
    ("/latent/next", ("next",)),
    ("/latent/next f 1", ("next",)),
    ("/latent/go s C", ("go", "C")),
    ("/latent/play", ("play",)),
    ("/latent/pause", ("pause",)),
    ("/latent/stop", ("stop",)),
    ("/latent/preset/load s dark", ("preset/load", "dark")),
    ("/latent/record/start", ("record/start",)),
    ("/latent/record/start i 1", ("record/start",)),
    ("/latent/record/start s Monday", ("record/start", "Monday")),
    ("/latent/record/stop", ("record/stop",)),
    ("/latent/keep f 600", ("keep", 600.0)),
    ("/latent/keep f 1e9", ("keep", 43_200.0)),
    ("/latent/effects/next", ("effects/next",)),
    ("/latent/midi/learn s rank/pitch", ("midi/learn", "rank/pitch")),
    ("/latent/effects/only s rain", ("effects/only", "rain")),
    ("/latent/effects/mix s rain:0,wind:-6", ("effects/mix", "rain:0,wind:-6")),
    ("/latent/effects/mix", ("effects/mix",)),
    ("/latent/sleep i 45", ("sleep", 45.0)),
]


def test_oscsend_gives_every_command(stage: Stage, client: Client) -> None:
    for sent, _ in ORDERS:
        oscsend(stage.server.port, *sent.split())
    oscsend(stage.server.port, "/latent/next", "f", 0)  # a button that is let go
    client.send(packet("/latent/ping"))
    client.until("/latent/pong")
    assert stage.session.done == [done for _, done in ORDERS]


def test_the_sender_gets_the_value_in_force(client: Client) -> None:
    client.send(number("/latent/wiggle/amount", 7.0))
    assert client.receive() == [("/latent/wiggle/amount", 2.0)]
    client.send(packet("/latent/norm/wiggle/amount"))
    assert client.receive() == [("/latent/norm/wiggle/amount", 1.0)]
    client.send(number("/latent/wiggle/amount/norm", 0.5))  # as until version 0.2.0
    assert client.receive() == [("/latent/wiggle/amount/norm", 0.5)]
    client.send(number("/latent/norm/wiggle/amount", 1.0))
    assert client.receive() == [("/latent/norm/wiggle/amount", 1.0)]
    client.send(packet("/latent/sleep/remaining"))
    assert client.receive()[0][0] == "/latent/sleep-remaining"
    client.send(packet("/latent/wiggle/amount", tags=None))
    assert client.receive() == [("/latent/wiggle/amount", 2.0)]


def test_a_subscriber_sees_what_others_change(stage: Stage, client: Client) -> None:
    client.send(packet("/latent/subscribe"))
    client.until("/latent/meter/peak")
    stage.controls.set("tilt", 3.0)  # as a page or a key would
    assert client.until("/latent/tilt") == ("/latent/tilt", 3.0)
    stage.session.show(place=4)
    assert client.until("/latent/song/symbol") == ("/latent/song/symbol", "C")
    client.send(packet("/latent/unsubscribe"))
    client.send(packet("/latent/ping"))
    client.until("/latent/pong")
    stage.controls.set("tilt", 4.0)
    client.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.receive()


def test_a_bundle_is_applied_at_once_whatever_its_time(
    stage: Stage, client: Client
) -> None:
    for tag in (0, 1, 2**63, 2**64 - 1):
        values = (number("/latent/tilt", 1.0), number("/latent/width", 0.5))
        client.send(bundle(*values, bundle(packet("/latent/next")), tag=tag))
        assert client.until("/latent/tilt") == ("/latent/tilt", 1.0)
        client.send(packet("/latent/ping"))
        client.until("/latent/pong")
    assert stage.session.done == [("next",)] * 4
    assert stage.controls.snapshot["width"] == 0.5


def test_a_port_in_use_is_one_clear_line(stage: Stage) -> None:
    settings = OscSettings(port=stage.server.port)
    second = OscServer(Controls(), FakeSession(), settings)
    with pytest.raises(RunError, match=rf"port {stage.server.port} .* is in use"):
        second.start()
    second.stop()


@pytest.mark.parametrize("host", ["203.0.113.9", "no.such.host.invalid"])
def test_a_foreign_address_is_refused(host: str) -> None:
    server = OscServer(Controls(), FakeSession(), OscSettings(host, 0))
    with pytest.raises(InputError, match="no address of this machine"):
        server.start()


def test_only_this_machine_is_listened_to_unless_asked(stage: Stage) -> None:
    hosts = {each.getsockname()[0] for each in stage.server._sockets}
    assert hosts <= {"127.0.0.1", "::1"}
    assert not stage.said
    opened = Stage(host="0.0.0.0")
    opened.server.stop()
    assert "open to the network" in opened.said[0]


@pytest.mark.parametrize(
    ("host", "heard"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("192.168.1.5", True),
        ("10.0.0.5", True),
        ("100.64.0.1", True),
        ("fe80::1%eth0", True),
        ("8.8.8.8", False),
        ("2606:4700::1", False),
    ],
)
def test_an_open_port_still_hears_neighbours_alone(host: str, heard: bool) -> None:
    assert is_neighbour(host) is heard


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", True),
        ("127.0.0.53", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_what_keeps_other_machines_out(host: str, near: bool) -> None:
    assert is_near_only(host) is near


def test_no_address_means_two_things() -> None:
    names = [control.name for control in TABLE]
    names += [command.name for command in COMMANDS]
    names += [reading.name for reading in READINGS]
    assert len(set(names)) == len(names)


def test_feedback_goes_to_those_who_always_get_it() -> None:
    listener = Client(0)
    stage = Stage(feedback=(listener.socket.getsockname(),))
    try:
        assert listener.until("/latent/now")[1] == 3
    finally:
        stage.server.stop()
        listener.close()


def test_a_closed_reply_port_harms_nothing(stage: Stage, client: Client) -> None:
    gone = Client(stage.server.port)
    for _ in range(20):
        gone.send(packet("/latent/tilt"))
    gone.close()
    client.send(packet("/latent/tilt"))
    assert client.receive() == [("/latent/tilt", 0.0)]


def test_thousands_of_broken_packets_over_the_wire_change_nothing(
    stage: Stage, client: Client
) -> None:
    rng = np.random.default_rng(5)
    sound = [number("/latent/tilt", 3.0), packet("/latent/go", "s", padded_a())]
    before = stage.controls.snapshot
    for at in range(5000):
        start = bytearray(sound[at % 2])
        start[int(rng.integers(20)) : int(rng.integers(24))] = rng.bytes(3)
        client.send(bytes(start))
        if at % 500 == 499:
            _wait_until_read(stage, client)
    assert stage.controls.snapshot == before
    assert stage.session.done == []
    assert stage.server.handler.counters.refused > 1000


def padded_a() -> bytes:
    return b"A\0\0\0"


def _cost_of_handling() -> float:
    """Seconds of this thread's own time that one small message takes."""
    handler, datagram = (
        OscHandler(Controls(), FakeSession()),
        number("/latent/tilt", 1.0),
    )
    started = time.thread_time()
    for at in range(500):
        handler.handle(datagram, ("127.0.0.1", 5000), 0.01 * at)
    return (time.thread_time() - started) / 500


def _cost_of_reading() -> float:
    """The same of a datagram's way through a socket, there and back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        started = time.thread_time()
        for _ in range(500):
            own.sendto(bytes(32), own.getsockname())
            own.recvfrom(8192)
        return (time.thread_time() - started) / 500


def _wait_until_read(stage: Stage, client: Client) -> None:
    """Until everything sent before has been handled, errors read away."""
    time.sleep(0.3)
    client.send(packet("/latent/ping"))
    client.until("/latent/pong")


def test_a_flood_costs_little_and_its_last_value_wins(
    stage: Stage, client: Client
) -> None:
    stopping = threading.Event()
    n_sent = 0

    def flood() -> None:
        nonlocal n_sent
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not stopping.is_set():
                for value in range(100):
                    data = struct.pack(">f", value / 50.0)
                    datagram = packet("/latent/wiggle/amount", "f", data)
                    sender.sendto(datagram, ("127.0.0.1", stage.server.port))
                n_sent += 100
                time.sleep(0.002)
            time.sleep(0.5)
            last = number("/latent/wiggle/amount", 1.5)
            sender.sendto(last, ("127.0.0.1", stage.server.port))

    def cpu() -> float:
        thread = stage.server._thread
        assert thread.ident is not None
        return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))

    thread = threading.Thread(target=flood)
    before, memory = cpu(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    thread.start()
    time.sleep(1.0)
    handle_s, read_s = _cost_of_handling(), _cost_of_reading()
    time.sleep(2.0)
    intake, handled = stage.server.intake, stage.server.handler.counters.received
    spent, put_off = cpu() - before, intake.replaced + intake.dropped
    stopping.set()
    thread.join()
    time.sleep(0.3)
    assert stage.controls.snapshot["wiggle/amount"] == 1.5
    assert n_sent > 10_000
    assert stage.server.handler.counters.received <= 1000 * 5 + 400
    # All of the thread's time against that of reading every datagram and handling a
    # few, both as long as they take on this machine while it is as busy as now.
    needed = handled * handle_s + (handled + put_off) * read_s
    assert handled + put_off < 3.3 * 5120, "a flood is not read as fast as it comes"
    assert spent < 3.0 * needed, f"{spent / 3:.1%} of a core"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    assert grown < 4096  # KiB
    client.send(packet("/latent/ping"))
    client.until("/latent/pong")
