"""What `kill -9` costs a recording: real sessions killed at random moments.

Run as `bin/bench kills [N]`: N sessions, 50 by default, some eight seconds each. Every
one is repaired, by `latent recover` or by the next start, passes `flac -t`, and is
compared with the session rendered again from its journal.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.support.killing import kill_while_recording


def main() -> None:
    """Kill, repair, and print."""
    n_kills = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    console = Console()
    with tempfile.TemporaryDirectory(prefix="latent-kills-") as folder:
        losses = []
        for number in range(n_kills):
            rng = np.random.default_rng(number)
            losses.append(kill_while_recording(Path(folder), f"set-{number}", rng))
            console.print(f"{number + 1} of {n_kills}: {losses[-1]}")
    table = Table(
        "repaired by", "killed", "lost s, p50", "most", "residual dB, worst", "steps"
    )
    for name, by_restart in (("latent recover", False), ("the next start", True)):
        rows = [loss for loss in losses if loss.by_restart is by_restart]
        lost = [loss.seconds for loss in rows]
        steps = max((loss.steps for loss in rows), default=float("nan"))
        worst = max((loss.residual_db for loss in rows), default=float("nan"))
        row = [f"{np.median(lost):.3f}", f"{max(lost, default=np.nan):.3f}"]
        table.add_row(name, str(len(rows)), *row, f"{worst:.0f}", f"{steps:.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
