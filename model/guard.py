"""The guard: keeps sounds that are too loud, sharp, shrill or weird from being heard.

The features that it limits are computed from the decoded timbre, before any audio
exists. A point over the limits is moved along the line to a safe one until it is within
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from effects.audio.k_weighting import k_weighting
from model.config import AXIS, Axis
from model.prior import Latents
from model.spectrum import loudness, surroundings

# The features that are limited, and their units.
UNITS = {
    "loudness": "LUFS",
    "sharpness": "acum",
    "whistle": "of power",
    "weirdness": "from the origin",
}
STEPS = 7  # bisections: to within 1 % of the farthest safe point
AT_ONCE = 32  # points that a decoder takes nearly as fast as a few
WHISTLE_HZ = 1_000.0  # lowest frequency of a tone that is shrill
# How far a band may stand out of all sounds of a model: over the music that it was
# trained on; and at all. Tempered notes stand 6 to 8 dB out of the mean of much music.
MOST_STANDING_DB, LOUDEST_STANDING_DB = 3.0, 10.0
BATCH = 1024  # timbres of which the mean detail is taken at once
WHISTLE_BANDS = 9  # two thirds of a semitone on either side of a tone's centre

Timbres = NDArray[np.float32]


@dataclass(frozen=True)
class StandingPeak:
    """The band that stands out of a model's sounds by the most more than of its clips.

    Attributes:
        excess_db: by how much more, on the mean over sounds.
        model_db: how far it stands out of its surroundings in the model's sounds.
        data_db: the same in clips.
        hz: its centre.
    """

    excess_db: float
    model_db: float
    data_db: float
    hz: float


class Decoder(Protocol):
    """The part of a model that the guard uses."""

    @property
    def axis(self) -> Axis:
        """Bands of the timbres."""

    def decode(self, z: Latents) -> Timbres:
        """Timbres (n, n_bands) of points (n, n_latents)."""

    def weirdness(self, z: Latents) -> NDArray[np.float32]:
        """Distance of points (n, n_latents) from the origin, shape (n,)."""


def point_features(model: Decoder, z: Latents) -> dict[str, NDArray[np.float64]]:
    """Compute the limited features of points.

    Args:
        model: decodes the points.
        z: shape (n, n_latents).

    Returns:
        By name, each of shape (n,), in the units of `UNITS`.
    """
    return {
        **timbre_features(model.decode(z), model.axis),
        "weirdness": model.weirdness(z).astype(np.float64),
    }


def timbre_features(
    timbre: Timbres, axis: Axis = AXIS
) -> dict[str, NDArray[np.float64]]:
    """Compute the features that need no latents: all but the weirdness.

    Args:
        timbre: shape (n, n_bands), 0..1.
        axis: the bands.

    Returns:
        By name, each of shape (n,), in the units of `UNITS`.
    """
    power = axis.to_power(timbre)
    return {
        "loudness": loudness(power, axis),
        "sharpness": sharpness(power, axis),
        "whistle": whistle(power, axis),
    }


def sharpness(power: NDArray[np.float64], axis: Axis = AXIS) -> NDArray[np.float64]:
    """Sharpness of sounds with these band powers, in acum.

    The weighted centroid of specific loudness over critical-band rate, with the
    weighting of DIN 45692; specific loudness is taken as power to 0.23 (Zwicker)
    in each Bark, without masking between them, which is enough to rank sounds.

    Args:
        power: shape (n, n_bands), full scale = 1.0.
        axis: the bands.

    Returns:
        Shape (n,).
    """
    specific = (power @ _bark_shares(axis)) ** 0.23
    specific = np.maximum(specific - 1e-10**0.23, 0.0)  # under -100 dB: unheard
    rate = np.arange(25) + 0.5
    weight = np.where(rate <= 15.8, 1.0, 0.15 * np.exp(0.42 * (rate - 15.8)) + 0.85)
    total = specific.sum(axis=-1)
    weighted = 0.11 * (specific @ (weight * rate))
    acum: NDArray[np.float64] = weighted / np.maximum(total, 1e-12)
    return acum


def whistle(power: NDArray[np.float64], axis: Axis = AXIS) -> NDArray[np.float64]:
    """Largest share of K-weighted power in one narrow peak above 1 kHz.

    Args:
        power: shape (n, n_bands), full scale = 1.0.
        axis: the bands.

    Returns:
        Shape (n,), 0 to 1.
    """
    weighted = power * k_weighting(axis.centres)
    cumulative = np.concatenate(
        [np.zeros((*power.shape[:-1], 1)), np.cumsum(weighted, axis=-1)], axis=-1
    )
    narrow = cumulative[..., WHISTLE_BANDS:] - cumulative[..., :-WHISTLE_BANDS]
    first = int(np.searchsorted(axis.centres, WHISTLE_HZ))
    share: NDArray[np.float64] = narrow[..., first:].max(axis=-1) / np.maximum(
        cumulative[..., -1], 1e-12
    )
    return share


def standing_peak(
    sounds: NDArray[Any], clips: NDArray[Any] | None = None
) -> StandingPeak:
    """Find the largest standing peak of a model: no point of it is without.

    Args:
        sounds: timbres that the model decodes from draws of its prior, (n, n_bands).
        clips: timbres of the music that it is of, (m, n_bands); without them, the mean
            of music is taken to have no peak.
    """
    of_model = mean_detail_db(sounds)
    of_data = np.zeros_like(of_model) if clips is None else mean_detail_db(clips)
    over = of_model - np.maximum(of_data, 0.0)  # a dip that is filled is no peak
    band = int(np.argmax(over))
    return StandingPeak(
        excess_db=float(over[band]),
        model_db=float(of_model[band]),
        data_db=float(of_data[band]),
        hz=float(AXIS.centres[band]),
    )


def mean_detail_db(timbres: NDArray[Any]) -> NDArray[np.float64]:
    """Mean level of each band of timbres over its surroundings, shape (n_bands,)."""
    total = np.zeros(AXIS.n_bands)
    for start in range(0, len(timbres), BATCH):
        piece = timbres[start : start + BATCH].astype(np.float64)
        total += (piece - surroundings(piece)).sum(axis=0)
    mean: NDArray[np.float64] = AXIS.range_db * total / len(timbres)
    return mean


def exceeds(
    model: Decoder, z: Latents, limits: Mapping[str, float]
) -> NDArray[np.bool_]:
    """Find the points (n, n_latents) that are over any limit; shape (n,).

    Args:
        model: decodes the points.
        z: shape (n, n_latents).
        limits: highest value of each feature, as `statistics["limits"]`.
    """
    return _over(point_features(model, z), limits)


def _over(
    values: Mapping[str, NDArray[np.float64]], limits: Mapping[str, float]
) -> NDArray[np.bool_]:
    over = [~(found <= limits[name]) for name, found in values.items()]
    anywhere: NDArray[np.bool_] = np.any(over, axis=0)  # NaN counts as over
    return anywhere


def safe_sounds(
    model: Decoder,
    z: Latents,
    anchor: Latents,
    limits: Mapping[str, float],
) -> tuple[Latents, Timbres]:
    """Points as `draw_back` leaves them, and their timbres.

    Every point within the limits is decoded once.

    Args:
        model: decodes the points.
        z: shape (n, n_latents).
        anchor: a point within the limits, shape (n_latents,).
        limits: highest value of each feature, as `statistics["limits"]`.

    Returns:
        Shapes (n, n_latents) and (n, n_bands).
    """
    timbres = model.decode(z)
    values = timbre_features(timbres, model.axis)
    values["weirdness"] = model.weirdness(z).astype(np.float64)
    over = _over(values, limits)
    if over.any():
        z = _drawn(model, z, over, anchor, limits)
        timbres[over] = model.decode(z[over])
    return z, timbres


def draw_back(
    model: Decoder,
    z: Latents,
    anchor: Latents,
    limits: Mapping[str, float],
) -> tuple[Latents, NDArray[np.bool_]]:
    """Move points that are over the limits toward an anchor until they are within.

    Args:
        model: decodes the points.
        z: shape (n, n_latents).
        anchor: a point within the limits, shape (n_latents,), or one for each
            row; a row whose anchor is over the limits ends at the anchor.
        limits: highest value of each feature, as `statistics["limits"]`.

    Returns:
        The points, and which of them were moved, shape (n,).
    """
    moved = exceeds(model, z, limits)
    return _drawn(model, z, moved, anchor, limits), moved


def _drawn(
    model: Decoder,
    z: Latents,
    moved: NDArray[np.bool_],
    anchor: Latents,
    limits: Mapping[str, float],
) -> Latents:
    """The points, with those `moved` drawn back by bisection."""
    if not moved.any():
        return z
    start = np.broadcast_to(anchor, z.shape)[moved].astype(np.float32)
    way = z[moved] - start
    safe = np.zeros((len(way), 1), np.float32)
    # Where few were moved, all points that the next bisections may come to are tried
    # at once.
    most = max(1, int(np.log2(AT_ONCE / len(way) + 1)))
    left, step = STEPS, 1.0
    while left:
        ahead = min(most, left)
        left -= ahead
        step /= 2**ahead
        shares = step * np.arange(1, 2**ahead)[:, None]
        tried = (safe[:, None] + shares).astype(np.float32)  # (n, n_shares, 1)
        points = start[:, None] + tried * way[:, None]
        bad = exceeds(model, points.reshape(-1, z.shape[1]), limits)
        safe += np.float32(step) * _steps_taken(bad.reshape(len(way), -1))
    drawn = z.copy()
    drawn[moved] = start + safe * way
    return drawn


def _steps_taken(bad: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How many of the points between are left behind by bisection, shape (n, 1).

    Args:
        bad: which points are over the limits, in equal distances, shape (n, 2^k - 1).
    """
    n, n_points = bad.shape
    taken = np.zeros(n, np.intp)
    half = (n_points + 1) // 2
    while half:
        taken += half * ~bad[np.arange(n), taken + half - 1]
        half //= 2
    return taken[:, None].astype(np.float32)


@lru_cache(maxsize=4)
def _bark_shares(axis: Axis) -> NDArray[np.float64]:
    """Which Bark each band counts to, shape (n_bands, 25)."""
    shares: NDArray[np.float64] = np.eye(25)[np.minimum(_bark(axis).astype(int), 24)]
    return shares


@lru_cache(maxsize=4)
def _bark(axis: Axis) -> NDArray[np.float64]:
    """Critical-band rate of the bands (Traunmueller, JASA 88, 1990)."""
    bark: NDArray[np.float64] = 26.81 * axis.centres / (1960.0 + axis.centres) - 0.53
    return np.clip(bark, 0.0, 24.99)
