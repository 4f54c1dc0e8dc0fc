"""Progress bars: on a terminal they move, elsewhere they say nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(what: str, per_unit: int = 1) -> Iterator[Callable[[int, int], None] | None]:
    """A function to report (done, total) to, or None where nobody watches.

    Args:
        what: is being done.
        per_unit: divides the numbers for display, as samples into seconds.
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
