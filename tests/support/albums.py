"""Folders as `latent album make` leaves them, without the time that it takes."""

from pathlib import Path

import numpy as np
import soundfile as sf

from effects.audio.levels import Samples
from engine.album.plan import AlbumPlan
from engine.album.state import Measures, SongRow, write_state

SAMPLE_RATE = 44_100
KEYS = ("D dorian", "A dorian", "G dorian", "E dorian", "C dorian")


def planted_album(
    folder: Path, songs: int = 3, seconds: float = 1.0, aside: int = 0
) -> list[Samples]:
    """An album of planted songs, the last of them set aside.

    Args:
        folder: created.
        songs: how many.
        seconds: length of the first; each is a little longer than the one before.
        aside: how many of them.

    Returns:
        Their samples.
    """
    rng = np.random.default_rng(7)
    (folder / ".work").mkdir(parents=True)
    (folder / "aside").mkdir()
    rows = {}
    made = []
    for number in range(1, songs + 1):
        is_aside = number > songs - aside
        name = f"{'aside/' if is_aside else ''}{number:03d}"
        n = round(seconds * SAMPLE_RATE) + 137 * number
        samples = rng.uniform(-0.9 * number / songs, 0.9 * number / songs, (n, 2))
        sf.write(folder / f"{name}.flac", samples, SAMPLE_RATE, subtype="PCM_24")
        made.append(sf.read(folder / f"{name}.flac", dtype="float32")[0])
        text = f'latent seed {number}\n{{"card": 2, "seed": {number}}}\n'
        (folder / f"{name}.card").write_text(text)
        timbres = rng.uniform(0.0, 0.8, (8, 103)).astype(np.float32)
        np.save(folder / ".work" / f"{number:03d}.npy", timbres)
        measures = Measures(
            lufs=-18.0,
            clip_lufs=-14.0,
            weirdness=5.0,
            spread_db=5.0,
            treble_db=-20.0,
            roughness=0.1,
            brightness=2.0 + (number * 0.37) % 1.0,
        )
        rows[number] = SongRow(
            number=number,
            status="aside" if is_aside else "done",
            reasons=("too loud: -9.0 LUFS, over -15.5",) if is_aside else (),
            seed=100 + number,
            preset="dark",
            key=KEYS[number % len(KEYS)],
            pattern="ABABE",
            measures=measures,
        )
    plan = AlbumPlan(seed=4, songs=songs, minutes=0.05, presets=("dark",))
    write_state(folder, plan, rows)
    return made
