"""How soon and how well a session ends, whenever it is asked to.

Run as `bin/bench exits [N]`: N sessions, 50 by default, each ended by a signal at a
random moment from its start on, a third of them once they play.
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
            ends.append(end_at(Path(folder), device, after_s, which))
            if not ends[-1].is_right:
                console.print(ends[-1])
    table = Table("ended", "times", "right", "s, p50", "most")
    for name, played in (("before it played", False), ("while it played", True)):
        rows = [end for end in ends if end.played is played]
        if rows:
            seconds = [end.seconds for end in rows]
            right = str(sum(end.is_right for end in rows))
            row = [f"{np.median(seconds):.2f}", f"{max(seconds):.2f}"]
            table.add_row(name, str(len(rows)), right, *row)
    console.print(table)


if __name__ == "__main__":
    main()
