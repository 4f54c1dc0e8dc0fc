"""The graph of everything that sounds: model, controls, music and bed.

A live session and an offline render build the same graph from the same `Settings`; they
differ only in what reads from it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from effects.bed.ducking import DuckedBed
from engine.compose import grammar as grammars
from engine.compose import likeness
from engine.control.controls import Controls, Snapshot, defaults
from engine.sound.bed import Bed
from engine.sound.music import Music
from model.inference import TimbreModel

TARGET_LUFS = -18.0
BED_HEARD_LUFS = -42.0  # of the bed as it is by default: loops at -30 with less treble
RENDER_RATE = 44_100  # Hz, of files unless another is asked for
LIVE_RATE = 48_000  # Hz, of a session on no device


@dataclass(frozen=True)
class Settings:
    """Everything that decides what is played.

    Attributes:
        seed: of everything random.
        sample_rate: Hz.
        duration: seconds, or None for a radio without end.
        controls: in force at the start.
        model: folder, or None for the bundled one.
        grammar: file or name.
        effects: names of the effects to choose from; empty for all, None for no bed.
        like: point that all sounds lie near, as `compose.likeness` writes it; empty
            for none.
        preset: name of the preset that the controls came from; patterns depend on it
            beside the seed.
        song: of the radio without end that is played alone, with a duration; None for
            a stream from its first song on.
    """

    seed: int
    sample_rate: int = RENDER_RATE
    duration: float | None = None
    controls: Snapshot | None = None
    model: Path | None = None
    grammar: str = "seed"
    effects: tuple[str, ...] | None = ()
    like: str = ""
    preset: str = ""
    song: int | None = None


@dataclass(frozen=True)
class Graph:
    """The parts that make sound, at the beginning of the stream."""

    settings: Settings
    model: TimbreModel
    controls: Controls
    music: Music
    bed: Bed | None

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.settings.sample_rate

    def ducked_bed(self, *, batch: int = 1) -> DuckedBed | None:
        """The bed for a mixer, or None if there is none.

        Args:
            batch: as for `DuckedBed`.
        """
        if self.bed is None:
            return None
        return DuckedBed(self.bed.layers, self.sample_rate, batch=batch)


def build(settings: Settings, model: TimbreModel | None = None) -> Graph:
    """Build the graph of these settings.

    Args:
        settings: of the music and its bed.
        model: the settings' own, where it is loaded already.

    Raises:
        InputError: the model, the grammar, the likeness or an effect cannot be used.
    """
    model = model or TimbreModel.load(settings.model)
    if settings.like:
        likeness.point_of(
            settings.like, model.n_latents
        )  # fails here, not while playing
    controls = Controls(settings.controls or defaults())
    music = Music(
        model,
        grammars.load(settings.grammar),
        controls.snapshot,
        seed=settings.seed,
        sample_rate=settings.sample_rate,
        duration=settings.duration,
        target_lufs=_music_lufs(with_bed=settings.effects is not None),
        like=settings.like,
        preset=settings.preset,
        song=settings.song,
    )
    bed = None
    if settings.effects is not None:
        bed = Bed(
            controls,
            names=settings.effects,
            seed=settings.seed,
            sample_rate=settings.sample_rate,
            n_samples=music.n_samples,
            model=model,
        )
    return Graph(settings, model, controls, music, bed)


def _music_lufs(*, with_bed: bool) -> float:
    """Return the loudness at which music and bed together meet the target, LUFS."""
    if not with_bed:
        return TARGET_LUFS
    power = 10.0 ** (TARGET_LUFS / 10.0) - 10.0 ** (BED_HEARD_LUFS / 10.0)
    return float(10.0 * np.log10(power))
