"""`latent play` on a null sink for a long time, and its replay beside its recording."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.support.command import latent
from tests.support.playing import playing
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
            before = _resident_mb(player.process.pid)
            status = player.wait(seconds + SLACK_S)
    (journal,) = (folder / "state" / "journals").glob("*.jsonl")
    done = latent("replay", journal, replayed, home=folder)
    segments = [recording, *sorted(folder.glob("soak-[0-9]*.flac"))]
    different = n_different(segments, replayed)
    return (
        f"{player.lines[-1]}; exit {status}; {before:.0f} MB at the start; replay "
        f"(exit {done.returncode}) differs from the recording in {different} samples"
    )


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


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return 1e-6 * pages * os.sysconf("SC_PAGE_SIZE")
