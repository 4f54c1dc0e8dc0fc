"""Loops that are made in a process of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from effects.base.errors import InputError
from effects.shelf.library import Library
from tests.support.command import ROOT, environment, python

RATE = 24_000
MOST_MB = 40.0  # the child's work is some hundred


@pytest.fixture
def shelf(tmp_path: Path) -> Library:
    return Library(tmp_path / "data", tmp_path / "cache")


def test_it_is_the_same_loop_and_is_made_once(shelf: Library, tmp_path: Path) -> None:
    shelf.make_apart("drips", RATE)
    assert shelf.is_there("drips", RATE)
    written = {path: path.stat().st_mtime_ns for path in shelf.cache.rglob("*.*")}
    shelf.make_apart("drips", RATE)
    here = Library(tmp_path / "data", tmp_path / "other").load("drips", RATE)
    there = shelf.load("drips", RATE)
    np.testing.assert_array_equal(there.samples, here.samples)
    assert {p: p.stat().st_mtime_ns for p in shelf.cache.rglob("*.*")} == written


def test_who_asks_does_not_hold_the_memory_of_it(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from effects.shelf.library import Library
from tests.support.memory import own_mb
shelf = Library(Path({str(tmp_path)!r}) / "data", Path({str(tmp_path)!r}) / "cache")
before = own_mb()
shelf.make_apart("wind", {RATE})
loop = shelf.load("wind", {RATE})
assert loop.samples.any()
print(own_mb() - before)
"""
    done = python(code, home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < MOST_MB


def test_what_cannot_be_made_there_is_told_by_who_loads_it(
    shelf: Library, tmp_path: Path
) -> None:
    shelf.make_apart("no-such", RATE)
    with pytest.raises(InputError, match="no such effect"):
        shelf.load("no-such", RATE)
    shelf.folder.mkdir(parents=True)
    (shelf.folder / "broken.json").write_text('{"version": 1, "seconds": 4.0}')
    (shelf.folder / "broken.flac").write_bytes(b"no sound")
    shelf.make_apart("broken", RATE)
    with pytest.raises(InputError, match="add it again"):
        shelf.load("broken", RATE)
    (tmp_path / "file").touch()
    blocked = Library(shelf.folder, tmp_path / "file" / "cache")
    blocked.make_apart("drips", RATE)
    assert blocked.load("drips", RATE).samples.any()


def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from effects.shelf.library import Library
Library(Path({str(tmp_path)!r}) / "d", Path({str(tmp_path)!r}) / "c").make_apart(
    "wind", 48_000
)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(tmp_path / "home")
    )
    deadline = time.monotonic() + 20.0
    while not (children := psutil.Process(parent.pid).children()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    _, left = psutil.wait_procs(children, timeout=5.0)
    assert not left
