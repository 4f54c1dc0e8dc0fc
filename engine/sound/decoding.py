"""What the music is at regular times: latents decoded in batches, tuned, levelled.

A node is the sound at one moment of the stream. Nodes lie `hop` seconds apart, on a
grid of absolute frames, and are decoded in batches of a fixed number: whatever was
decoded before, a node comes out the same to the bit.

Bass, body and noise change at times of their own: each is read from nodes before, as
many as the song has it lag behind; bass and noise are means of several. So there is
something held while something moves. A bass whose notes come and go quickly is a mean
of more nodes, or it would change as often as the wiggle turns.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.compose.composer import ComposedSong
from engine.compose.pool import guarded_sounds
from engine.sound.balance import balance_db, balanced, tilt_db
from engine.sound.bass import (
    add_low_octaves,
    add_second,
    hold_lowest,
    part_close_notes,
)
from engine.sound.motion import weighted_power
from engine.sound.partials import PLACES_PER_BAND, gather, split_tonal
from model.config import AXIS
from model.inference import TimbreModel
from model.spectrum import bin_power, loudness

BATCH = 32  # nodes decoded at once: with 64, a turned control takes 25 ms more
QUIETEST_LUFS = -90.0  # what is softer as decoded is not raised to its level

BASS_HZ = 190.0
BASS_NOTES_HZ = (60.0, 185.0)  # within which the bass's notes are
# How often its whole power may go from some notes to others within the time over which
# it is held: from the first number on it is held, at the second altogether.
BUSY = (3.6, 7.2)
BUSY_S = 0.24  # between nodes that are compared, if they are not farther apart
_BASS_SLOPE = 8.0  # the power of frequency by which bass gives way to body

# Noise as low as this is narrower than a bin of a frame, and would flutter: it is made
# of many partials close together, which beat slowly.
RUMBLE_HZ = 140.0
_RUMBLE_BANDS = 25  # that share a partial: two and a half semitones
# What clarity leaves of a partial where it is: partials too, since a frame's noise
# would be far wider than it.
_SMEARED_BANDS = 3  # that share a partial: 30 cents

_FAINT = 1e-3  # of the whole: a share of the sounds nearby that is not heard

Powers = NDArray[np.float64]
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Decoded:
    """Sounds at 0 LUFS each before the song's `noise_db`, which is in them.

    Attributes:
        noise, tonal: band powers, shape (n, n_bands).
        n_bad: how many were not finite, and are silent.
    """

    noise: Powers
    tonal: Powers
    n_bad: int


@dataclass(frozen=True)
class Nodes:
    """The sound of one song at the nodes of a batch.

    Attributes:
        tonal: mean square at each place, shape (BATCH, N_PLACES).
        noise: mean square in each bin of a frame, shape (BATCH, n_bins).
        bands: both in bands, shape (BATCH, n_bands).
        weighted: K-weighted power, as `motion.weighted_power` has it.
    """

    tonal: Values
    noise: Values
    bands: Powers
    weighted: Powers


@dataclass(frozen=True)
class Lags:
    """By how many nodes each part of the music comes after the path.

    Attributes:
        body: of one node.
        bass, noise: of several, of which each is the mean.
        held_bass: of more, of which a bass that changes quickly is the mean.
        node_s: seconds between nodes.
    """

    bass: tuple[int, ...]
    held_bass: tuple[int, ...]
    body: int
    noise: tuple[int, ...]
    node_s: float = BUSY_S

    @property
    def longest(self) -> int:
        """How many nodes of the past are needed."""
        return max(self.body, *self.bass, *self.held_bass, *self.noise)


def decode(
    model: TimbreModel, song: ComposedSong, line: Powers, offset: Powers
) -> Decoded:
    """The sounds of points of a song, in its tuning and on its chords.

    Args:
        model: timbre space.
        song: whose tuning and chords hold.
        line: latents on the song's path, which decide on chords, shape (n, n_latents).
        offset: what the wiggle adds to them, the same shape.
    """
    _, timbres = guarded_sounds(model, (line + offset).astype(np.float32))
    power = model.axis.to_power(timbres)
    power[timbres <= 0.0] = 0.0
    gains_db = balance_db(model) + tilt_db(song.tilt)
    tuned = balanced(_tuned(power, line, song), gains_db)
    heard = _loudness(tuned)
    tuned *= 10.0 ** (-heard[:, None] / 10.0)
    is_bad = ~np.isfinite(tuned).all(axis=1)
    tuned[is_bad] = 0.0
    noise, tonal = split_tonal(tuned)
    noise *= 10.0 ** (song.noise_db / 10.0)
    return Decoded(noise, tonal, int(is_bad.sum()))


def combine(
    rows: Decoded,
    first: int,
    lags: Lags,
    levels: Powers,
    clarity: float,
    n_bins: int,
    sample_rate: int,
) -> Nodes:
    """The parts of the music put together.

    Args:
        rows: sounds at successive nodes, of which the longest lag's are before `first`.
        first: row of the batch's first node.
        lags: of the parts.
        levels: LUFS that each node is to have, shape (BATCH,); -inf is silence.
        clarity: 0..1, how much of each partial is gathered to its centre.
        n_bins: of the frames that are made of it.
        sample_rate: Hz.
    """

    def mean(bands: Powers, parts: tuple[int, ...]) -> Powers:
        whole = np.zeros((BATCH, bands.shape[1]))
        for lag in parts:
            whole += bands[first - lag : first - lag + BATCH]
        whole *= 1.0 / len(parts)
        return whole

    tonal = mean(rows.tonal, (lags.body,))
    noise = mean(rows.noise, lags.noise)
    share = _bass_share()
    held = bass_held(rows.tonal, first, lags.held_bass, lags.node_s)
    for part, all_rows in ((tonal, rows.tonal), (noise, rows.noise)):
        low, all_low = part[:, : len(share)], all_rows[:, : len(share)]
        bass = mean(all_low, lags.bass)
        bass += held * (mean(all_low, lags.held_bass) - bass)
        low += share * (bass - low)
    part_close_notes(tonal)
    add_second(tonal)
    add_low_octaves(noise, tonal)
    hold_lowest(noise, tonal)
    whole = noise + tonal  # before the lowest noise becomes partials
    heard = _loudness(whole)
    gain = 10.0 ** ((levels - heard) / 10.0)[:, None]
    places = gather(clarity * tonal)
    _add_groups((1.0 - clarity) * tonal, places, _SMEARED_BANDS)
    n_rumble = int(np.searchsorted(AXIS.centres, RUMBLE_HZ))
    _add_groups(noise[:, :n_rumble], places, _RUMBLE_BANDS)
    noise[:, :n_rumble] = 0.0
    in_bins = bin_power(noise, 2 * (n_bins - 1), sample_rate) * gain
    bands = whole * gain
    return Nodes(
        places * gain.astype(np.float32),
        in_bins.astype(np.float32),
        bands,
        weighted_power(bands),
    )


def bass_held(
    tonal: Powers, first: int, lags: tuple[int, ...], node_s: float
) -> Powers:
    """How far the bass is held at each node of a batch, 0 to 1.

    Args:
        tonal: band powers of partials at successive nodes, shape (n, n_bands).
        first: row of the batch's first node.
        lags: successive ones, over which is added up what share of the bass's power
            goes from some bands to others.
        node_s: seconds between nodes.

    Returns:
        Shape (BATCH, 1).
    """
    if len(lags) < 2:
        return np.zeros((BATCH, 1))
    low, high = np.searchsorted(AXIS.centres, BASS_NOTES_HZ)
    rows = tonal[first - lags[-1] : first - lags[0] + BATCH]
    bass = rows[:, low:high]
    # What is left of a bass that is not heard may change as it likes.
    whole = bass.sum(axis=1) + _FAINT * rows.sum(axis=1) + 1e-20
    shares = bass / whole[:, None]
    apart = min(max(1, round(BUSY_S / node_s)), len(lags) - 1)
    moved = 0.5 / apart * np.abs(shares[apart:] - shares[:-apart]).sum(axis=1)
    n_pairs = len(lags) - apart
    sums = np.concatenate([[0.0], np.cumsum(moved)])
    moves = sums[n_pairs:] - sums[:BATCH]
    limits = np.minimum(BUSY, (0.6 * n_pairs, 0.9 * n_pairs))  # of nodes far apart
    return np.asarray(np.interp(moves, limits, (0.0, 1.0)))[:, None]


def _add_groups(bands: Powers, places: Values, n_bands: int) -> None:
    """Add band powers to places, those of so many neighbours to the middle one."""
    n_groups = bands.shape[1] // n_bands
    groups = bands[:, : n_groups * n_bands].reshape(len(bands), n_groups, n_bands)
    middle = PLACES_PER_BAND * (n_bands // 2)
    sums = groups.sum(axis=2)
    places[:, middle :: PLACES_PER_BAND * n_bands][:, :n_groups] += sums


def _loudness(power: Powers) -> Powers:
    """LUFS of each row, not below the quietest; rows one by one round the same."""
    return np.array([max(QUIETEST_LUFS, float(loudness(row))) for row in power])


@lru_cache(maxsize=1)
def _bass_share() -> Powers:
    """Share of the bass part in each of the lowest bands; above them it has none."""
    share = 1.0 / (1.0 + (AXIS.centres / BASS_HZ) ** _BASS_SLOPE)
    return np.asarray(share[share > 1e-4])


def _tuned(power: Powers, line: Powers, song: ComposedSong) -> Powers:
    """Transposed, and moved by the chords, as the nearest of the song's points are.

    Between chords a sound is not in between, but has some of each.
    """
    distance = np.linalg.norm(song.points[None] - line[:, None], axis=2)
    nearness = 1.0 / (distance + 1e-3) ** 4
    nearness /= nearness.sum(axis=1, keepdims=True)
    shifts = nearness @ song.transpositions.shifts
    tuned = np.zeros_like(power)
    for total, row, shift, near in zip(tuned, power, shifts, nearness, strict=True):
        shares: dict[float, float] = {}
        for move, share in zip(*song.chords(near), strict=True):
            shares[float(move)] = shares.get(float(move), 0.0) + float(share)
        for move, share in shares.items():
            if share > _FAINT:
                _add_shifted(total, row, float(shift) + move, share)
    return tuned


def _add_shifted(total: Powers, power: Powers, bands: float, share: float) -> None:
    """Add a share of band powers, moved up by a number of bands, to a total.

    What is moved in from beyond an end is the end's own level.
    """
    n = len(power)
    whole = int(np.floor(bands))
    upper = bands - whole
    padded = np.empty(n + 1)
    first, last = max(0, whole + 1), min(n + 1, n + whole + 1)
    # padded[i] is power[i - 1 - whole], so that a band is two neighbours of it.
    padded[first:last] = power[first - 1 - whole : last - 1 - whole]
    padded[:first] = power[0]
    padded[last:] = power[-1]
    total += (share * (1.0 - upper)) * padded[1:]
    total += (share * upper) * padded[:-1]
