"""Processes that are killed while they record, and what is left of the recording."""

import mmap
import os
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from effects.audio.levels import Samples
from engine.recording.recorder import Recorder
from engine.recording.recovery import find_unfinished, repair_all

RATE = 44_100
BLOCK = 512
PACE = 2.0  # times real time
MOST_LOST_S = 0.5
N_KILLS = 50
AT_ONCE = 5


def music(start: int, n_samples: int) -> Samples:
    """A signal known at every sample: a hash of its number, on the grid of 24 bits."""
    number = np.arange(start, start + n_samples, dtype=np.uint64)
    hashed = (number * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(44)
    left = hashed.astype(np.float64) - 2**19
    return (np.stack([left, -left[:]], axis=1) / 2**23).astype(np.float32)


def play_until_killed(folder: Path, given: mmap.mmap) -> None:
    """Record at `PACE`, saying in shared memory how far the tap has been given."""
    recorder = Recorder(folder / "set.flac", RATE, reserve_bytes=0, segment_seconds=0.7)
    recorder.start()
    position = 0
    while True:
        # A device asks for block after block and makes up for no lost time.
        time.sleep(BLOCK / (PACE * RATE))
        recorder.tap.write(music(position, BLOCK))
        position += BLOCK
        given[:8] = struct.pack("<q", position)


def start_child(folder: Path, given: mmap.mmap) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            play_until_killed(folder, given)
        finally:
            os._exit(3)  # it is not to come back: only a kill ends it
    return pid


def all_samples(folder: Path) -> NDArray[np.float32]:
    # Sorted by number: "set.flac" comes before "set-0002.flac".
    paths = sorted(folder.glob("*.flac"), key=lambda path: (len(path.name), path.name))
    assert paths
    for path in paths:
        command = ["flac", "-t", "-s", str(path)]
        done = subprocess.run(command, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
    parts = [soundfile.read(p, dtype="float32", always_2d=True)[0] for p in paths]
    return np.concatenate(parts)


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one, so that others' disk use is no matter."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_killed_at_any_moment_under_half_a_second_is_lost(memory_path: Path) -> None:
    rng = np.random.default_rng(11)
    lost = []
    for _ in range(N_KILLS // AT_ONCE):
        children = []
        for _ in range(AT_ONCE):
            folder = Path(tempfile.mkdtemp(dir=memory_path))
            given = mmap.mmap(-1, 8)
            children.append((start_child(folder, given), folder, given))
        for pid, folder, given in children:
            while struct.unpack("<q", given[:8])[0] < MOST_LOST_S * RATE:
                time.sleep(0.005)
            time.sleep(rng.uniform(0.0, 0.2))
            assert find_unfinished(folder) == [], "its writer lives"
            os.kill(pid, signal.SIGKILL)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        for _, folder, given in children:
            repair_all(folder)
            assert find_unfinished(folder) == []
            kept = all_samples(folder)
            np.testing.assert_array_equal(kept, music(0, len(kept)))
            lost.append((struct.unpack("<q", given[:8])[0] - len(kept)) / RATE)
    assert len(lost) == N_KILLS
    assert 0.0 < max(lost) <= MOST_LOST_S, f"lost {max(lost):.3f} s"
