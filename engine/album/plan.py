"""The plan of an album, and the file that keeps it: which songs, made from what.

A folder of an album holds

    album.json       plan, and a row for each song that is done
    001.flac ...     songs, with 001.card and 001.png beside them
    aside/           those that the gate set aside, likewise
    skim.flac        some six seconds of each
    decisions.jsonl  what was decided in review
    album/           the finished album
    .work/           what is being made, and what more songs need of those done
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from effects.base.errors import InputError, RunError
from engine.compose import preset as presets
from engine.control.controls import snapshot_of
from engine.control.harmony import KEYS
from engine.graph import RENDER_RATE, Settings

FORMAT = "latent-album"
FORMAT_VERSION = 1
STATE = "album.json"
SONGS = (1, 999)
MINUTES = (0.05, 20.0)  # a song is held in memory while it is measured
FIFTHS_AROUND = 2  # songs leave their preset's key by so many fifths at most
BRIGHTNESS_AROUND = 0.25  # and its brightness by so much ranking weight

_FIFTH = 7  # semitones


@dataclass(frozen=True)
class Plan:
    """What an album is made from.

    Attributes:
        seed: of everything random.
        songs: how many are made, those set aside included.
        minutes: length of each.
        presets: names, taken in turn.
        effects: whether there is a bed.
        model: folder, or None for the bundled one.
        model_hash: of the model that its songs are made with; empty until one is.
        like: point that all sounds lie near, see `compose.likeness`; or nothing.
    """

    seed: int
    songs: int
    minutes: float
    presets: tuple[str, ...]
    effects: bool = True
    model: str | None = None
    model_hash: str = ""
    like: str = ""


def check(plan: Plan) -> Plan:
    """The plan, if it can be made.

    Raises:
        InputError: it cannot.
    """
    if not SONGS[0] <= plan.songs <= SONGS[1]:
        raise InputError(
            f"--songs {plan.songs}: choose from {SONGS[0]} to {SONGS[1]} songs"
        )
    if not MINUTES[0] <= plan.minutes <= MINUTES[1]:
        raise InputError(
            f"--minutes {plan.minutes:g}: choose from {MINUTES[0]} to {MINUTES[1]:g}"
        )
    for name in plan.presets:
        presets.load(name)
    return plan


def song_preset(plan: Plan, number: int) -> str:
    """Preset of song `number`, counted from 1."""
    return plan.presets[(number - 1) % len(plan.presets)]


def song_settings(plan: Plan, number: int) -> Settings:
    """Settings of song `number`: of its preset, in a key and a light of its own.

    Each depends on the plan's seed and its number alone, so that an album may be
    lengthened, and made in any order.
    """
    preset = presets.load(song_preset(plan, number))
    rng = np.random.default_rng([plan.seed, number])
    values: dict[str, Any] = dict(preset.controls)
    home = KEYS.index(str(values.get("tuning/key", "D")))
    away = int(rng.integers(-FIFTHS_AROUND, FIFTHS_AROUND + 1))
    values["tuning/key"] = KEYS[(home + _FIFTH * away) % len(KEYS)]
    light = float(rng.uniform(-BRIGHTNESS_AROUND, BRIGHTNESS_AROUND))
    values["rank/brightness"] = round(
        float(values.get("rank/brightness", 0.0)) + light, 3
    )
    values["song/minutes"] = max(0.5, plan.minutes)  # one song a file
    return Settings(
        seed=int(rng.integers(2**31)),
        sample_rate=RENDER_RATE,
        duration=60.0 * plan.minutes,
        controls=snapshot_of(values),
        model=None if plan.model is None else Path(plan.model),
        effects=preset.effects if plan.effects else None,
        like=plan.like,
    )


def file_name(number: int) -> str:
    """Stem of the files of song `number`."""
    return f"{number:03d}"


def read_state(folder: Path) -> tuple[Plan, dict[int, dict[str, Any]]]:
    """Plan and rows of an album.

    Raises:
        InputError: there is none, or its file is damaged.
    """
    path = folder / STATE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        if state["format"] != FORMAT or state["version"] != FORMAT_VERSION:
            raise InputError(f"{path}: not an album of this version of latent")
        plan = Plan(**{**state["plan"], "presets": tuple(state["plan"]["presets"])})
        return plan, {int(row["number"]): row for row in state["songs"]}
    except FileNotFoundError:
        raise InputError(
            f"{folder}: holds no album; make one with 'latent album make {folder}'"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged ({error})") from error


def write_state(
    folder: Path, plan: Plan, rows: Mapping[int, Mapping[str, Any]]
) -> None:
    """Write plan and rows, whole or not at all.

    Raises:
        RunError: the file could not be written.
    """
    state = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "plan": asdict(plan),
        "songs": [rows[number] for number in sorted(rows)],
    }
    write_text(folder / STATE, json.dumps(state, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a small file, whole or not at all.

    Raises:
        RunError: it could not be written.
    """
    part: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".latent-")
        part = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(part, 0o644)
        os.replace(part, path)
    except OSError as error:
        if part is not None:
            part.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot be written ({error.strerror})") from error
