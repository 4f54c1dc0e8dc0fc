"""Composition of one song: choose five sounds, expand, lay out, tune, level.

A song is a pure function of (model, seed, index, grammar, preset, controls): candidate
sounds, pattern, steps and the planes of the wiggler are drawn from streams of their
own, so that turning one control never reshuffles what it does not concern.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from effects.base.streams import Purpose, stream
from engine.compose.centres import Weights
from engine.compose.face import five_sounds
from engine.compose.grammar import Grammar, expand
from engine.compose.loudness_plan import plan_levels
from engine.compose.path import SongPath, lay_out
from engine.compose.reach import song_wiggler
from engine.compose.titles import song_title
from engine.compose.tuning import Transpositions, Tuning, transpositions
from engine.compose.wiggler import Wiggler
from engine.control.controls import Snapshot
from model.inference import TimbreModel
from model.spectrum import brightness_octaves

# What songs differ by, beside their sounds: deviation and most.
TILT_DB, TILT_MOST_DB = 1.9, 3.8  # an octave
NOISE_DB, NOISE_MOST_DB = 2.5, 4.0


@dataclass(frozen=True)
class ComposedSong:
    """Everything that decides a song but its place in time.

    Attributes:
        index: which song of the stream.
        title: of the song, for people.
        duration: seconds.
        path: pattern and times.
        points: latents of A..E, shape (5, n_latents).
        transpositions: of A..E, into the key and to the chords.
        pedal: share of each chord's power that stays on the tonic.
        tilt: of the song's spectrum against the balance of all, dB an octave.
        noise_db: by which its noise is louder beside its tones than as decoded; less
            where tones would be too few, see `cast.noise_gain`.
        wiggler: of this song.
        loudness: of A..E as they are decoded, LUFS, shape (5,).
        levels: of A..E against the song's target, LU, shape (5,).
    """

    index: int
    title: str
    duration: float
    path: SongPath
    points: NDArray[np.float32]
    transpositions: Transpositions
    pedal: float
    tilt: float
    noise_db: float
    wiggler: Wiggler
    loudness: NDArray[np.float64]
    levels: NDArray[np.float64]

    @cached_property
    def waypoints(self) -> NDArray[np.float64]:
        """Latents and, in the last column, levels of A..E, shape (5, n_latents + 1)."""
        return np.column_stack([self.points, self.levels])

    def chords(
        self, shares: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Chords that sound where each of A..E has such a share of the sound.

        Args:
            shares: of A..E, shape (5,).

        Returns:
            Bands by which each of ten chords is moved from the key, and its share:
            those of A..E on their degrees, and on the tonic as a pedal point.
        """
        moves = np.concatenate([self.transpositions.moves, self.transpositions.tonics])
        return moves, np.outer([1.0 - self.pedal, self.pedal], shares).ravel()


def compose(
    model: TimbreModel,
    grammar: Grammar,
    controls: Snapshot,
    *,
    seed: int,
    index: int,
    duration: float,
    fades: tuple[float, float] = (0.0, 0.0),
    like: str = "",
    preset: str = "",
    is_endless: bool = False,
) -> ComposedSong:
    """Song `index` of the stream with this seed, `duration` seconds long.

    Args:
        model: timbre space.
        grammar: of the pattern.
        controls: in force.
        seed: of the stream.
        index: of the song in it.
        duration: seconds.
        fades: seconds over which what sounds is faded at its ends, if the stream
            begins or ends with this song.
        like: point that its sounds lie near, see `likeness`; or nothing.
        preset: name that sounds, pattern and steps depend on beside the seed, so that
            one seed is another song in each.
        is_endless: whether the stream is a radio, in which brightness swings.
    """
    weights = rank_weights(controls)
    sounds = five_sounds(model, seed, index, weights, like, is_endless, preset)
    pattern = song_pattern(grammar, seed, index, preset)
    path = lay_out(pattern, duration, stream(Purpose.SONG_STEPS, seed, index, preset))
    tuning = Tuning.of(controls)
    dynamics = float(controls["dynamics"])
    bright = brightness_octaves(sounds.power, model.axis)
    scale = str(controls["tuning/scale"])
    return ComposedSong(
        index,
        song_title(seed, index, preset, scale, float(bright.mean())),
        duration,
        path,
        sounds.points,
        transpositions(sounds.power, tuning, model.axis),
        tuning.pedal,
        song_tilt(seed, index, preset),
        song_noise_db(seed, index, preset),
        song_wiggler(model, sounds, seed, index),
        sounds.loudness,
        plan_levels(sounds.loudness, path, duration, dynamics, fades),
    )


def song_pattern(grammar: Grammar, seed: int, index: int, preset: str) -> str:
    """Pattern of song `index`, another in each preset but for chance."""
    return expand(grammar, stream(Purpose.SONG_PATTERN, seed, index, preset))


def song_tilt(seed: int, index: int, preset: str) -> float:
    """Spectral tilt of song `index`, dB an octave; positive is brighter."""
    rng = stream(Purpose.SONG_TILT, seed, index, preset)
    return float(np.clip(TILT_DB * rng.standard_normal(), -TILT_MOST_DB, TILT_MOST_DB))


def song_noise_db(seed: int, index: int, preset: str) -> float:
    """By how much the noise of song `index` is louder than as decoded, dB."""
    drawn = NOISE_DB * stream(Purpose.SONG_NOISE, seed, index, preset).standard_normal()
    return float(np.clip(drawn, -NOISE_MOST_DB, NOISE_MOST_DB))


def rank_weights(controls: Snapshot) -> Weights:
    """Weight of each ranking criterion, in the order of the controls."""
    return tuple(
        (name.removeprefix("rank/"), float(value))
        for name, value in controls.items()
        if name.startswith("rank/")
    )
