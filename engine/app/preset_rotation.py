"""Presets that follow one another while it plays: moods by the clock."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.app.session_commands import SessionCommands
from engine.compose import preset as presets
from engine.control.controls import CONTROLS, Controls, Value

GLIDE_S = 12.0  # in which gains, tilt and width go over to the next preset
STEP_S = 0.25


@dataclass(frozen=True)
class Rotation:
    """Which presets follow one another, and for how long each.

    Attributes:
        presets: names, the first for the start; after the last, the first again.
        every_s: seconds of each.
    """

    presets: tuple[str, ...]
    every_s: float


class PresetRotation:
    """Loads the next preset when its time has come.

    What is heard at once (gains, tilt, width) glides there; a new song, composed under
    the preset, fades in meanwhile.

    Args:
        rotation: of presets.
        commands: of the session.
        controls: of the session.
    """

    def __init__(
        self, rotation: Rotation, commands: SessionCommands, controls: Controls
    ) -> None:
        self._rotation, self._commands = rotation, commands
        self._controls = controls
        self._number = 0  # of the preset that plays, counted from the start
        self._begun_at = 0.0  # seconds, of the glide
        self._stepped_at = 0.0
        self._glide: Mapping[str, tuple[float, float]] = {}  # from, to

    def poll(self, seconds: float) -> None:
        """The session's thread: go on; `seconds` were played so far."""
        number = int(seconds / self._rotation.every_s)
        if number > self._number:
            self._number = number
            self._begin(seconds)
        if self._glide and seconds - self._stepped_at >= STEP_S:
            self._step(seconds)

    def _begin(self, seconds: float) -> None:
        """Load the preset, but for what glides, and ask for a new song."""
        names = self._rotation.presets
        name = names[self._number % len(names)]
        before = self._controls.snapshot
        target = presets.load(name).controls
        self._glide = {
            key: (float(before[key]), float(value))
            for key, value in target.items()
            if CONTROLS[key].acts == "block" and CONTROLS[key].is_number
        }
        kept: dict[str, Value] = {key: pair[0] for key, pair in self._glide.items()}
        self._begun_at = self._stepped_at = seconds
        self._commands.load_preset(name, kept)
        self._commands.command("next")

    def _step(self, seconds: float) -> None:
        self._stepped_at = seconds
        share = min(1.0, (seconds - self._begun_at) / GLIDE_S)
        self._controls.update(
            {key: a + share * (b - a) for key, (a, b) in self._glide.items()}
        )
        if share >= 1.0:
            self._glide = {}
