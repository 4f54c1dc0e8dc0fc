"""A client for a session that runs: asks, sets and commands over OSC."""

import socket
import time
from collections.abc import Sequence

from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage

from effects.base.errors import InputError, RunError
from engine.control.commands import ROOT, Argument
from engine.osc.messages import message

ANSWER_S = 2.0
TRIES = 3  # datagrams may be lost, the first above all
_LARGEST = 65_536


class OscClient:
    """Talks to the session that listens on an address.

    Args:
        host: of the session.
        port: UDP.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self.shown = f"{host}:{port}"

    def ask(self, names: Sequence[str]) -> dict[str, tuple[Argument, ...]]:
        """Return the values of controls and readings, without those not known now.

        Raises:
            RunError: no session answers.
        """
        packets = [message(ROOT + name) for name in names]
        answers, _ = self._exchange(packets)
        return {name: answers[name] for name in names if name in answers}

    def send(self, name: str, types: str = "", args: Sequence[Argument] = ()) -> None:
        """Set a control or give a command, and wait until it was taken.

        Raises:
            InputError: the session refuses; the text says why.
            RunError: no session answers.
        """
        _, errors = self._exchange([message(ROOT + name, types, args)], tries=1)
        if errors:
            raise InputError(f"{name}: {errors[0]}")

    def _exchange(
        self, packets: Sequence[bytes], tries: int = TRIES
    ) -> tuple[dict[str, tuple[Argument, ...]], list[str]]:
        """Send packets and a ping; return answers by name, and errors, up to its pong.

        Messages are carried out in their order, so the pong comes last.
        """
        for _ in range(tries):
            with self._socket() as udp:
                try:
                    for packet in (*packets, message(ROOT + "ping")):
                        udp.send(packet)
                    return _received(udp)
                except (TimeoutError, ConnectionRefusedError):
                    continue
        raise RunError(f"no session answers on {self.shown}; is 'latent play' running?")

    def _socket(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)
            family, _, _, _, address = found[0]
            udp = socket.socket(family, socket.SOCK_DGRAM)
            udp.connect(address)
        except OSError as error:
            raise RunError(f"{self.shown}: {error.strerror}") from None
        return udp


def _received(
    udp: socket.socket,
) -> tuple[dict[str, tuple[Argument, ...]], list[str]]:
    """Read until the pong.

    Raises:
        TimeoutError: it does not come.
    """
    answers: dict[str, tuple[Argument, ...]] = {}
    errors: list[str] = []
    deadline = time.monotonic() + ANSWER_S
    while True:
        udp.settimeout(max(0.001, deadline - time.monotonic()))
        for address, args in _unpacked(udp.recv(_LARGEST)):
            name = address.removeprefix(ROOT)
            if name == "pong":
                return answers, errors
            if name == "error":
                errors.append(str(args[-1]))
            else:
                answers[name] = args


def _unpacked(datagram: bytes) -> list[tuple[str, tuple[Argument, ...]]]:
    if OscBundle.dgram_is_bundle(datagram):
        bundle = OscBundle(datagram)
        return [row for part in bundle for row in _unpacked(part.dgram)]
    found = OscMessage(datagram)
    return [(found.address, tuple(found.params))]
