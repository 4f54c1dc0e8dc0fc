"""Composition of one song: sample, rank, pick five, expand, lay out, level.

A song is a pure function of (model, seed, index, grammar, controls): the pool of
candidate sounds, the pattern, the steps and the wiggler are drawn from generators
of their own, so that turning one control never reshuffles what it does not concern.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from effects.base.streams import Purpose, stream
from engine.compose.features import measure
from engine.compose.grammar import Grammar, expand
from engine.compose.likeness import candidates
from engine.compose.loudness_plan import plan_levels
from engine.compose.path import SYMBOLS, Path, lay_out
from engine.compose.picking import pick
from engine.compose.ranking import rank
from engine.compose.tuning import Plan, point_moves, point_shifts
from engine.compose.wiggler import Wiggler, draw_wiggler
from engine.control.controls import Snapshot
from model.guard import draw_back
from model.inference import TimbreModel

POOL = 384  # candidate sounds a song is picked from


@dataclass(frozen=True)
class Song:
    """Everything that decides a song but its place in time.

    Attributes:
        index: which song of the stream.
        duration: seconds.
        path: pattern and times.
        points: latents of A..E, shape (5, n_latents).
        shifts: bands by which tuning transposes A..E, shape (5,).
        moves: bands by which the chord plan then moves them, shape (5,).
        wiggler: of this song.
        loudness: of A..E as they are decoded, LUFS, shape (5,).
        levels: of A..E against the song's target, LU, shape (5,).
    """

    index: int
    duration: float
    path: Path
    points: NDArray[np.float32]
    shifts: NDArray[np.float64]
    moves: NDArray[np.float64]
    wiggler: Wiggler
    loudness: NDArray[np.float64]
    levels: NDArray[np.float64]

    @cached_property
    def waypoints(self) -> NDArray[np.float64]:
        """Latents and, in the last column, levels of A..E, shape (5, n_latents + 1)."""
        return np.column_stack([self.points, self.levels])


@dataclass(frozen=True)
class Pool:
    """Candidate sounds of one song, decoded and measured once."""

    z: NDArray[np.float32]
    timbres: NDArray[np.float32]
    features: Mapping[str, NDArray[np.float64]]


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
) -> Song:
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
        preset: name that pattern and steps depend on beside the seed, so that one seed
            is another song in each.
    """
    pool = draw_pool(model, seed, index, like)
    scores = rank(pool.features, rank_weights(controls))
    motion = float(controls["rank/motion"])
    rng = stream(Purpose.SONG_PICK, seed, index)
    chosen = pick(scores, pool.timbres, len(SYMBOLS), rng, motion)
    pattern = expand(grammar, stream(Purpose.SONG_PATTERN, seed, index, preset))
    path = lay_out(pattern, duration, stream(Purpose.SONG_STEPS, seed, index, preset))
    power = model.axis.to_power(pool.timbres[chosen])
    plan = Plan.of(controls)
    loudness = pool.features["volume"][chosen]
    levels = plan_levels(loudness, path, duration, float(controls["dynamics"]), fades)
    return Song(
        index,
        duration,
        path,
        pool.z[chosen],
        point_shifts(power, plan, model.axis),
        point_moves(power, plan, model.axis),
        draw_wiggler(model.n_latents, stream(Purpose.SONG_WIGGLE, seed, index)),
        loudness,
        levels,
    )


@lru_cache(maxsize=4)
def draw_pool(model: TimbreModel, seed: int, index: int, like: str = "") -> Pool:
    """The candidates of one song: prior samples, decoded and measured."""
    rng = stream(Purpose.SONG_POOL, seed, index)
    z = guarded(model, candidates(model, like, POOL, rng))
    timbres = model.decode(z)
    return Pool(z, timbres, measure(timbres, z, model.axis))


def guarded(model: TimbreModel, z: NDArray[np.float32]) -> NDArray[np.float32]:
    """Latents drawn back where they would be too loud, shrill or weird."""
    statistics = model.statistics
    anchor = np.asarray(statistics["anchor"], np.float32)
    return draw_back(model, z, anchor, statistics["limits"])[0]


def rank_weights(controls: Snapshot) -> dict[str, float]:
    """Weight of each ranking criterion."""
    return {
        name.removeprefix("rank/"): float(value)
        for name, value in controls.items()
        if name.startswith("rank/")
    }
