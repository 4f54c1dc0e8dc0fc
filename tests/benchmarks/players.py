"""Players beside a session's own recording: what each decodes of each stream.

Run as `bin/bench players [--seconds S]`: a headless session is recorded, and played for
S seconds (30) by curl, ffmpeg, mpv, VLC and Chromium, in MP3, Opus and FLAC, all at
once. Each decoded stream is put beside the recording. After a quarter of the time the
next song begins: mpv and VLC must show its title, and its cover must load. Ends with 1
if a limit is not kept.
"""

import argparse
import json
import os
import re
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from rich.console import Console
from rich.table import Table

from effects.audio.levels import Samples
from engine.osc.client import OscClient
from tests.support import audio
from tests.support.players import RATE, Played, play_everywhere
from tests.support.playing import Player, playing
from tests.support.streams import fetch, open_folder, wait_until

EDGES_HZ = 100.0 * 2.0 ** (np.arange(21) / 3.0)  # thirds of octaves to 10 kHz
MOST_DB = 1.0  # by which such a band of a lossy stream may differ
SOFTEST_DB = -60.0  # softer bands, against the loudest, are left out
SETTLED_S = 2.0  # of what was decoded, for decoders and resamplers to settle
BLOCK_S = 3.0  # of sound that is compared at once
LOSSLESS = ("curl", "ffmpeg", "mpv")  # the others resample to the clock of a device
ALIGNED_S = 4  # that are looked for in the recording
THINNED = 8  # samples of which one counts at first: where the part is, about
LEAST = 0.8  # of the time, that each player has to have decoded


@dataclass(frozen=True)
class Evening:
    """A session that was played to all players.

    Attributes:
        recording: of it, shape (n, 2).
        played: by all players.
        titles: of its first two songs.
        has_cover: whether a picture of the second was there.
        ended: the session's last line.
    """

    recording: Samples
    played: list[Played]
    titles: tuple[str, str]
    has_cover: bool
    ended: str


def spend(folder: Path, seconds: float) -> Evening:
    """Play a session to all players while it is recorded."""
    home, file = folder / "home", folder / "session.flac"
    asked = ["--seed", 11, "--serve", 0, "--record", file]
    with playing(*asked, home=home) as player:
        port = port_of(player)
        time.sleep(6.0)
        first = str(now(port)["title"])
        asks = OscClient("127.0.0.1", player.osc)

        def position() -> float:
            return float(asks.ask(["status"])["status"][1])

        turn = threading.Timer(seconds / 4.0, lambda: asks.send("next"))
        turn.start()
        url = f"http://127.0.0.1:{port}/stream."
        played = play_everywhere(url, seconds, folder, position)
        turn.join()
        wait_until(lambda: now(port)["title"] != first, 20.0, "another song")
        second = str(now(port)["title"])
        with fetch(port, "/cover.png") as answer:
            has_cover = answer.read().startswith(b"\x89PNG")
        player.stop()
    recording, rate = audio.load(file)
    assert rate == RATE
    return Evening(recording, played, (first, second), has_cover, player.lines[-1])


def port_of(player: Player) -> int:
    """The TCP port that a session serves on."""
    found = re.search(r"serving http://127\.0\.0\.1:(\d+)/", player.said)
    assert found is not None, player.said
    return int(found[1])


def now(port: int) -> dict[str, object]:
    """What a session says it plays."""
    with fetch(port, "/now.json") as answer:
        found: dict[str, object] = json.load(answer)
    return found


@dataclass(frozen=True)
class Likeness:
    """How what a player decoded compares with the recording.

    Attributes:
        n_blocks: blocks of three seconds that were compared.
        n_equal: of these, those that are equal sample for sample.
        jumps: between blocks that do not lie one after the other in the recording.
        band_db: greatest difference of a third of an octave over all blocks.
    """

    n_blocks: int
    n_equal: int
    jumps: int
    band_db: float


def likeness(samples: Samples, recording: Samples) -> Likeness:
    """Compare block by block, each where it is found in the recording."""
    sounding = np.flatnonzero(np.any(samples != 0.0, axis=1))
    samples = samples[sounding[0] + round(SETTLED_S * RATE) : -RATE // 2]
    n, at = round(BLOCK_S * RATE), place_of(samples[: ALIGNED_S * RATE], recording)
    blocks, equal, jumps = 0, 0, 0
    powers = np.zeros((2, len(EDGES_HZ) - 1))
    for begin in range(0, len(samples) - n, n):
        part = samples[begin : begin + n]
        first = max(0, at - RATE)
        window = recording[first : at + n + RATE]
        if len(window) < n + RATE:
            break
        found = first + audio.align(window, part, len(window) - n)
        jumps += found != at
        expected = recording[found : found + n]
        at = found + n
        blocks, equal = blocks + 1, equal + int(np.array_equal(part, expected))
        powers += [band_powers(part), band_powers(expected)]
    levels = 10.0 * np.log10(powers + 1e-20)
    loud = levels[1] > levels[1].max() + SOFTEST_DB
    worst = float(np.max(np.abs(levels[0] - levels[1])[loud])) if blocks else np.inf
    return Likeness(blocks, equal, jumps, worst)


def place_of(part: Samples, recording: Samples) -> int:
    """The sample of a recording at which a part of it begins."""
    whole, piece = recording[::THINNED], part[::THINNED]
    near = THINNED * audio.align(whole, piece, len(whole) - len(piece) - 1)
    first = max(0, near - 4 * THINNED)
    window = recording[first : near + len(part) + 4 * THINNED]
    return first + audio.align(window, part, len(window) - len(part))


def band_powers(samples: Samples) -> np.ndarray:
    """Power of thirds of octaves."""
    power = np.sum(np.abs(np.fft.rfft(samples, axis=0)) ** 2, axis=1)
    hertz = np.fft.rfftfreq(len(samples), 1.0 / RATE)
    return np.add.reduceat(power, np.searchsorted(hertz, EDGES_HZ))[:-1]


def row(played: Played, evening: Evening, seconds: float) -> tuple[list[str], bool]:
    """One line of the table, and whether its limits are kept."""
    length = len(played.samples) / RATE
    if length < LEAST * seconds:
        return [
            played.player,
            played.format,
            f"{length:.1f}",
            "-",
            "-",
            "-",
            "-",
        ], False
    found = likeness(played.samples, evening.recording)
    shows = played.player in ("mpv", "vlc")
    missed = [title for title in evening.titles if shows and title not in played.said]
    is_kept = not missed and found.band_db < MOST_DB
    if played.format == "flac" and played.player in LOSSLESS:
        is_kept = is_kept and found.n_equal == found.n_blocks
    told = (", ".join(missed) + " MISSED" if missed else "both") if shows else "-"
    equal = f"{found.n_equal} of {found.n_blocks}"
    cells = [f"{length:.1f}", equal, str(found.jumps), f"{found.band_db:.2f}", told]
    return [played.player, played.format, *cells], is_kept


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    with open_folder() as folder:
        found = spend(folder, given.seconds)
        rows = [row(each, found, given.seconds) for each in found.played]
    columns = ("player", "format", "s", "equal", "jumps", "worst third, dB", "titles")
    table = Table(*columns, title=f"{given.seconds:g} s beside the session's recording")
    for cells, is_kept in rows:
        table.add_row(*cells, style="" if is_kept else "red")
    console = Console()
    console.print(table)
    console.print(f"songs: {', '.join(found.titles)}; cover: {found.has_cover}")
    console.print(found.ended)
    sys.exit(int(not (found.has_cover and all(is_kept for _, is_kept in rows))))


if __name__ == "__main__":
    main()
