"""One OSC message that was received, with its sender and the time."""

from dataclasses import dataclass

from pythonosc.osc_message import OscMessage

from engine.control.commands import Argument
from engine.osc.clients import Address


@dataclass(frozen=True)
class OscRequest:
    """A message of a packet that the guard let through.

    Attributes:
        address: of the message; empty for a packet that was refused as a whole.
        args: its arguments.
        sender: host and port that it came from.
        now: monotonic time of its arrival in s.
    """

    address: str
    args: tuple[Argument, ...]
    sender: Address
    now: float


def parsed(raw: bytes, sender: Address, now: float) -> OscRequest:
    """Return the request of a message's bytes, which the guard has checked."""
    message = OscMessage(raw)
    return OscRequest(message.address, tuple(message.params), sender, now)
