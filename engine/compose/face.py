"""The five sounds of a song: different, and yet recognisably of one song.

They are a centre and four of its neighbours in timbre space, drawn towards it until
their spectra lie as far apart as those of the sections of one piece of music do.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from effects.base.streams import Purpose, stream
from engine.compose.centres import Weights, arc_weights, song_centre
from engine.compose.distance import coarse_spectra, mean_apart_db
from engine.compose.path import SYMBOLS
from engine.compose.picking import pick
from engine.compose.pool import guarded, neighbour_pool
from engine.compose.ranking import rank
from model.inference import TimbreModel
from model.spectrum import loudness

FACE_DB = 6.4  # mean distance of the five sounds as decoded, without motion
MOTION_OCTAVES = 0.5  # by which `rank/motion` multiplies it, at its ends
NEAREST, FARTHEST = 0.2, 1.6  # shares of the way from the centre to a neighbour

_TRIES = 6  # shares tried at once; twice, the second time around the best


@dataclass(frozen=True, eq=False)
class FiveSounds:
    """The sounds of a song.

    Attributes:
        points: latents of A..E, shape (5, n_latents); A is the centre.
        power: their band powers as decoded, shape (5, n_bands).
        loudness: of each, LUFS, shape (5,).
    """

    points: NDArray[np.float32]
    power: NDArray[np.float64]
    loudness: NDArray[np.float64]


@lru_cache(maxsize=8)
def five_sounds(
    model: TimbreModel,
    seed: int,
    index: int,
    weights: Weights,
    like: str = "",
    is_endless: bool = False,
    preset: str = "",
) -> FiveSounds:
    """The five sounds of song `index`.

    Args:
        model: timbre space.
        seed: of the stream of songs.
        index: of the song in it.
        weights: of the ranking; `motion` also says how far they lie apart.
        like: point that they lie near, see `likeness`; or nothing.
        is_endless: whether the stream of songs is a radio.
        preset: name that chance depends on beside the seed.
    """
    centre = song_centre(
        model, seed, index, weights, like=like, is_endless=is_endless, preset=preset
    )
    pool = neighbour_pool(model, seed, index, tuple(centre.tolist()), like, preset)
    swung = dict(arc_weights(weights, index, is_endless=is_endless))
    scores = rank(pool.features, swung)
    rng = stream(Purpose.SONG_PICK, seed, index, preset)
    motion = swung.get("motion", 0.0)
    chosen = pick(scores, pool.spectra, len(SYMBOLS), rng, motion)
    wanted = FACE_DB * 2.0 ** (MOTION_OCTAVES * motion)
    points = drawn_together(model, guarded(model, pool.z[chosen]), wanted)
    power = model.axis.to_power(model.decode(points))
    return FiveSounds(points, power, loudness(power, model.axis))


def drawn_together(
    model: TimbreModel, points: NDArray[np.float32], wanted: float
) -> NDArray[np.float32]:
    """Points moved along their lines to the first until their sounds are so far apart.

    Args:
        model: timbre space.
        points: shape (n, n_latents).
        wanted: mean distance of their sounds, dB.

    Returns:
        Shape (n, n_latents), within the guard's limits.
    """
    way = points - points[0]
    low, high = NEAREST, FARTHEST
    tried = points[None]
    best = 0
    for _ in range(2):
        shares = np.linspace(low, high, _TRIES)
        tried = points[0] + shares.astype(np.float32)[:, None, None] * way
        timbres = model.decode(tried.reshape(-1, points.shape[1]))
        spectra = coarse_spectra(model.axis.to_power(timbres), model.axis)
        apart = mean_apart_db(spectra.reshape(*tried.shape[:2], -1))
        best = int(np.argmin(np.abs(apart - wanted)))
        low = shares[max(0, best - 1)]
        high = shares[min(_TRIES - 1, best + 1)]
    return guarded(model, tried[best])
