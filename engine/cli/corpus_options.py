"""Options of the commands that work on a corpus."""

from pathlib import Path

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
