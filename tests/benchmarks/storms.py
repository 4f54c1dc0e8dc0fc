"""Random storms of OSC in simulated time: is a replay to the bit what was heard?

Run as `bin/bench storms [N [FIRST]]`: N storms (100 if not said), numbered from FIRST.
Each is a session of its own, with random cuts of blocks, stalls of the producer and
loops that come late. Exits 1 when a sample differs.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LATENT_HOME", tempfile.mkdtemp(prefix="latent-bench-"))

import click

from tests.support.storms import Outcome, storm


def main() -> None:
    """Print a line for each storm that differs, and the sums."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    outcomes: list[Outcome] = []
    began = time.monotonic()
    for seed in range(first, first + n):
        with tempfile.TemporaryDirectory() as folder:
            outcome = storm(seed, Path(folder))
        outcomes.append(outcome)
        if not outcome.is_exact:
            click.echo(f"storm {seed} differs: {outcome}")
    exact = sum(outcome.is_exact for outcome in outcomes)
    recordings = sum(outcome.recordings[0] for outcome in outcomes)
    click.echo(
        f"replay is what was heard to the bit in {exact} of {n} storms: "
        f"{sum(o.seconds for o in outcomes):.0f} s heard, "
        f"{sum(o.n_packets for o in outcomes)} packets, "
        f"{sum(o.events for o in outcomes)} events, {recordings} recordings, "
        f"{sum(o.concealments for o in outcomes)} concealments, "
        f"{sum(o.underruns for o in outcomes)} underruns, "
        f"{sum(o.waits for o in outcomes)} waits for a loop; "
        f"{time.monotonic() - began:.0f} s"
    )
    sys.exit(0 if exact == n else 1)


if __name__ == "__main__":
    main()
