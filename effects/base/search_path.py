"""Where a process that is started here finds this project's modules."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the folder of all packages


def search_path(inherited: str) -> str:
    """A `PYTHONPATH` with this project first, whatever folder a process is run in.

    Args:
        inherited: the `PYTHONPATH` of this process; empty if it has none.
    """
    paths = [str(ROOT), *filter(None, inherited.split(os.pathsep))]
    return os.pathsep.join(dict.fromkeys(paths))


def child_environment(**more: str) -> dict[str, str]:
    """The environment of a process with a module of this project.

    Args:
        more: further variables.
    """
    path = search_path(os.environ.get("PYTHONPATH", ""))
    return {**os.environ, "PYTHONPATH": path, **more}
