"""Composition of one song: sample, rank, pick five, expand, lay out, level.

A song is a pure function of (model, seed, index, grammar, controls): the pool of
candidate sounds, the pattern, the steps and the wiggler are drawn from generators
of their own, so that turning one control never reshuffles what it does not concern.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.compose.features import measure
from engine.compose.grammar import Grammar, expand
from engine.compose.path import SYMBOLS, Path, lay_out
from engine.compose.picking import pick
from engine.compose.ranking import rank
from engine.compose.tuning import Plan, point_shifts
from engine.compose.wiggler import Wiggler, draw_wiggler
from engine.live.controls import Snapshot
from model.guard import draw_back
from model.inference import TimbreModel
from model.spectrum import loudness

POOL = 384  # candidate sounds a song is picked from
PROBES = 96  # places along the path at which its level is measured
NOMINAL_AMOUNT, NOMINAL_RATE = 0.35, 0.05  # wiggle, for that measurement

_POOL, _PATTERN, _PICK, _STEPS, _WIGGLE = range(5)


@dataclass(frozen=True)
class Song:
    """Everything that decides a song but its place in time.

    Attributes:
        index: which song of the stream.
        duration: seconds.
        path: pattern and times.
        points: latents of A..E, shape (5, n_latents).
        shifts: bands by which tuning transposes A..E, shape (5,).
        wiggler: of this song.
        reference: LUFS that counts as the song's middle level, before levelling.
        offset: dB that bring the levelled song to its target.
    """

    index: int
    duration: float
    path: Path
    points: NDArray[np.float32]
    shifts: NDArray[np.float64]
    wiggler: Wiggler
    reference: float
    offset: float


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
) -> Song:
    """Song `index` of the stream with this seed, `duration` seconds long."""
    pool = draw_pool(model, seed, index)
    scores = rank(pool.features, rank_weights(controls))
    chosen = pick(scores, pool.timbres, len(SYMBOLS), _rng(seed, index, _PICK))
    sketch = _sketch(model, grammar, seed, index, duration, tuple(chosen.tolist()))
    shifts = point_shifts(
        model.axis.to_power(pool.timbres[chosen]), Plan.of(controls), model.axis
    )
    reference = float(np.median(sketch.levels))
    relative = levelled(sketch.levels, reference, float(controls["dynamics"]))
    offset = -10.0 * float(np.log10(np.mean(10.0 ** (relative / 10.0))))
    return Song(
        index,
        duration,
        sketch.path,
        pool.z[chosen],
        shifts,
        sketch.wiggler,
        reference,
        offset,
    )


@lru_cache(maxsize=4)
def draw_pool(model: TimbreModel, seed: int, index: int) -> Pool:
    """The candidates of one song: prior samples, decoded and measured."""
    z = guarded(model, model.sample(POOL, _rng(seed, index, _POOL)))
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


def levelled(
    level: NDArray[np.float64], reference: float, dynamics: float
) -> NDArray[np.float64]:
    """Level relative to the song's target, in LU, for sounds of this loudness.

    Differences from the reference are kept by the share `dynamics`, and limited.
    """
    return dynamics * np.clip(level - reference, -12.0, 6.0)


@dataclass(frozen=True)
class _Sketch:
    """What of a song does not change while controls are turned."""

    path: Path
    wiggler: Wiggler
    levels: NDArray[np.float64]  # LUFS along the path, before levelling


@lru_cache(maxsize=16)
def _sketch(
    model: TimbreModel,
    grammar: Grammar,
    seed: int,
    index: int,
    duration: float,
    chosen: tuple[int, ...],
) -> _Sketch:
    pattern = expand(grammar, _rng(seed, index, _PATTERN))
    path = lay_out(pattern, duration, _rng(seed, index, _STEPS))
    wiggler = draw_wiggler(model.n_latents, _rng(seed, index, _WIGGLE))
    seconds = np.linspace(0.0, duration, PROBES)
    points = draw_pool(model, seed, index).z[list(chosen)]
    turns = NOMINAL_RATE * seconds
    z = path.weights(seconds) @ points + wiggler.offset(turns, NOMINAL_AMOUNT)
    timbres = model.decode(guarded(model, z.astype(np.float32)))
    levels = loudness(model.axis.to_power(timbres), model.axis)
    return _Sketch(path, wiggler, levels)


def _rng(seed: int, index: int, purpose: int) -> np.random.Generator:
    return np.random.default_rng([seed, index, purpose])
