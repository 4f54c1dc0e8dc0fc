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
# How the farthest safe point of a line is looked for, to within 1 %: points between
# that are tried at once, and how often. A decoder takes four as fast as one; where many
# lines are searched, it is bisection that needs the fewest points.
FEW_LINES, FOR_FEW, FOR_MANY = 8, (4, 3), (1, 7)
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
    return _features(model, z, model.decode(z))


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
    return _judged(model, z, limits)[1]


def _judged(
    model: Decoder, z: Latents, limits: Mapping[str, float]
) -> tuple[Timbres, NDArray[np.bool_]]:
    """Timbres of points, and which of them are over any limit."""
    timbres = model.decode(z)
    return timbres, _over(_features(model, z, timbres), limits)


def _features(
    model: Decoder, z: Latents, timbres: Timbres
) -> dict[str, NDArray[np.float64]]:
    weirdness = model.weirdness(z).astype(np.float64)
    return {**timbre_features(timbres, model.axis), "weirdness": weirdness}


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
    timbres, over = _judged(model, z, limits)
    if over.any():
        z = z.copy()
        z[over], timbres[over] = _drawn(model, z[over], anchor, limits)
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
            row; a row for which no point that is tried is within ends at its anchor.
        limits: highest value of each feature, as `statistics["limits"]`.

    Returns:
        The points, and which of them were moved, shape (n,).
    """
    moved = exceeds(model, z, limits)
    if moved.any():
        anchors = np.broadcast_to(anchor, z.shape)[moved]
        z = z.copy()
        z[moved], _ = _drawn(model, z[moved], anchors, limits)
    return z, moved


def _drawn(
    model: Decoder, z: Latents, anchor: Latents, limits: Mapping[str, float]
) -> tuple[Latents, Timbres]:
    """The farthest safe points on the ways from anchors, and their timbres.

    Up to `FEW_LINES` it is the last point tried before the first that is over; of more,
    whichever crossing bisection meets. So it depends on how many are given together.

    Args:
        model: decodes the points.
        z: over the limits, shape (n, n_latents).
        anchor: one for all, or one for each.
        limits: highest value of each feature.
    """
    start = np.broadcast_to(anchor, z.shape).astype(np.float32)
    way, n = z - start, len(z)
    n_points, rounds = FOR_FEW if n <= FEW_LINES else FOR_MANY
    safe = np.zeros((n, 1), np.float32)
    timbres = np.empty((n, model.axis.n_bands), np.float32)
    step = 1.0
    for _ in range(rounds):
        step /= n_points + 1
        shares = (step * np.arange(1, n_points + 1)).astype(np.float32)
        points = start[:, None] + (safe + shares)[..., None] * way[:, None]
        tried, over = _judged(model, points.reshape(-1, z.shape[1]), limits)
        beyond = np.ones((n, 1), bool)
        taken = np.argmax(np.hstack([over.reshape(n, -1), beyond]), axis=1)
        went = np.flatnonzero(taken)
        timbres[went] = tried.reshape(n, n_points, -1)[went, taken[went] - 1]
        safe += np.float32(step) * taken[:, None].astype(np.float32)
    found = start + safe * way
    stayed = safe[:, 0] == 0.0
    if stayed.any():
        found[stayed] = start[stayed]  # also where the way is not finite
        timbres[stayed] = model.decode(start[stayed])
    return found, timbres


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
