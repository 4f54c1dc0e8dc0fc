"""Limits on who gets how much, by a clock of our own."""

import struct

import pytest

from effects.base.errors import InputError
from engine.control.controls import Controls
from engine.osc.clients import (
    LEASE_S,
    MAX_SUBSCRIBERS,
    MAX_WAITING,
    Address,
    DatagramQueue,
    Subscribers,
)
from engine.osc.handler import OscHandler
from engine.osc.messages import MAX_PACKET, message
from tests.support.osc import FakeSession, bundle, number, packet, unpacked

HERE: Address = ("127.0.0.1", 5000)
THERE: Address = ("192.168.1.7", 5000)


def subscribe(*numbers: float) -> bytes:
    types = "if"[: len(numbers)]
    data = b"".join(
        struct.pack(">" + kind, int(each) if kind == "i" else each)
        for kind, each in zip(types, numbers, strict=True)
    )
    return packet("/latent/subscribe", types, data)


def sent_to(
    handler: OscHandler, address: Address, now: float
) -> list[tuple[object, ...]]:
    packets = [data for data, to in handler.tick(now) if to == address]
    assert all(len(data) <= MAX_PACKET for data in packets)
    return [row for data in packets for row in unpacked(data)]


def test_a_subscription_ends_and_ping_renews_it() -> None:
    handler = OscHandler(Controls(), FakeSession())
    handler.handle(subscribe(), HERE, 0.0)
    assert sent_to(handler, HERE, 1.0)
    handler.handle(packet("/ping"), HERE, 50.0)
    handler.handle(number("/latent/tilt", 1.0), THERE, 100.0)
    assert ("/latent/tilt", 1.0) in sent_to(handler, HERE, 100.0)
    handler.handle(number("/latent/tilt", 2.0), THERE, 111.0)
    assert sent_to(handler, HERE, 111.0) == []


def test_a_lease_is_as_long_as_asked_within_limits() -> None:
    for asked, given in ((1.0, LEASE_S[0]), (100.0, 100.0), (1e9, LEASE_S[2])):
        subscribers = Subscribers()
        subscribers.add(HERE, None, asked, 0.0)
        subscribers.expire(given - 0.1)
        assert subscribers.addresses == (HERE,)
        subscribers.expire(given + 0.1)
        assert not subscribers.addresses


@pytest.mark.parametrize("port", [-1, 0, 80, 1023, 65_536, 2**31 - 1])
def test_a_port_that_nobody_should_get_is_refused(port: int) -> None:
    handler = OscHandler(Controls(), FakeSession())
    ((reply, to),) = handler.handle(subscribe(port), HERE, 0.0)
    assert to == HERE
    assert unpacked(reply)[0][0] == "/latent/error"
    assert handler.tick(0.0) == []


def test_there_is_room_for_so_many_subscribers() -> None:
    subscribers = Subscribers()
    for port in range(MAX_SUBSCRIBERS):
        subscribers.add(HERE, 2000 + port, None, 0.0)
    subscribers.add(HERE, 2000, None, 0.0)  # again is no other
    with pytest.raises(InputError, match="already"):
        subscribers.add(HERE, 3000, None, 0.0)
    subscribers.add(HERE, 3000, None, 1000.0)  # the others' time is up


def test_changes_go_out_twenty_times_a_second_with_the_last_value() -> None:
    handler = OscHandler(Controls(), FakeSession())
    handler.handle(subscribe(), HERE, 0.0)
    handler.tick(0.0)
    seen: list[object] = []
    for step in range(1000):  # a second of a busy fader
        now = 1.0 + step / 1000.0
        handler.handle(number("/latent/tilt", step / 100.0), THERE, now)
        rows = sent_to(handler, HERE, now)
        seen += [row[1] for row in rows if row[0] == "/latent/tilt"]
    rows = sent_to(handler, HERE, 2.1)
    seen += [row[1] for row in rows if row[0] == "/latent/tilt"]
    assert len(seen) <= 22
    assert seen[-1] == pytest.approx(9.99, abs=1e-5)


def test_a_clamped_value_is_sent_back_to_the_fader() -> None:
    controls = Controls({"tilt": 12.0})
    handler = OscHandler(controls, FakeSession())
    handler.handle(subscribe(), HERE, 0.0)
    handler.tick(0.0)
    ((reply, _),) = handler.handle(number("/latent/tilt", 40.0), HERE, 1.0)
    assert unpacked(reply) == [("/latent/tilt", 12.0)]
    assert ("/latent/norm/tilt", 1.0) in sent_to(handler, HERE, 1.0)


def test_readings_come_at_their_rates() -> None:
    session = FakeSession()
    handler = OscHandler(Controls(), session)
    handler.handle(subscribe(), HERE, 0.0)
    count: dict[object, int] = {}
    for step in range(1000):  # ten seconds
        now = step / 100.0
        level = -20.0 - step / 100.0
        session.show(progress=step / 1000.0, peak_db=(level, level))
        for row in sent_to(handler, HERE, now):
            count[row[0]] = count.get(row[0], 0) + 1
    assert 60 <= count["/latent/meter/peak"] <= 110
    assert 9 <= count["/latent/song/progress"] <= 12
    assert count["/latent/song/title"] == 1, "it did not change"


