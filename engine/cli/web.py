"""`latent web`: the page, for a session that plays already."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from effects.base.memory import give_memory_back
from engine.cli.stream_options import endpoint
from engine.streams.sockets import HOST

if TYPE_CHECKING:
    from engine.web.process import WebSettings

PORT = 8080


@click.command()
@click.argument("where", default=str(PORT))
@click.option("--web-name", multiple=True, help="Another name of this machine.")
def web(where: str, web_name: tuple[str, ...]) -> None:
    """Serve the page of the session that plays, at [HOST:]PORT.

    It waits for a session where there is none, and for the next when one has ended.
    Beyond this machine, whatever changes something needs the token that is printed.

    \b
    Examples:
      latent web
      latent web 0.0.0.0:8080
    """
    serve_page(where, web_name)


def serve_page(where: str, names: Sequence[str], *, hint: str = "") -> None:
    """Serve the page until it is interrupted.

    Args:
        where: [HOST:]PORT.
        names: of this machine, besides its own.
        hint: a line that is told after the address.

    Raises:
        InputError: not an address of this machine.
        RunError: the port is in use, or a package is missing.
    """
    from engine.cli.runner import say
    from engine.cli.signals import Stopped
    from engine.osc.addresses import is_near_only
    from engine.streams.sockets import listen
    from engine.web.access import Access, kept_token, names_of
    from engine.web.process import check_packages
    from engine.web.shown import shown_address

    check_packages()
    give_memory_back()
    from engine.web.documents import documents
    from engine.web.link_folder import find_session
    from engine.web.server import PageServer

    settings = web_settings("web", where, names)
    token = "" if is_near_only(settings.host) else kept_token()
    access = Access(token, names_of(settings.names))
    sockets = listen(settings.host, settings.port, "another port")
    server = PageServer(access, find_session, [documents])
    for line in shown_address(settings.host, sockets[0].getsockname()[1], token):
        say(line)
    if hint:
        say(hint)
    with contextlib.suppress(Stopped, KeyboardInterrupt):
        asyncio.run(server.serve(sockets, once=False))


def web_settings(option: str, where: str, names: Sequence[str]) -> "WebSettings":
    """Return where a page is served, from the command line.

    Raises:
        InputError: it is not [HOST:]PORT.
    """
    from engine.web.process import WebSettings

    host, port = endpoint(option, where, HOST)
    return WebSettings(host, port, tuple(names))
