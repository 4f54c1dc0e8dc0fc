"""The state of a desktop media player, from the status of a session."""

import math
from dataclasses import dataclass

from effects.audio.levels import amplitude_to_db, db_to_amplitude
from engine.control.controls import Snapshot, Value
from engine.control.status import SessionStatus

TRACK = "/org/latent/song/"
# Loudness changes evenly along a slider whose cube is the amplitude.
CURVE = 3.0


@dataclass(frozen=True)
class PlayerState:
    """Values of the D-Bus properties of a player.

    Attributes:
        status: `Playing` or `Paused`.
        volume: 0 silent, 1 for 0 dB.
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


def state_of(status: SessionStatus, controls: Snapshot) -> PlayerState:
    """Return the state of a player that shows this status."""
    song = status.song
    return PlayerState(
        status="Paused" if status.is_paused else "Playing",
        volume=volume_of(controls),
        track=f"{TRACK}{song.number + 1 if song else 1}",
        title=song.title if song else "Latent",
        album=status.preset,
        length=round(1e6 * song.length) if song else 0,
        position=round(1e6 * song.seconds) if song else 0,
    )


def volume_of(controls: Snapshot) -> float:
    """Return the position of a volume slider: 0 muted, 1 at 0 dB.

    >>> round(volume_of({"master/mute": False, "master/gain": -18.0}), 2)
    0.5
    """
    if controls["master/mute"]:
        return 0.0
    return float(db_to_amplitude(float(controls["master/gain"])) ** (1.0 / CURVE))


def controls_at(volume: float) -> dict[str, Value]:
    """Return the controls to set for a position of the slider, 0 and up.

    Below 0 counts as 0; nothing is set for a position that is not finite.
    """
    if not math.isfinite(volume):
        return {}
    if volume <= 0.0:
        return {"master/mute": True}
    gain_db = CURVE * amplitude_to_db(volume)
    return {"master/mute": False, "master/gain": gain_db}