def test_silence_is_a_number_that_clients_can_read() -> None:
    session = FakeSession()
    session.show(peak_db=(float("-inf"), float("nan")))
    handler = OscHandler(Controls(), session)
    ((reply, _),) = handler.handle(packet("/latent/meter/peak"), HERE, 0.0)
    assert unpacked(reply) == [("/latent/meter/peak", -200.0, 0.0)]


def test_a_stranger_gets_no_more_than_a_small_packet() -> None:
    handler = OscHandler(Controls(), FakeSession())
    asked = (
        packet("/latent/dump"),
        packet("/latent/*"),
        number("/latent/*", 0.5),
        packet("/latent/nothing"),
        packet("/latent/tilt", "s", b"abc\0"),
        b"/\0\0",
        bundle(*[packet("/latent/nothing")] * 100),
    )
    for datagram in asked:
        assert handler.handle(datagram, THERE, 0.0) == []
    (reply,) = handler.handle(packet("/latent/tilt"), THERE, 0.0)
    assert reply[1] == THERE
    assert len(reply[0]) <= len(packet("/latent/tilt")) + 4
    handler.handle(subscribe(), THERE, 0.0)
    assert len(handler.handle(packet("/latent/dump"), THERE, 0.0)) > 1


def test_two_servers_that_answer_each_other_come_to_rest() -> None:
    one, other = (
        OscHandler(Controls(), FakeSession()),
        OscHandler(Controls(), FakeSession()),
    )
    packets = one.handle(number("/latent/tilt", 99.0), HERE, 0.0)
    packets += one.handle(packet("/latent/nothing"), HERE, 0.0)
    packets += one.handle(packet("/latent/now"), HERE, 0.0)
    rounds = 0
    while packets:
        rounds += 1
        assert rounds < 100
        one, other = other, one
        replies = [one.handle(data, HERE, rounds * 1e-4) for data, _ in packets]
        packets = [each for reply in replies for each in reply]


def test_errors_are_answered_at_a_bounded_rate() -> None:
    handler = OscHandler(Controls(), FakeSession())
    replies = [
        handler.handle(packet(f"/latent/x{at}"), HERE, at / 1000.0)
        for at in range(1000)
    ]
    assert sum(map(len, replies)) <= 41
    assert handler.counters.unknown == 1000


def test_the_user_is_told_once_and_in_plain_letters() -> None:
    lines: list[str] = []
    handler = OscHandler(Controls(), FakeSession(), say=lines.append)
    for at in range(500):
        handler.handle(packet("/" + "y" * 120), HERE, at / 100.0)
    handler.handle(packet("/latent/\x1b[2J\nroot: owned"), HERE, 9.0)
    assert len(lines) == 2
    assert all(line.isprintable() and len(line) < 160 for line in lines)


# Floods.


def test_beyond_the_rate_the_last_of_each_address_waits() -> None:
    intake = DatagramQueue(rate=100.0, burst=10.0)
    admitted = 0
    for at in range(1000):  # all within a hundredth of a second
        for address in ("/latent/tilt", "/latent/width"):
            datagram = number(address, at / 1000.0)
            admitted += intake.admit(datagram, HERE, at * 1e-5)
    assert admitted <= 12
    last = {data for data, _ in intake.ready(1.0)}
    assert last == {
        number("/latent/tilt", 0.999),
        number("/latent/width", 0.999),
    }
    assert len(intake) == 0


def test_order_is_kept_for_an_address_that_waits() -> None:
    intake = DatagramQueue(rate=10.0, burst=1.0)
    assert intake.admit(number("/latent/tilt", 1.0), HERE, 0.0)
    assert not intake.admit(number("/latent/tilt", 2.0), HERE, 0.0)
    assert not intake.admit(number("/latent/tilt", 3.0), HERE, 5.0), "2 would come last"
    assert intake.ready(5.0) == [(number("/latent/tilt", 3.0), HERE)]


def test_what_waits_is_bounded() -> None:
    intake = DatagramQueue(rate=1.0, burst=1.0)
    for at in range(10_000):
        intake.admit(packet(f"/latent/{at}"), HERE, 0.0)
    assert len(intake) == MAX_WAITING
    assert intake.dropped == 10_000 - MAX_WAITING - 1


def test_large_and_searching_packets_cost_more() -> None:
    def admitted(datagram: bytes) -> int:
        intake = DatagramQueue(rate=1.0, burst=1000.0)
        count = 0
        while intake.admit(datagram, HERE, 0.0):
            count += 1
        return count

    small = admitted(message("/latent/tilt", "f", (0.0,)))
    assert admitted(bundle(*[packet("/latent/tilt")] * 128)) < small / 30
    assert admitted(packet("/latent/*")) < small / 15
    assert admitted(bundle(*[packet("/latent/*")] * 8)) < small / 100
