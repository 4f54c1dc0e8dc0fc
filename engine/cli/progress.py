"""What is told while a sound is rendered: a bar on terminals, and a FIFO's format."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from effects.base.whole_file import is_fifo


@contextmanager
def bar(what: str, per_unit: int = 1) -> Iterator[Callable[[int, int], None] | None]:
    """Show a progress bar on stderr while the block runs.

    Args:
        what: name of the work.
        per_unit: divisor of both numbers, for example the sample rate for seconds.

    Yields:
        A function to call with (done, total), or None if stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)

        def report(done: int, total: int) -> None:
            progress.update(task, completed=done / per_unit, total=total / per_unit)

        yield report


def tell_of_fifo(out: Path, sample_rate: int) -> None:
    """Say what a FIFO gets: plain PCM does not say it, and its reader may be late."""
    from effects.audio.sound_formats import format_of

    if is_fifo(out):
        kind = format_of(out).name
        click.echo(f"latent: {out}: {kind}, {sample_rate} Hz, 2 channels", err=True)
