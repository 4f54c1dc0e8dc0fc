"""How fast albums are made.

Run as `bin/bench albums [SONGS]`: 8 songs of 4 minutes with bed, card and picture, on
all cores, after one that makes the loops; half a minute.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("LATENT_HOME", tempfile.mkdtemp(prefix="latent-bench-"))

from rich.console import Console
from rich.table import Table

from engine.album.make import MadeAlbum, make
from engine.album.plan import AlbumPlan
from engine.compose.preset import DEFAULT_PRESET
from tests.support.kept_figures import Figure, keep

MINUTES = 4.0


def made(songs: int, minutes: float = MINUTES) -> MadeAlbum:
    """An album that is made, with all cores, and removed again."""
    plan = AlbumPlan(seed=1, songs=songs, minutes=minutes, presets=(DEFAULT_PRESET,))
    with tempfile.TemporaryDirectory() as folder:
        return make(Path(folder) / "album", plan, workers=os.cpu_count() or 1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("songs", nargs="?", type=int, default=8)
    songs = parser.parse_args().songs
    made(1)  # so that all loops are there
    album = made(songs)
    cores = os.cpu_count() or 1
    took = sum(row.took_s for row in album.rows) / len(album.rows)
    figures = [
        Figure("album, all cores together", album.speed, "x real time", True),
        Figure("a song of 4 min", took, "s"),
    ]
    table = Table("albums", "measured", title=f"{songs} songs, {cores} cores")
    for figure in figures:
        table.add_row(figure.name, str(figure))
    console = Console()
    console.print(table)
    console.print(f"load {os.getloadavg()[0]:.1f} on {cores} cores")
    keep("albums", figures, console)


if __name__ == "__main__":
    main()
