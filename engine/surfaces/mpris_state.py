"""What a media player shows on the desktop, from the readings of a session."""

import math
from dataclasses import dataclass

from effects.audio.levels import amplitude_to_db, db_to_amplitude
from engine.control.commands import Status
from engine.control.controls import Snapshot, Value

TRACK = "/org/latent/song/"
# Sliders of desktops feel even when loudness follows the cube of their position.
CURVE = 3.0


@dataclass(frozen=True)
class PlayerState:
    """Values of the D-Bus properties.

    Attributes:
        status: `Playing` or `Paused`.
        volume: 0 silent, 1 as made.
        track: object path of the song.
        title: of the song.
        album: the preset it was composed from.
        length: of the song in microseconds.
        position: in the song, microseconds.
    """

    status: str
    volume: float
    track: str
    title: str
    album: str
    length: int
    position: int


def state_of(status: Status, controls: Snapshot) -> PlayerState:
    """What is shown of these readings."""
    return PlayerState(
        status="Playing" if status.get("playing", True) else "Paused",
        volume=volume_of(controls),
        track=f"{TRACK}{max(0, round(_number(status, 'song/number'))) + 1}",
        title=str(status.get("song/title", "Latent")),
        album=str(status.get("preset/name", "")),
        length=round(1e6 * _number(status, "song/length")),
        position=round(1e6 * _number(status, "song/seconds")),
    )


def volume_of(controls: Snapshot) -> float:
    """Position of a volume slider: 0 muted, 1 at 0 dB.

    >>> round(volume_of({"master/mute": False, "master/gain": -18.0}), 2)
    0.5
    """
    if controls["master/mute"]:
        return 0.0
    return float(db_to_amplitude(float(controls["master/gain"])) ** (1.0 / CURVE))


def controls_at(volume: float) -> dict[str, Value]:
    """Controls to set for a position of the slider; below 0 counts as 0."""
    if not math.isfinite(volume):
        return {}
    if volume <= 0.0:
        return {"master/mute": True}
    gain_db = CURVE * amplitude_to_db(volume)
    return {"master/mute": False, "master/gain": gain_db}


def _number(status: Status, key: str) -> float:
    value = status.get(key, 0.0)
    return float(value) if isinstance(value, bool | int | float) else 0.0
