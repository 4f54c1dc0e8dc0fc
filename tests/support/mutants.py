"""OSC packets that nobody would send: sound ones with parts of them replaced."""

import random
import struct
import time

from engine.control.commands import COMMANDS
from engine.control.controls import TABLE, Controls
from engine.osc.guard import RefusedDatagram, messages
from engine.osc.messages import control_message, message
from tests.support.osc import Client, bundle, number, packet

AT_ONCE = 100  # between questions whether all were read; the socket holds some more


def refusal(datagram: bytes) -> str | None:
    """Why the guard refuses a datagram; None when it passes."""
    try:
        messages(datagram)
    except RefusedDatagram as reason:
        return str(reason)
    return None


def sound_packets() -> list[bytes]:
    """One of each kind that a client might send."""
    snapshot = Controls().snapshot
    found = [control_message(c, snapshot[c.name]) for c in TABLE]
    found += [
        message("/latent/" + c.name, c.types, ["A"] * len(c.types))
        for c in COMMANDS
        if c.types != "f"
    ]
    found += [packet("/latent/subscribe", "i", struct.pack(">i", 9000))]
    found += [number("/latent/rank/*", 0.5), packet("/latent/{tilt,width}")]
    found += [bundle(*found[:3]), bundle(found[4], bundle(*found[5:9]))]
    return found


def mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    """A packet with some bytes, words or parts of it replaced."""
    datagram = bytearray(rng.choice(seeds))
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(datagram) + 1)
        match rng.randrange(8):
            case 0:
                datagram[at : at + 1] = rng.randbytes(1)
            case 1:
                datagram[at:at] = rng.randbytes(rng.randrange(9))
            case 2:
                del datagram[at : at + rng.randrange(9)]
            case 3:
                datagram += rng.choice(seeds)
            case 4:
                at -= at % 4
                size = rng.choice((-4, 0, 4, 2**31 - 1, -(2**31), 64, 20))
                datagram[at : at + 4] = struct.pack(">i", size)
            case 5:
                at -= at % 4
                value = rng.choice((float("nan"), float("inf"), 1e38, -0.0, 1e-45))
                datagram[at : at + 4] = struct.pack(">f", value)
            case 6:
                datagram[at : at + 1] = rng.choice(
                    (b"*", b"[", b"{", b"?", b"\0", b"/")
                )
            case _:
                datagram = bytearray(bundle(bytes(datagram)))
    return bytes(datagram)


def pelt(port: int, n_packets: int, per_second: float, rng: random.Random) -> None:
    """Send packets that are all to be refused, and see that the server reads on."""
    seeds = sound_packets()
    client = Client(port)
    began, n_sent = time.monotonic(), 0
    while n_sent < n_packets:
        datagram = mutated(rng, seeds)
        if refusal(datagram) is None or len(datagram) > 8000:
            continue
        client.send(datagram)
        n_sent += 1
        if n_sent % AT_ONCE == 0:
            _wait_until_read(client)
            time.sleep(max(0.0, began + n_sent / per_second - time.monotonic()))
    client.close()


def _wait_until_read(client: Client) -> None:
    """A question may be lost when the socket is full: ask up to three times."""
    for last in (False, False, True):
        client.send(packet("/latent/ping"))
        try:
            client.until("/latent/pong")
            return
        except TimeoutError:
            if last:
                raise
