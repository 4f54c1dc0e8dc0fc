"""Figures of benchmarks, kept beside the commit and the machine that they are of.

A benchmark's runs lie in `benchmarks/NAME.json`, the latest last. A run is compared
with the latest of the same machine.
"""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from effects.base.whole_file import write_whole
from tests.support.command import ROOT

FOLDER = ROOT / "benchmarks"
NOTICED = 0.1  # share by which a figure has to be worse to be named
MOST_RUNS = 50  # of a benchmark that are kept


@dataclass(frozen=True)
class Figure:
    """One number of a benchmark.

    Attributes:
        name: what was measured.
        value: the number.
        unit: of it.
        more_is_better: or less is.
    """

    name: str
    value: float
    unit: str
    more_is_better: bool = False

    def __str__(self) -> str:
        return f"{self.value:.3g} {self.unit}"


def keep(
    bench: str, figures: Sequence[Figure], console: Console, folder: Path = FOLDER
) -> None:
    """Write a run down, and say what got worse since the last one of this machine.

    Args:
        bench: its name.
        figures: of the run.
        console: for what is said.
        folder: of what is kept.
    """
    path = folder / f"{bench}.json"
    runs: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    machine = _machine()
    before = next((run for run in reversed(runs) if run["machine"] == machine), None)
    run = {
        "commit": _commit(),
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": machine,
        "load": round(os.getloadavg()[0], 1),
        "figures": [asdict(figure) for figure in figures],
    }
    folder.mkdir(exist_ok=True)
    write_whole(path, json.dumps([*runs, run][-MOST_RUNS:], indent=1) + "\n")
    if before is None:
        console.print(f"kept in {path}, the first of this machine")
        return
    console.print(f"kept in {path}; beside {before['commit']} of {before['date']}:")
    worse = worsened(figures, before["figures"])
    console.print("\n".join(worse) or "nothing got worse by a tenth")


def worsened(figures: Sequence[Figure], before: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each figure that got worse by more than `NOTICED`."""
    values = {str(row["name"]): float(row["value"]) for row in before}
    lines = []
    for figure in figures:
        was = values.get(figure.name)
        if was is None or min(was, figure.value) <= 0.0:
            continue
        ratio = was / figure.value if figure.more_is_better else figure.value / was
        if ratio > 1.0 + NOTICED:
            lines.append(f"worse: {figure.name}, {was:.3g} -> {figure}")
    return lines


def _machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"
