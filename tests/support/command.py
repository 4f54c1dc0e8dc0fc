"""The command line, run by tests in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def latent(
    *args: object, home: Path, stdin: str | None = None, limit_s: float = 280.0
) -> "subprocess.CompletedProcess[str]":
    """Run `latent ARGS` to its end with LATENT_HOME `home`.

    Args:
        args: of the command, made texts.
        home: of loops, journals and so on.
        stdin: what it reads; nothing by default.
        limit_s: seconds that it may take.
    """
    return subprocess.run(
        [sys.executable, "-m", "engine.cli.main", *map(str, args)],
        cwd=ROOT,
        env=environment(home),
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )


def python(code: str, *, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run Python code to its end in a process of its own, as `latent` would be run."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )


def environment(home: Path) -> Mapping[str, str]:
    """Variables under which tests start the command."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "LATENT_HOME": str(home)}
