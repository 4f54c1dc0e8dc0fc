"""How soon and how well a session ends, whenever it is asked to.

Run as `bin/bench exits [N]`: N sessions, 50 by default, each ended by a signal at a
random moment from its start on, a third of them once they play; one in ten gets the
signal twice, and the programme of another is over.
"""

import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.support.exits import End, end_at
from tests.support.virtual_audio import VirtualAudio

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
START_S = 2.5  # a start takes about so long
KINDS = ("before it played", "while it played", "by a signal twice", "by itself")


def main() -> None:
    """Start, end, and print."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` ignores it, for sessions too
    n_ends = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    rng = np.random.default_rng(2)
    console = Console()
    ends: list[End] = []
    with (
        tempfile.TemporaryDirectory(prefix="latent-exits-") as folder,
        VirtualAudio() as device,
    ):
        for number in range(n_ends):
            after_s = None if number % 3 == 2 else float(rng.uniform(0.0, START_S))
            which = SIGNALS[int(rng.integers(len(SIGNALS)))]
            again_s = float(rng.uniform(0.0, 0.6)) if number % 10 == 8 else None
            if number % 10 == 9:  # its programme is over
                ends.append(end_at(Path(folder), device, None, None))
            else:
                ends.append(end_at(Path(folder), device, after_s, which, again_s))
            if not ends[-1].is_right:
                console.print(ends[-1])
    table = Table("ended", "times", "right", "s, p50", "most")
    kinds: dict[str, list[End]] = {name: [] for name in KINDS}
    for end in ends:
        kinds[_kind_of(end)].append(end)
    for name, rows in kinds.items():
        if rows:
            seconds = [end.seconds for end in rows]
            right = str(sum(end.is_right for end in rows))
            row = [f"{np.median(seconds):.2f}", f"{max(seconds):.2f}"]
            table.add_row(name, str(len(rows)), right, *row)
    console.print(table)


def _kind_of(end: End) -> str:
    if end.again_s is not None or end.number is None:
        return KINDS[2 if end.again_s is not None else 3]
    return KINDS[int(end.played)]


if __name__ == "__main__":
    main()
