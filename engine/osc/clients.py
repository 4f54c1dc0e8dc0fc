"""Clients of an OSC server: subscribers, and limits on what is handled for them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from effects.base.errors import InputError
from engine.osc.guard import MAX_PATTERNS

# As the socket gives it: host and port, and two more numbers with IPv6.
Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

MAX_SUBSCRIBERS = 16
MAX_WAITING = 256  # datagrams
PATTERN_COST = 20  # tokens: a pattern is compared with every address
_SIGNS = (b"*", b"?", b"[", b"{")
LEASE_S = (10.0, 60.0, 3600.0)  # shortest, default, longest
PORTS = (1024, 65_535)


class TokenBucket:
    """A limit on a rate: so many tokens a second, and at most `burst` at once.

    Args:
        rate: tokens that are added a second.
        burst: most tokens that are held.

    >>> bucket = TokenBucket(rate=10.0, burst=1.0)
    >>> bucket.take(1.0, now=0.0), bucket.take(1.0, now=0.05), bucket.take(1.0, 0.1)
    (True, False, True)
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, float("-inf")

    def take(self, n: float, now: float) -> bool:
        """Take `n` tokens at time `now` in s, or return False and take none."""
        if now > self._at:
            gained = (now - self._at) * self._rate
            self._tokens = min(self._burst, self._tokens + gained)
            self._at = now
        if self._tokens < n:
            return False
        self._tokens -= n
        return True


@dataclass
class _Lease:
    seconds: float
    expires: float  # monotonic, s
    named: bool  # by a port, not by the sender's own address


class Subscribers:
    """Addresses that get every change until their lease expires.

    Args:
        always: host and port of those that never expire.
    """

    def __init__(self, always: Iterable[tuple[str, int]] = ()) -> None:
        self._always = tuple(always)
        self._leases: dict[Address, _Lease] = {}

    def add(
        self, sender: Address, port: float | None, seconds: float | None, now: float
    ) -> Address:
        """Subscribe a sender, or another port of its host; returns the address.

        Raises:
            InputError: no such port, or there are too many already.
        """
        address = sender
        if port is not None:
            if not PORTS[0] <= port <= PORTS[1]:
                raise InputError(f"port {port:g}: choose from {PORTS[0]} to {PORTS[1]}")
            address = (sender[0], int(port), *sender[2:])
        self.expire(now)
        if address not in self._leases and len(self._leases) >= MAX_SUBSCRIBERS:
            raise InputError(f"there are {MAX_SUBSCRIBERS} subscribers already")
        shortest, default, longest = LEASE_S
        seconds = default if seconds is None else min(max(seconds, shortest), longest)
        self._leases[address] = _Lease(seconds, now + seconds, port is not None)
        return address

    def remove(self, sender: Address, port: float | None) -> None:
        """Unsubscribe a sender, or the port of its host that it names."""
        wanted = (sender[0], sender[1] if port is None else port)
        for address in list(self._leases):
            if address[:2] == wanted:
                del self._leases[address]

    def renew(self, sender: Address, now: float) -> None:
        """Renew the leases of all of a host's subscriptions."""
        for address, lease in self._leases.items():
            if address[0] == sender[0]:
                lease.expires = now + lease.seconds

    def expire(self, now: float) -> None:
        """Remove those whose lease has expired at time `now`."""
        for address, lease in list(self._leases.items()):
            if lease.expires <= now:
                del self._leases[address]

    def knows(self, sender: Address) -> bool:
        """Whether the host of a sender is subscribed."""
        return any(address[0] == sender[0] for address in self.addresses)

    def replies_to(self, sender: Address) -> tuple[Address, ...]:
        """Return the addresses for a reply: the sender, and ports that its host named.

        Layouts on a tablet send from one port and listen on another.
        """
        if sender in self._leases:
            return (sender,)
        named = (a for a, lease in self._leases.items() if lease.named)
        return (sender, *(a for a in named if a[0] == sender[0]))

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All addresses that changes go to."""
        return (*self._always, *self._leases)


class DatagramQueue:
    """Admits datagrams at a bounded rate; beyond it, the last of each address waits.

    A flood costs little then, and the final value of a fader is kept.

    Args:
        rate: tokens a second; a small message costs one.
        burst: tokens that can be had at once.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._bucket = TokenBucket(rate, burst)
        self._waiting: dict[tuple[Address, bytes], bytes] = {}
        self.replaced = 0  # datagrams that a later one replaced
        self.dropped = 0  # datagrams that no space was left for

    def __len__(self) -> int:
        return len(self._waiting)

    def admit(self, datagram: bytes, sender: Address, now: float) -> bool:
        """Whether to handle a datagram at once; if not, it waits or is dropped."""
        key = (sender, _head(datagram))
        if not self._waiting and self._bucket.take(_cost(datagram), now):
            return True
        if key in self._waiting:
            self.replaced += 1
        elif len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return False
        self._waiting[key] = datagram
        return False

    def ready(self, now: float) -> list[tuple[bytes, Address]]:
        """Return the datagrams that waited and can be handled now, oldest first."""
        found = []
        for key, datagram in list(self._waiting.items()):
            if not self._bucket.take(_cost(datagram), now):
                break
            del self._waiting[key]
            found.append((datagram, key[0]))
        return found


def _head(datagram: bytes) -> bytes:
    """Return the address of a message, or of a bundle's first element."""
    start = 20 if datagram.startswith(b"#bundle") else 0
    return datagram[start : start + 128].partition(b"\0")[0]


def _cost(datagram: bytes) -> float:
    # In a bundle, bytes of numbers may look like wildcards: then it waits for longer.
    is_bundle = datagram.startswith(b"#bundle")
    searched = datagram if is_bundle else _head(datagram)
    n_patterns = min(MAX_PATTERNS if is_bundle else 1, sum(map(searched.count, _SIGNS)))
    return 1 + len(datagram) // 64 + PATTERN_COST * n_patterns
