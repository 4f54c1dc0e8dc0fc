"""Balance: the spectrum of the music as a whole, brought near that of recordings.

A timbre space has the balance of the corpus it was trained on. What its sounds have
too much or too little of, third octave by third octave, against recorded ambient music
is found once for each model from draws of its prior, so a model of one's own music is
changed by as much as it needs. All sounds of a model get the same gains, and so keep
their differences, and each song has a spectral tilt of its own. Besides, the bass is
raised in sounds that have little of it, and lowered where it holds more than half of
the power; treble is lowered where there is more of it than recordings have.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import db_to_power
from effects.base.streams import Purpose, stream
from engine.compose.pool import guarded_sounds
from engine.sound.motion import sweep_db
from model.config import AXIS
from model.inference import TimbreModel
from model.spectrum import loudness

# Share of a recording's power in third octaves from 31 Hz to 16 kHz, dB: means of 25
# sustained tracks of the games Naev, Endgame: Singularity and FreeOrion, of which the
# calmest twelve count twice.
THIRDS_HZ = 31.25 * 2.0 ** (np.arange(28) / 3.0)
RECORDED_DB = (
    -31, -25, -26, -20, -17, -17, -15, -13, -13, -14, -13, -14, -16, -16,
    -17, -18, -20, -23, -25, -25, -28, -29, -32, -34, -36, -40, -43, -47,
)  # fmt: skip

# What songs as they are rendered lack (above 0) or have too much of (below 0), dB,
# though their sounds do not on average: chords, voices and notes move power. Means of
# 96 songs from 350 to 1,360 Hz, and of 24 elsewhere.
RENDERED_DB = np.interp(
    np.log2(THIRDS_HZ),
    np.log2([66.0, 79.0, 350.0, 680.0, 1360.0, 2700.0, 3200.0, 8000.0]),
    [-8.0, 0.0, 0.0, -2.5, -0.5, 1.5, 2.0, 3.5],
)

MOST_DB = (-10.0, 12.0)  # that the balance changes
BASS_FROM_HZ, BASS_TO_HZ = 66.0, 250.0  # what lies an octave below is never raised
BASS_OVER_REST_DB = (-3.3, 0.0)  # power of the bass over that of the rest: enough, most
BASS_MOST_DB = (-3.0, 7.0)  # by which it is lowered and raised
TREBLE_FROM_HZ = 3_800.0
# Power of the treble over that of the rest: one of 25 recordings has more than this, by
# 2 dB, and songs of mostly hiss had up to 10 dB more.
TREBLE_OVER_REST_DB = -9.0
TREBLE_MOST_DB = -10.0  # by which it is lowered

PIVOT_HZ = 500.0  # about which a song's spectrum is tilted
TILTED_OCTAVES = (-2.0, 3.0)  # from the pivot: beyond, it turns no farther

_DRAWS = 320
_TOGETHER = 5  # draws whose mean is compared with a recording: a song's sounds
_FAINT = 1e-6  # share of a third octave that counts as silence

Powers = NDArray[np.float64]


@lru_cache(maxsize=4)
def balance_db(model: TimbreModel) -> Powers:
    """Gain in each band that brings a model's balance to the recordings', dB.

    Args:
        model: timbre space.

    Returns:
        Shape (n_bands,), within `MOST_DB`; 0 an octave below the bass.
    """
    drawn = model.sample(_DRAWS, stream(Purpose.BALANCE))
    _, timbres = guarded_sounds(model, drawn)
    power = model.axis.to_power(timbres)
    power *= 10.0 ** (-loudness(power, model.axis)[:, None] / 10.0)
    power = power.reshape(-1, _TOGETHER, model.axis.n_bands).sum(axis=1)
    edges = np.searchsorted(AXIS.centres, THIRDS_HZ * 2.0 ** (-1 / 6))
    share = np.add.reduceat(power, edges, axis=1) / power.sum(axis=1, keepdims=True)
    own = (10.0 * np.log10(share + _FAINT)).mean(axis=0) + sweep_db(THIRDS_HZ)
    lacking = np.convolve(np.pad(RECORDED_DB - own, 1, "edge"), [0.25, 0.5, 0.25])[2:-2]
    octaves = np.log2(THIRDS_HZ)
    wanted = np.clip(lacking + RENDERED_DB, *MOST_DB)
    gain = np.interp(np.log2(AXIS.centres), octaves, wanted)
    return np.asarray(np.where(gain > 0.0, gain * _above_lowest(), gain))


def tilt_db(tilt: float) -> Powers:
    """Gain in each band of a song's spectral tilt, dB.

    Args:
        tilt: dB an octave.
    """
    octaves = np.log2(AXIS.centres / PIVOT_HZ)
    return np.asarray(tilt * np.clip(octaves, *TILTED_OCTAVES))


def balanced(power: Powers, gain_db: Powers) -> Powers:
    """Sounds in the balance.

    Args:
        power: band powers, shape (n, n_bands).
        gain_db: of `balance_db`.
    """
    low, high = np.searchsorted(AXIS.centres, (BASS_TO_HZ, TREBLE_FROM_HZ))
    bass_db = _over_rest_db(power, slice(0, low))
    enough, most = BASS_OVER_REST_DB
    raised = np.clip(enough - bass_db, 0.0, BASS_MOST_DB[1])[:, None]
    lowered = np.clip(most - bass_db, BASS_MOST_DB[0], 0.0)[:, None]
    gains_db = gain_db + (raised * _above_lowest() + lowered) * _bass()
    in_balance = power * db_to_power(gains_db)
    treble_db = _over_rest_db(in_balance, slice(high, None))
    dimmed = np.clip(TREBLE_OVER_REST_DB - treble_db, TREBLE_MOST_DB, 0.0)
    is_shrill = dimmed < 0.0
    if is_shrill.any():
        in_balance[is_shrill] *= db_to_power(dimmed[is_shrill, None] * _treble())
    return in_balance


def _over_rest_db(power: Powers, part: slice) -> Powers:
    """Power of some bands over that of all others, dB, shape (n,)."""
    inside = power[:, part].sum(axis=1)
    rest = power.sum(axis=1) - inside
    return np.asarray(10.0 * np.log10((inside + 1e-20) / (rest + 1e-20)))


@lru_cache(maxsize=1)
def _treble() -> Powers:
    """How far each band goes with the treble: half an octave below it, not at all."""
    octaves = np.log2(AXIS.centres / TREBLE_FROM_HZ)
    return np.asarray(np.clip(1.0 + octaves / 0.5, 0.0, 1.0))


@lru_cache(maxsize=1)
def _bass() -> Powers:
    """How far each band goes with the bass: half an octave above it, not at all."""
    octaves = np.log2(AXIS.centres / BASS_TO_HZ)
    return np.asarray(np.clip(1.0 - octaves / 0.5, 0.0, 1.0))


@lru_cache(maxsize=1)
def _above_lowest() -> Powers:
    """How far each band may be raised: an octave below the bass, not at all."""
    return np.asarray(np.clip(1.0 + np.log2(AXIS.centres / BASS_FROM_HZ), 0.0, 1.0))
