"""Players beside a session's own recording: what each decodes of each stream.

Run as `bin/bench players [--seconds S]`: a headless session is recorded, and played for
S seconds (30) by curl, ffmpeg, mpv, VLC and Chromium, in MP3, Opus and FLAC, all at
once, and beside them a FLAC file by Chromium, which shows what it loses itself. Each
decoded stream is put beside the recording. After a quarter of the time the next song
begins: mpv and VLC must show its title, and its cover must load. Ends with 1 if a limit
is not kept.
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

from rich.console import Console
from rich.table import Table

from effects.audio.levels import Samples
from engine.osc.client import OscClient
from tests.support import audio
from tests.support.chromium_sound import FILE, file_sound
from tests.support.likeness import Likeness, likeness
from tests.support.players import RATE, Played, play_everywhere
from tests.support.playing import Player, playing
from tests.support.streams import fetch, open_folder
from tests.support.waiting import wait_until

MOST_DB = 1.0  # by which such a band of a lossy stream may differ
LOSSLESS = ("curl", "ffmpeg", "mpv")  # the others resample to the clock of a device
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


def compared(played: Played, evening: Evening, seconds: float) -> Likeness | None:
    """How what was played compares with the recording; None if it is too little."""
    if len(played.samples) < LEAST * seconds * RATE:
        return None
    is_file = played.format == FILE
    sound = file_sound(seconds) if is_file else evening.recording
    return likeness(played.samples, sound)


def row(
    played: Played, found: Likeness | None, evening: Evening, most_jumps: int
) -> tuple[list[str], bool]:
    """One line of the table, and whether its limits are kept."""
    length = f"{len(played.samples) / RATE:.1f}"
    if found is None:
        return [played.player, played.format, length, "-", "-", "-", "-"], False
    shows = played.player in ("mpv", "vlc")
    missed = [title for title in evening.titles if shows and title not in played.said]
    is_kept = not missed and found.band_db < MOST_DB and found.jumps <= most_jumps
    if played.format == "flac" and played.player in LOSSLESS:
        is_kept = is_kept and found.n_equal == found.n_blocks
    told = (", ".join(missed) + " MISSED" if missed else "both") if shows else "-"
    equal = f"{found.n_equal} of {found.n_blocks}"
    cells = [length, equal, str(found.jumps), f"{found.band_db:.2f}", told]
    return [played.player, played.format, *cells], is_kept


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    with open_folder() as folder:
        found = spend(folder, given.seconds)
        likenesses = [compared(each, found, given.seconds) for each in found.played]
        # Where Chromium lost some of the file, too, no stream is to blame.
        losses = [
            like.jumps
            for each, like in zip(found.played, likenesses, strict=True)
            if each.format == FILE and like is not None
        ]
        rows = [
            row(each, like, found, sum(losses) if each.player == "chromium" else 0)
            for each, like in zip(found.played, likenesses, strict=True)
        ]
    columns = ("player", "format", "s", "equal", "jumps", "worst third, dB", "titles")
    table = Table(*columns, title=f"{given.seconds:g} s beside the session's recording")
    for cells, is_kept in rows:
        table.add_row(*cells, style="" if is_kept else "red")
    console = Console()
    console.print(table)
    console.print(f"songs: {', '.join(found.titles)}; cover: {found.has_cover}")
    console.print(f"{found.ended}; load {os.getloadavg()[0]:.1f}")
    sys.exit(int(not (found.has_cover and all(is_kept for _, is_kept in rows))))


if __name__ == "__main__":
    main()
