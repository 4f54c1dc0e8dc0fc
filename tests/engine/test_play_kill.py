"""`latent play --record` when it is killed, and when the disk is full."""

import resource
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support import audio
from tests.support.command import latent
from tests.support.killing import kill_while_recording
from tests.support.osc import Client, oscsend, packet
from tests.support.playing import playing

MOST_LOST_S = 0.5


@pytest.mark.parametrize("seed", [1, 4])  # repaired by `latent recover`, and a start
def test_killed_while_recording_little_is_lost(seed: int, tmp_path: Path) -> None:
    loss = kill_while_recording(tmp_path, "set", np.random.default_rng(seed))
    assert loss.seconds < MOST_LOST_S
    # What is about as quiet as its last bit differs by that at most.
    assert loss.residual_db < -90.0 or loss.steps <= 1.0


SMALL = 210_000_000  # bytes: a little more than a recording leaves free
FILLER = 12_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with just room to record; a plain folder without such rights."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_the_recording_and_not_the_music(small_disk: Path) -> None:
    file = small_disk / "set.flac"
    asked = ["--seed", 5, "--no-effects", "--record", file]
    with playing(*asked, home=small_disk) as player:
        client = Client(player.osc)
        time.sleep(1.5)
        if small_disk.is_mount():
            filler = small_disk / "filler"
            filler.write_bytes(bytes(FILLER))
            player.wait_for("disk full: .* recording stopped; kept .*set.flac", 15.0)
            filler.unlink()
            _wait_until_recording(client, False)
            oscsend(player.osc, "/latent/record/start", "s", "again")
            _wait_until_recording(client, True)
            time.sleep(1.0)
        # A limit on the size of files is met in the middle of a write.
        resource.prlimit(player.process.pid, resource.RLIMIT_FSIZE, (300_000,) * 2)
        player.wait_for("File too large.*recording stopped; kept .*.flac", 15.0)
        _wait_until_recording(client, False)
        before = _uptime(client)
        time.sleep(1.0)
        assert _uptime(client) - before > 0.8, "the music goes on"
        client.close()
        assert player.stop() == 0
    stopped = [line for line in player.lines if "recording stopped" in line]
    files = [Path(line.rpartition("kept ")[2]) for line in stopped]
    assert len(player.lines) == 2 + len(stopped), player.said
    (journal,) = (small_disk / "state" / "journals").glob("*.jsonl")
    for kept in files:
        assert subprocess.run(["flac", "-t", "-s", str(kept)]).returncode == 0
        samples, rate = audio.load(kept)
        first = _first_sample(kept)
        assert len(samples) > 0.5 * rate
        again = kept.with_suffix(".wav")
        span = ["--from", first / rate, "--to", (first + len(samples)) / rate]
        done = latent("replay", journal, again, *span, home=small_disk)
        assert done.returncode == 0, done.stderr
        assert audio.residual_db(samples, audio.load(again)[0]) < -90.0


def _wait_until_recording(client: Client, wanted: bool) -> None:
    deadline = time.monotonic() + 10.0
    recording = not wanted
    while recording is not wanted:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        client.send(packet("/latent/record/active"))
        recording = client.until("/latent/record/active")[1] is True


def _first_sample(file: Path) -> int:
    command = ["metaflac", "--show-tag=LATENT_FIRST_SAMPLE", str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.partition("=")[2])


def _uptime(client: Client) -> float:
    client.send(packet("/latent/status"))
    return float(str(client.until("/latent/status")[2]))
