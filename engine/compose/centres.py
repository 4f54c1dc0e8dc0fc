"""Centres: the one sound of each song that its others lie around.

Songs come in runs. The centres of a run are picked from one pool, one after the other,
each from the top of the ranking and far from all before. From the second run on, the
last songs are picked first and the others keep away from the last of the run before,
too. So each song differs from those heard shortly before, and yet depends on two runs
at most: it can be computed from its index, whatever was played.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from effects.base.streams import Purpose, stream
from engine.compose.distance import apart_db
from engine.compose.pool import Pool, centre_pool
from engine.compose.ranking import n_top, quantiles, rank
from model.inference import TimbreModel

RUN_SONGS = 12  # an hour of songs; the period in which a radio brightens and dims
RUN_END = 3  # of them, the last, which the next run keeps away from
APART_DB = 12.0  # between centres, if the ranking's upper half has such a sound
# Share of the candidates that are too pure: hardly two of their partials are close
# enough to beat, and a song around one of them is smoother than any recording. With
# more left out, songs as a whole are less like recordings. None, where the ranking asks
# for the smoothest with all its weight.
PUREST = 0.05
ARC_DEPTH = 0.35  # by which a radio's weight of brightness swings

_END = RUN_SONGS - RUN_END

Weights = tuple[tuple[str, float], ...]  # criterion and weight, hashable


@dataclass(frozen=True)
class SongRun:
    """A run of songs whose centres are picked from one pool.

    Attributes:
        model: timbre space.
        seed: of the stream of songs.
        number: of the run, from 0.
        weights: of the ranking.
        like: point that all centres lie near, see `likeness`; or nothing.
        is_endless: whether brightness swings from song to song, as in a radio.
        preset: name that chance depends on beside the seed.
    """

    model: TimbreModel
    seed: int
    number: int
    weights: Weights
    like: str = ""
    is_endless: bool = False
    preset: str = ""

    @property
    def pool(self) -> Pool:
        """Candidates for the centres."""
        return centre_pool(self.model, self.seed, self.number, self.like, self.preset)


def song_centre(
    model: TimbreModel,
    seed: int,
    index: int,
    weights: Weights,
    *,
    like: str = "",
    is_endless: bool = False,
    preset: str = "",
) -> NDArray[np.float32]:
    """Latent of a song's centre, shape (n_latents,).

    Args:
        model: timbre space.
        seed: of the stream of songs.
        index: of the song in it.
        weights: of the ranking.
        like: point that all centres lie near, see `likeness`; or nothing.
        is_endless: whether brightness swings from song to song, as in a radio.
        preset: name that chance depends on beside the seed.
    """
    number, place = divmod(index, RUN_SONGS)
    run = SongRun(model, seed, number, weights, like, is_endless, preset)
    centre: NDArray[np.float32] = run.pool.z[_centres(run)[place]]
    return centre


def arc_weights(weights: Weights, index: int, *, is_endless: bool) -> Weights:
    """Ranking weights of a song, with the slow swing of a radio's brightness."""
    if not is_endless:
        return weights
    swing = ARC_DEPTH * float(np.sin(2.0 * np.pi * index / RUN_SONGS))
    swung = {"brightness": 0.0, **dict(weights)}
    swung["brightness"] += swing
    return tuple(swung.items())


@lru_cache(maxsize=8)
def _centres(run: SongRun) -> tuple[int, ...]:
    """Rows of the run's pool that are its songs' centres, in the songs' order."""
    if run.number == 0:  # so that a radio begins as a song alone with its seed does
        return tuple(_picked(run, range(RUN_SONGS), run.pool.spectra[:0]))
    before = replace(run, number=run.number - 1)
    rows = _end(run)
    avoided = [run.pool.spectra[rows], before.pool.spectra[_end(before)]]
    return (*_picked(run, range(_END), np.concatenate(avoided)), *rows)


def _end(run: SongRun) -> list[int]:
    """Rows of the pool that are the centres of the run's last songs."""
    if run.number == 0:
        return list(_centres(run)[_END:])
    return _picked(run, range(_END, RUN_SONGS), run.pool.spectra[:0])


def _picked(run: SongRun, places: range, avoided: NDArray[np.float64]) -> list[int]:
    """Rows of the pool for songs at these places of the run.

    Args:
        run: whose songs they are.
        places: of the songs.
        avoided: coarse spectra that all keep away from, shape (n, 64).
    """
    pool, rows = run.pool, list[int]()
    for place in places:
        index = run.number * RUN_SONGS + place
        weights = arc_weights(run.weights, index, is_endless=run.is_endless)
        rest = np.arange(len(pool.z))
        if not run.like:  # or what was asked for might be left out
            rest = _without_purest(pool, dict(weights).get("dissonance", 0.0))
        scores = rank(pool.features, dict(weights))[rest]
        rng = stream(Purpose.SONG_CENTRE, run.seed, index, run.preset)
        picked = pick_centre(scores, pool.spectra[rest], avoided, rng)
        rows.append(int(rest[picked]))
        avoided = np.concatenate([avoided, pool.spectra[rows[-1:]]])
    return rows


def _without_purest(pool: Pool, weight: float) -> NDArray[np.intp]:
    """Rows of the candidates that may be centres.

    Args:
        pool: all candidates.
        weight: of dissonance in the ranking, -1..1.
    """
    share = PUREST * min(1.0, 1.0 + weight)
    return np.flatnonzero(quantiles(pool.features["dissonance"]) >= share)


def pick_centre(
    scores: NDArray[np.float64],
    spectra: NDArray[np.float64],
    avoided: NDArray[np.float64],
    rng: np.random.Generator,
) -> int:
    """Row of a sound from the top of the ranking, far from those that are avoided.

    Where the top holds none so far away, the best that is comes next, down to the
    middle of the ranking, and else the farthest.

    Args:
        scores: higher is better, shape (n,).
        spectra: coarse spectra of the candidates, shape (n, 64).
        avoided: coarse spectra, shape (m, 64); none at first.
        rng: for the draw.
    """
    top = n_top(scores)
    order = np.argsort(-scores, kind="stable")[: max(top, len(scores) // 2)]
    if not len(avoided):
        return int(order[rng.integers(top)])
    nearest = apart_db(spectra[order][:, None], avoided).min(axis=1)
    far = np.flatnonzero(nearest >= APART_DB)
    if not len(far):
        return int(order[np.argmax(nearest)])
    best = far[far < top]
    return int(order[rng.choice(best) if len(best) else far[0]])
