"""`latent corpus curate`: keep or reject the clips of a corpus, one key each."""

from pathlib import Path

import click

from engine.cli.corpus_options import corpus_option, default_corpus
from engine.cli.packages import CURATION, check_packages


@click.command()
@corpus_option
@click.option("--terminal", is_flag=True, help="Decide by keys in this terminal.")
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
    device: str | None,
    auto: float | None,
    yes: bool,
    undo_auto: bool,
) -> None:
    """Keep or reject the clips of a corpus, one key each.

    Clips that are likely to be bad come first: by their scores, and later by what was
    decided so far. Every decision is on the disk before the next clip is heard. It may
    be stopped at any time, and goes on with the same clip.

    \b
    Example:
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

    del terminal  # the only form so far
    curate_in_terminal(folder, device)
