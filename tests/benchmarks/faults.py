"""What faults of the sound server cost a session that plays, records and serves.

Run as `bin/bench faults [N]`: N faults in one session, 200 by default, some three
seconds each. The sink is suspended, moved, removed, given another rate; the server is
killed and started again, or stands still. The table says for each how long after its
end there was sound again.
"""

import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.support.device_faults import KINDS, run_faults


def main() -> None:
    """Make the faults, and print."""
    n_faults = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(prefix="latent-faults-") as folder:
        run = run_faults(Path(folder), itertools.cycle(KINDS), n_faults, rng)
    table = Table("fault", "times", "sound back s, p50", "most")
    for kind in (*KINDS, "all"):
        back = [f.back_s for f in run.faults if kind in (f.kind, "all")]
        if back:
            row = [f"{np.median(back):.2f}", f"{max(back):.2f}"]
            table.add_row(kind, str(len(back)), *row)
    console = Console()
    console.print(table)
    n_bytes, n_cuts = run.streamed
    console.print(
        f"exit code {run.exit_code} in {run.end_s:.2f} s, "
        f"{len(run.children)} processes left\n"
        f"grown by {run.grown} descriptors, threads and processes\n"
        f"recorded {run.recorded_s:.1f} s of {run.played_s:.1f}, "
        f"{run.n_different} samples differ from the replay\n"
        f"stream: {n_bytes} bytes, cut {n_cuts} times\n{run.said[-1]}"
    )


if __name__ == "__main__":
    main()
