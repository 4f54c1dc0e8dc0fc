"""Many files into a corpus: time, memory, a kill on the way, and a second run.

Run as `bin/bench corpus [N]`: N short songs, 2,000 by default, one in twenty no sound.
`corpus add` is killed twice on the way, goes on to the end, and is run again.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from model.corpus.corpus import MANIFEST
from tests.support.command import ROOT, environment
from tests.support.music_files import song, write

SECONDS = 15.0  # of a song
RATE = 24_000
BROKEN_EVERY = 20
KILLED_AT = (0.3, 0.6)  # share of the songs that are in the corpus then
POLL_S = 0.5


@dataclass
class Run:
    """What a run of `corpus add` took."""

    seconds: float
    cpu_s: float
    peak_mb: list[float]  # own memory of the largest process, by quarters of the run
    rc: int


def main() -> None:
    """Make the files, add them, and print."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory(prefix="latent-corpus-") as folder:
        home, music = Path(folder) / "home", Path(folder) / "music"
        _make(music, n)
        table = Table("run", "s", "CPU s", "MB at most, by quarters", "exit", "clips")
        for name, until in (
            *((f"killed at {share:.0%}", round(share * n)) for share in KILLED_AT),
            ("to its end", None),
            ("again", None),
        ):
            run = _add(home, music, until)
            memory = " ".join(f"{mb:.0f}" for mb in run.peak_mb)
            clips = len(_rows(home))
            table.add_row(
                name,
                f"{run.seconds:.1f}",
                f"{run.cpu_s:.1f}",
                memory,
                str(run.rc),
                str(clips),
            )
        Console().print(table)
        songs = {row["path"] for row in _rows(home)}
        Console().print(f"{len(songs)} of {n - -(-n // BROKEN_EVERY)} songs gave clips")


def _make(folder: Path, n: int) -> None:
    rng = np.random.default_rng(1)
    for number in range(n):
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % BROKEN_EVERY == 0:
            path.write_bytes(rng.bytes(2000))
        else:
            write(path, song(SECONDS, RATE, seed=number), RATE)


def _add(home: Path, music: Path, until: int | None) -> Run:
    """Run `corpus add`; kill it when so many songs are in, if that is asked."""
    command = [sys.executable, "-m", "engine.cli", "corpus", "add", str(music)]
    began, peaks, cpu = time.monotonic(), list[float](), 0.0
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        whole = psutil.Process(process.pid)
        while process.poll() is None:
            all_of_it = _family(whole)
            peaks.append(max((_own_mb(p) for p in all_of_it), default=0.0))
            cpu = max(cpu, sum(_cpu_s(p) for p in all_of_it))
            if until is not None and len({r["path"] for r in _rows(home)}) >= until:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                psutil.wait_procs(all_of_it[1:], timeout=20.0)
            time.sleep(POLL_S)
    parts = np.array_split(np.array(peaks), 4)
    quarters = [float(part.max()) for part in parts if len(part)]
    return Run(time.monotonic() - began, cpu, quarters, process.returncode)


def _family(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _own_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().uss) / 2**20
    except psutil.Error:
        return 0.0


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _rows(home: Path) -> list[dict[str, object]]:
    """Rows of the manifest, of which the last may be half written."""
    found = list(home.rglob(MANIFEST))
    if not found:
        return []
    lines = found[0].read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines if line]


if __name__ == "__main__":
    main()
