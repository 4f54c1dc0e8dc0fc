"""`latent play` on a null sink for a long time, and its replay beside its recording."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.support.command import latent
from tests.support.memory import own_mb
from tests.support.playing import Player, playing
from tests.support.virtual_audio import VirtualAudio

SLACK_S = 900.0  # for the start, and for a machine that is busy


def play_for(hours: float, folder: Path) -> str:
    """Play, record, render again, and say what was found.

    Args:
        hours: that it plays.
        folder: for all its files.
    """
    recording, replayed = folder / "soak.flac", folder / "again.flac"
    seconds = 3600.0 * hours
    with VirtualAudio() as device:
        asked = ["--minutes", f"{seconds / 60.0:.4f}", "--record", recording]
        sound = {**device.env, "LATENT_HOME": str(folder)}
        with playing(*asked, home=folder, env=sound) as player:
            held = _watched(player, seconds)
            status = player.wait()
    (journal,) = (folder / "state" / "journals").glob("*.jsonl")
    n_concealed = sum('"conceal"' in row for row in journal.read_text().splitlines())
    limit_s = 0.5 * seconds + SLACK_S
    done = latent("replay", journal, replayed, home=folder, limit_s=limit_s)
    segments = [recording, *sorted(folder.glob("soak-[0-9]*.flac"))]
    different = n_different(segments, replayed)
    return (
        f"{player.lines[-1]}; {n_concealed} turns to the concealment and back; exit "
        f"{status}; memory without files {held[len(held) // 10]:.0f} MB after a tenth, "
        f"{held[-1]:.0f} MB at the end, {max(held):.0f} MB at most; replay (exit "
        f"{done.returncode}) differs from the recording in {different} samples"
    )


def _watched(player: Player, seconds: float) -> list[float]:
    """Memory of a session in MB, again and again until it ends.

    Raises:
        AssertionError: it does not end.
    """
    held: list[float] = []
    deadline = time.monotonic() + seconds + SLACK_S
    while player.process.poll() is None:
        assert time.monotonic() < deadline, player.said
        held.append(own_mb(player.process.pid) or held[-1])
        time.sleep(min(10.0, seconds / 100.0))
    return held


def n_different(segments: Sequence[Path], whole: Path) -> int:
    """Samples in which a recording differs from a file, or by which one is longer.

    Args:
        segments: of the recording, in order: each holds an hour at most.
        whole: the file.
    """
    n: int = 0
    n_recorded = 0
    with soundfile.SoundFile(whole) as other:
        for segment in segments:
            with soundfile.SoundFile(segment) as one:
                n_recorded += int(one.frames)
                while len(block := one.read(1 << 20, dtype="int32", always_2d=True)):
                    beside = other.read(len(block), dtype="int32", always_2d=True)
                    shared = min(len(block), len(beside))
                    differ = np.any(block[:shared] != beside[:shared], axis=1)
                    n += int(np.count_nonzero(differ))
        return n + abs(n_recorded - int(other.frames))
