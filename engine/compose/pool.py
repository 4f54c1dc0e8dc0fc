"""Pools: candidate sounds drawn from the model, decoded and measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from effects.base.streams import Purpose, stream
from engine.compose.criteria import measure
from engine.compose.distance import coarse_spectra
from engine.compose.likeness import candidates
from model.guard import safe_sounds
from model.inference import TimbreModel

CANDIDATES = 384  # sounds that the centres of a run of songs are picked from
NEIGHBOURS = 64  # sounds that one song's others are picked from
CROWD = 48  # draws from the model for each neighbour that is kept


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidate sounds.

    Attributes:
        z: latents, shape (n, n_latents).
        spectra: coarse ones that distances are taken of, dB, shape (n, 64).
        features: criterion to values, shape (n,) each.
    """

    z: NDArray[np.float32]
    spectra: NDArray[np.float64]
    features: Mapping[str, NDArray[np.float64]]


@lru_cache(maxsize=3)
def centre_pool(
    model: TimbreModel, seed: int, run: int, like: str = "", preset: str = ""
) -> Pool:
    """Candidates for the centres of a run of songs, from the whole timbre space.

    Args:
        model: timbre space.
        seed: of the stream of songs.
        run: number of the run.
        like: point that all lie near, see `likeness`; or nothing.
        preset: name that the draws depend on beside the seed.
    """
    rng = stream(Purpose.SONG_CENTRES, seed, run, preset)
    z = candidates(model, like, CANDIDATES, rng)
    return _pool(model, *guarded_sounds(model, z))


@lru_cache(maxsize=8)
def neighbour_pool(
    model: TimbreModel,
    seed: int,
    index: int,
    centre: tuple[float, ...],
    like: str = "",
    preset: str = "",
) -> Pool:
    """A centre, as row 0, and the sounds of the model that lie nearest to it.

    With a likeness they are those near its point instead, around which the centre lies
    as well. They may be over the guard's limits.

    Args:
        model: timbre space.
        seed: of the stream of songs.
        index: of the song.
        centre: latent, of length n_latents.
        like: point that all lie near, see `likeness`; or nothing.
        preset: name that the draws depend on beside the seed.
    """
    point = np.array(centre, np.float32)
    rng = stream(Purpose.SONG_POOL, seed, index, preset)
    if like:
        near = candidates(model, like, NEIGHBOURS, rng)
    else:
        crowd = model.sample(CROWD * NEIGHBOURS, rng)
        away = np.square(crowd - point).sum(axis=1)
        near = crowd[np.sort(np.argsort(away, kind="stable")[:NEIGHBOURS])]
    z = np.concatenate([point[None], near])
    return _pool(model, z, model.decode(z))


def guarded(model: TimbreModel, z: NDArray[np.float32]) -> NDArray[np.float32]:
    """Latents drawn back where they would be too loud, shrill or weird."""
    return guarded_sounds(model, z)[0]


def guarded_sounds(
    model: TimbreModel, z: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Latents drawn back as by `guarded`, and their timbres, shape (n, n_bands)."""
    statistics = model.statistics
    anchor = np.asarray(statistics["anchor"], np.float32)
    return safe_sounds(model, z, anchor, statistics["limits"])


def _pool(
    model: TimbreModel, z: NDArray[np.float32], timbres: NDArray[np.float32]
) -> Pool:
    axis = model.axis
    spectra = coarse_spectra(axis.to_power(timbres), axis)
    return Pool(z, spectra, measure(timbres, z, axis))
