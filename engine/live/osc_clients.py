"""Who gets what over OSC: subscribers for a time, and limits on how much is done."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from effects.errors import InputError

# As the socket gives it: host and port, and two more numbers with IPv6.
Address: TypeAlias = tuple[str, int] | tuple[str, int, int, int]

MAX_SUBSCRIBERS = 16
LEASE_S = (10.0, 60.0, 3600.0)  # shortest, default, longest
PORTS = (1024, 65_535)


class TokenBucket:
    """So many things a second, and at most `burst` at once.

    >>> bucket = TokenBucket(rate=10.0, burst=1.0)
    >>> bucket.take(1.0, now=0.0), bucket.take(1.0, now=0.05), bucket.take(1.0, 0.1)
    (True, False, True)
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = burst, float("-inf")

    def take(self, n: float, now: float) -> bool:
        """Whether `n` may be had at time `now` in s; then they are gone."""
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


class Subscribers:
    """Addresses that get every change until their time is up.

    Args:
        always: host and port of those that are never forgotten.
    """

    def __init__(self, always: Iterable[tuple[str, int]] = ()) -> None:
        self._always = tuple(always)
        self._leases: dict[Address, _Lease] = {}

    def add(
        self, sender: Address, port: float | None, seconds: float | None, now: float
    ) -> Address:
        """Subscribe a sender, or another port of its host, and return which.

        Raises:
            InputError: no such port, or there are too many already.
        """
        address = sender
        if port is not None:
            if not PORTS[0] <= port <= PORTS[1]:
                raise InputError(f"port {port:g}: choose from {PORTS[0]} to {PORTS[1]}")
            address = (sender[0], int(port), *sender[2:])  # type: ignore[assignment]
        self.expire(now)
        if address not in self._leases and len(self._leases) >= MAX_SUBSCRIBERS:
            raise InputError(f"there are {MAX_SUBSCRIBERS} subscribers already")
        shortest, default, longest = LEASE_S
        seconds = default if seconds is None else min(max(seconds, shortest), longest)
        self._leases[address] = _Lease(seconds, now + seconds)
        return address

    def remove(self, sender: Address, port: float | None) -> None:
        """Forget a sender, or the port of its host; all of its ports without one."""
        for address in list(self._leases):
            if address[0] == sender[0] and port in (None, address[1]):
                del self._leases[address]

    def renew(self, sender: Address, now: float) -> None:
        """Give all of a host's subscriptions their time again."""
        for address, lease in self._leases.items():
            if address[0] == sender[0]:
                lease.expires = now + lease.seconds

    def expire(self, now: float) -> None:
        """Forget those whose time is up."""
        for address, lease in list(self._leases.items()):
            if lease.expires <= now:
                del self._leases[address]

    def knows(self, sender: Address) -> bool:
        """Whether the host has a subscription that lasts."""
        hosts = {address[0] for address in self.addresses}
        return sender[0] in hosts

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All to whom changes go."""
        return (*self._always, *self._leases)
