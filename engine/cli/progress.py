"""Progress bars, shown on terminals only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
