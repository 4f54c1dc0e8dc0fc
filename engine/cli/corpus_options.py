"""Options and types that the commands of `latent corpus` share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from effects.base.paths import data_dir


def default_corpus() -> Path:
    """Folder of the corpus without --corpus."""
    return data_dir() / "corpus"


corpus_option = click.option(
    "--corpus",
    "corpus_dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder of the corpus [default: in the data folder].",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON."
)


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the arguments that choose clips; `selection_of` reads them."""
    options = [
        click.argument("ids", nargs=-1, type=click.IntRange(0)),
        click.option("--song", default="", help="Part of title, artist or path."),
        click.option(
            "--score",
            "scores",
            multiple=True,
            help="Test of a score, as 'transient>0.8' (1 is the limit) or 'onset>3'.",
        ),
        click.option(
            "--verdict",
            type=click.Choice(["keep", "reject", "open"]),
            help="Clips that were kept, rejected, or not judged.",
        ),
        click.option("--licence", default="", help="Part of the licence."),
        corpus_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command
