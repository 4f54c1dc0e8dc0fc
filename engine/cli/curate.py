"""`latent corpus curate`: keep or reject the clips of a corpus, one key each."""

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path

import click

from engine.cli.corpus_options import corpus_option, default_corpus
from engine.cli.packages import CURATION, check_packages

PORT = 8081


@click.command()
@corpus_option
@click.option("--terminal", is_flag=True, help="Decide by keys in this terminal.")
@click.option(
    "--web",
    metavar="[HOST:]PORT",
    default=str(PORT),
    show_default=True,
    help="Where the page is served.",
)
@click.option("--web-name", multiple=True, help="Another name of this machine.")
@click.option("--device", help="Sound device, by number or name.")
@click.option(
    "--auto",
    type=click.FloatRange(0.5, 0.999),
    metavar="CERTAINTY",
    help="Reject the clips that are bad with this certainty (0.5 to 0.999), judged by "
    "the decisions so far; it shows a sample and asks first.",
)
@click.option("--yes", is_flag=True, help="With --auto: do not ask.")
@click.option("--undo-auto", is_flag=True, help="Take back what --auto rejected.")
def curate(
    corpus_dir: Path | None,
    terminal: bool,
    web: str,
    web_name: tuple[str, ...],
    device: str | None,
    auto: float | None,
    yes: bool,
    undo_auto: bool,
) -> None:
    """Keep or reject the clips of a corpus, one key each.

    Clips that are likely to be bad come first: by their scores, and later by what was
    decided so far. Every decision is on the disk before the next clip is heard. It may
    be stopped at any time, and goes on with the same clip.

    Without --terminal a page is served for a browser: cards to swipe.

    \b
    Examples:
      latent corpus curate
      latent corpus curate --terminal
    """
    check_packages("curation", "corpus curate", CURATION)
    folder = corpus_dir or default_corpus()
    if auto is not None or undo_auto:
        from engine.cli.curate_auto import reject_by_certainty, take_back

        if undo_auto:
            take_back(folder)
        if auto is not None:
            reject_by_certainty(folder, auto, ask=not yes)
        return
    from engine.cli.curate_terminal import curate_in_terminal

    if terminal:
        curate_in_terminal(folder, device)
    else:
        _serve(folder, web, web_name)


def _serve(folder: Path, where: str, names: Sequence[str]) -> None:
    """Serve the page until it is interrupted."""
    from engine.cli.runner import say
    from engine.cli.signals import Stopped
    from engine.cli.web import web_settings
    from engine.osc.addresses import is_near_only
    from engine.streams.sockets import listen
    from engine.web.access import Access, kept_token, names_of
    from engine.web.process import check_packages as check_page
    from engine.web.shown import shown_address

    check_page()
    from engine.web.curation_page import CurationServer
    from model.corpus.curation.curation import Curation

    settings = web_settings("web", where, names)
    curation = Curation(folder)
    token = "" if is_near_only(settings.host) else kept_token()
    sockets = listen(settings.host, settings.port, "another port")
    server = CurationServer(curation, Access(token, names_of(settings.names)))
    for line in shown_address(settings.host, sockets[0].getsockname()[1], token):
        say(line)
    with contextlib.suppress(Stopped, KeyboardInterrupt):
        asyncio.run(server.serve(sockets))
    counts = curation.counts()
    click.echo(f"{counts.kept} kept, {counts.rejected} rejected, {counts.open} open")
