"""Figures of benchmarks: kept one run after the other, and compared."""

import json
from pathlib import Path

from rich.console import Console

from tests.support.kept_figures import Figure, keep, worsened


def figures(speed: float, delay: float) -> list[Figure]:
    return [
        Figure("speed", speed, "x real time", more_is_better=True),
        Figure("delay", delay, "ms"),
    ]


def test_what_got_worse_is_named_and_nothing_else() -> None:
    before = [{"name": "speed", "value": 100.0}, {"name": "delay", "value": 50.0}]
    assert worsened(figures(120.0, 40.0), before) == []
    assert worsened(figures(95.0, 54.0), before) == []
    assert worsened(figures(80.0, 50.0), before) == [
        "worse: speed, 100 -> 80 x real time"
    ]
    assert worsened(figures(100.0, 60.0), before) == ["worse: delay, 50 -> 60 ms"]
    assert worsened([Figure("new", 1.0, "s")], before) == []


def test_runs_are_kept_with_commit_and_machine(tmp_path: Path) -> None:
    console = Console(record=True, width=200)
    keep("speed", figures(100.0, 50.0), console, tmp_path)
    keep("speed", figures(70.0, 50.0), console, tmp_path)
    runs = json.loads((tmp_path / "speed.json").read_text())
    assert [run["figures"][0]["value"] for run in runs] == [100.0, 70.0]
    assert all(run["commit"] and run["machine"] and run["date"] for run in runs)
    assert "worse: speed, 100 -> 70 x real time" in console.export_text()
