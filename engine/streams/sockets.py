"""Listening sockets of servers."""

import errno
import socket

from effects.base.errors import InputError, RunError

HOST = "127.0.0.1"
BACKLOG = 128


def listen(host: str, port: int, option: str) -> list[socket.socket]:
    """Open sockets that listen; of this machine, under both its addresses.

    Args:
        host: address.
        port: TCP, 0 for a free one.
        option: of the command line that they were given with.

    Raises:
        InputError: not an address of this machine, or no such port.
        RunError: the port is in use.
    """
    if not 0 <= port <= 65_535:
        raise InputError(f"{option}: port {port}: choose from 0 to 65535")
    first = _bind(host, port, option)
    if host != HOST:
        return [first]
    # Players that look up `localhost` may find ::1 first.
    try:
        return [first, _bind("::1", first.getsockname()[1], option)]
    except (RunError, InputError):
        return [first]


def _bind(host: str, port: int, option: str) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        return socket.create_server(
            (str(address[0]), port),
            family=family,
            backlog=BACKLOG,
            reuse_port=False,
        )
    except socket.gaierror:
        raise InputError(f"{option}: {host} is no address of this machine") from None
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise InputError(
                f"{option}: {host} is no address of this machine"
            ) from None
        if error.errno == errno.EADDRINUSE:
            raise RunError(
                f"TCP port {port} on {host} is in use; choose another with {option}"
            ) from None
        raise RunError(f"TCP port {port} on {host}: {error.strerror}") from None
