"""What an IP address says about who is there: this machine, its network, or anybody."""

import ipaddress
import socket
from functools import lru_cache

_SHARED = ipaddress.ip_network("100.64.0.0/10")  # RFC 6598: overlay networks, too
_ELSEWHERE = ("192.0.2.1", 9)  # RFC 5737: documentation's, so nobody's


@lru_cache(maxsize=1024)
def is_near_only(host: str) -> bool:
    """Whether a host is this machine, so that listening there keeps others out.

    A name other than `localhost` may be anybody's.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def is_neighbour(host: str) -> bool:
    """Whether an address is this machine's or in a private network.

    Raises:
        ValueError: it is no address.
    """
    address = ipaddress.ip_address(host.partition("%")[0])
    return address.is_private or address in _SHARED


def is_everywhere(host: str) -> bool:
    """Whether listening there means listening on all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def own_address() -> str | None:
    """The IPv4 address that other machines reach this one at; None without a network.

    Connecting UDP sends nothing; it only chooses an address.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
            return str(probe.getsockname()[0])
        except OSError:
            return None
