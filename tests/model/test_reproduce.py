"""The comparison of a model made again with the bundled one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.reproduce import COUNT, compared
from tests.support.command import ROOT, environment


@pytest.mark.parametrize(("factor", "near"), [(1.0, True), (1.09, True), (0.89, False)])
def test_a_figure_that_is_ten_percent_off_is_found(factor: float, near: bool) -> None:
    bundled = dict.fromkeys(COUNT, 0.8)
    for name in COUNT:
        assert compared(bundled | {name: factor * 0.8}, bundled)[1] is near


def test_a_figure_that_is_missing_is_not_near() -> None:
    bundled = dict.fromkeys(COUNT, 0.8)
    assert not compared({}, bundled)[1]
    assert not compared(bundled | {"detail_prior": None}, bundled)[1]


@pytest.mark.slow
def test_both_commands_are_run_from_an_empty_home_and_compared(tmp_path: Path) -> None:
    tiny = ["--clips", "60", "--epochs", "1", "--no-soundfont"]
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.reproduce", *tiny, "--home", home],
        cwd=ROOT,
        env={**environment(tmp_path), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr  # sixty clips make no such model
    rows = [line for line in done.stdout.splitlines() if "OFF" in line]
    assert any("rmse_ratio" in row for row in rows)
    for name in COUNT:
        assert name in done.stdout
    assert (home / "reproduced" / "report.png").exists()
    assert (home / "data" / "corpus" / "manifest.jsonl").exists()
