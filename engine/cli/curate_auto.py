"""Rejecting what is left of a corpus by what was decided, after a look at a sample."""

from pathlib import Path

import click

from effects.base.one_line import shown
from engine.cli.curate_terminal import line_of
from model.corpus.curation.curation import Curation
from model.corpus.curation.latents import latents_of
from model.inference import TimbreModel

N_SHOWN = 12  # clips of the sample


def reject_by_certainty(folder: Path, certainty: float, *, ask: bool) -> None:
    """Propose the clips that are bad with a certainty, and reject them if wanted.

    Args:
        folder: of the corpus.
        certainty: 0..1.
        ask: whether to ask first.

    Raises:
        InputError: too few decisions were made.
        RunError: the decisions cannot be written.
    """
    curation = Curation(folder)
    latents = latents_of(curation.corpus, TimbreModel.load(), lambda: True)
    if latents is not None:
        curation.learn_latents(latents)
    found = curation.propose(certainty)
    click.echo(
        f"learned from {found.n_decided} decisions. Of those, left out of the learning "
        f"in turn, {found.n_foretold} were foretold as bad, and {found.n_right} of "
        f"these you had rejected ({found.n_found:.0%} of all that you rejected)"
    )
    if not len(found.clips):
        click.echo(f"no open clip is bad with a certainty of {certainty:g}")
        return
    click.echo(f"{len(found.clips)} open clips would be rejected; a sample of them:")
    for clip in curation.sample(found, N_SHOWN):
        click.echo(f"  {line_of(curation, clip)}")
        if name := curation.row(clip).get("file_name"):
            click.echo(f"    {shown(folder / str(name))}")
    if ask and not click.confirm(f"reject these {len(found.clips)} clips?"):
        click.echo("nothing was rejected")
        return
    n = curation.reject_proposed(found, certainty)
    click.echo(f"{n} clips rejected; --undo-auto takes that back")


def take_back(folder: Path) -> None:
    """Open the clips again that were rejected by a certainty and not since by hand."""
    n = Curation(folder).take_back_auto()
    click.echo(f"{n} clips are open again")
