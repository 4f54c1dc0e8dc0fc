"""Mutants of every kind of file, read by the product: does each end in one line?

Run as `bin/bench fuzz [N [KIND...]]`: N mutants of each kind (10,000 if not said). A
mutant that raised something else than one line, or took more than a second, is kept in
a folder. Exits 1 if there is any, or if memory grew by more than the limit.
"""

import os
import random
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("LATENT_HOME", tempfile.mkdtemp(prefix="latent-bench-"))

import click

from engine.cli.quiet import libraries_silenced
from tests.support.file_mutants import fuzz, fuzz_targets

MOST_GROWN_KIB = 200 * 1024
SEED = 20
SHOWN = 5  # failures of a kind


def main() -> None:
    """Print a line for each kind."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    kept = Path(tempfile.mkdtemp(prefix="latent-fuzz-"))
    good = True
    click.echo("kind              read  refused  failed  slowest s  memory MB")
    with tempfile.TemporaryDirectory() as made:
        kinds = fuzz_targets(Path(made))
        for name in sys.argv[2:] or kinds:
            with tempfile.TemporaryDirectory() as folder, libraries_silenced():
                rng = random.Random(f"{SEED} {name}")
                outcome = fuzz(kinds[name], n, rng, Path(folder))
            click.echo(
                f"{name:14s}{outcome.read:8d}{outcome.refused:9d}"
                f"{len(outcome.failed):8d}{outcome.slowest_s:11.3f}"
                f"{outcome.grown_kib / 1024:11.1f}"
            )
            good &= not outcome.failed and outcome.grown_kib < MOST_GROWN_KIB
            for number, (content, why) in enumerate(outcome.failed[:SHOWN]):
                (kept / f"{name}-{number}").write_bytes(content)
                click.echo(f"  {kept / f'{name}-{number}'}: {why:.100}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
