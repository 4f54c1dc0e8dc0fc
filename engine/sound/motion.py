"""Movement inside sounds: gestures that many partials share, and movement of their own.

All movement is read from long periodic tables of noise that falls with frequency, in
which every voice, partial and band of noise has an offset of its own. What moves at a
moment is thus a function of (seed, time of the movement) alone, and costs a look-up.
The tables rise no faster than a limit and fall as they like: a quick fall is heard as
movement, but a quick rise as an attack.

Partials belong to a few voices: harmonic sets of the song's sounds. A voice swells,
brightens and wanders in the stereo field as one. A slow tilt and the slow sweep of a
low-pass go over all partials and the noise, and leave the loudness of the whole as it
is. Of the rest mean powers are kept: what movement in dB adds to the mean power of a
partial or a band of noise is taken off again, since 10^(L/10) of a nearly normal L of
variance v and third cumulant w has the mean exp(v a^2 / 2 + w a^3 / 6), where a = ln 10
/ 10. The third is left out where it is small: in what partials share.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy import fft
from numpy.typing import NDArray

from effects.audio.k_weighting import k_weighting
from effects.audio.levels import db_to_power
from effects.base.streams import Purpose, stream
from engine.sound.partials import N_PLACES, place_hz, place_weighting
from engine.sound.voices import MOVEMENT_LENGTH, N_VOICES, Voices
from model.config import AXIS

N_NOISE_BANDS = 20
LOWEST_HZ, HIGHEST_HZ = 0.1, 8.0
TABLE_HZ = 64.0  # entries of the table a second
TABLE_LENGTH = MOVEMENT_LENGTH  # 34 minutes until all repeats, at other times for each
SHARED = 0.40  # rate of what many partials share: fast, it would be heard as attacks
ALONE = 1.6  # rate of what each band of noise does by itself
PARTIALS, PARTIALS_SLOPE = 1.25, 0.25  # rate and slope of what each partial does
# In standard deviations of the noise before it is limited, a second of the table; what
# is read at a rate rises faster by that.
MOST_RISE = 15.0
SLOW = 0.25  # rate of the tilt and of places in the stereo field
SLOWEST = 0.1  # rate of the low-pass, which opens over many bands at once

# Shares of `motion/depth` in standard deviations.
SWELL, TOGETHER, BRIGHTEN, TILT = 0.48, 0.34, 0.16, 0.2
NOISE_SWELL = 0.36
OWN = 1.27  # of a partial from 220 Hz up, where `motion/own` is 1; a bass has less
CARRIED = 0.3  # of its movement that a voice or partial lacks if it is all that is held
TILT_PIVOT_HZ = 400.0
TILT_LOW, TILT_HIGH = -1.0, 4.0  # octaves from the pivot within which tilt turns
# The low-pass: where it begins on average, in octaves above the pivot of the tilt, how
# far that moves at 5 dB of depth (a standard deviation), and how steep it is.
SWEEP_FROM, SWEEP_REACH, SWEEP_DB = 3.2, 0.75, 7.0
N_COLOURS = 64
COLOUR_OCTAVES = np.linspace(-4.5, 6.0, N_COLOURS)  # at which both are worked out
PAN_RADIANS = 0.16  # standard deviation of a voice's place between left and right

_MEAN_POWER = np.log(10.0) / 20.0  # dB that movement of variance 1 dB^2 adds
_NOTHING = np.float32(1e-30)  # in place of no power, where it is divided by

Values = NDArray[np.float32]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Gestures:
    """What moves in the frames of a slab, in standard deviations.

    Attributes:
        swell, bright, pan: of each voice, shape (N_VOICES, n_frames).
        together, tilt, sweep: of everything, shape (n_frames,).
        broad, own: of each band of noise, with its neighbours and by itself, shape
            (N_NOISE_BANDS, n_frames).
        seconds: of movement at each frame, shape (n_frames,).
    """

    swell: Values
    bright: Values
    pan: Values
    together: Values
    tilt: Values
    sweep: Values
    broad: Values
    own: Values
    seconds: NDArray[np.float64]


@dataclass(frozen=True)
class Depth:
    """How far partials and noise move.

    Attributes:
        db: standard deviation of what moves together.
        own: of it, what each band of noise moves by itself; a partial, `OWN` times.
    """

    db: float
    own: float


@lru_cache(maxsize=2)
def table(slope: float = 1.0) -> Values:
    """One period of noise of mean 0 and variance 1, shape (TABLE_LENGTH + 1,).

    Args:
        slope: of its power, which falls as frequency to this.
    """
    rng = stream(Purpose.MOVEMENT)
    spectrum = fft.rfft(rng.standard_normal(TABLE_LENGTH))
    hertz = fft.rfftfreq(TABLE_LENGTH, 1.0 / TABLE_HZ)
    inside = (hertz >= LOWEST_HZ) & (hertz <= HIGHEST_HZ)
    falling = np.maximum(hertz, LOWEST_HZ) ** (-0.5 * slope)
    values = fft.irfft(spectrum * np.where(inside, falling, 0.0), TABLE_LENGTH)
    values = _with_slow_rises(values / values.std())
    values -= values.mean()
    values /= values.std()
    return np.append(values, values[0]).astype(np.float32)


@lru_cache(maxsize=2)
def _skew(slope: float) -> float:
    """Third cumulant of the table."""
    values = table(slope)[:-1].astype(np.float64)
    return float(np.mean(values * values * values))


def _third(db: float, slope: float = 1.0) -> float:
    """Share of a sum of cubed weights that counts as variance in `_amplitudes`.

    Args:
        db: standard deviation of what has a weight of 1.
        slope: of the table that it is read from.
    """
    return float(_skew(slope) * db * np.log(10.0) / 30.0)


def _with_slow_rises(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The highest curve under a periodic one that rises by `MOST_RISE` at most."""
    step = MOST_RISE / TABLE_HZ
    # What lies so far back is no limit any more.
    n_before = min(len(values), int(np.ptp(values) / step) + 1)
    begun = np.concatenate([values[-n_before:], values])
    ramp = step * np.arange(len(begun))
    limited: NDArray[np.float64] = np.minimum.accumulate(begun - ramp) + ramp
    return limited[n_before:]


def read(offsets: Places, seconds: NDArray[np.float64], slope: float = 1.0) -> Values:
    """The table at each offset and time, shape (n_offsets, n_times)."""
    place = seconds * TABLE_HZ
    whole = np.floor(place)
    share = (place - whole).astype(np.float32)
    index = offsets[:, None] + whole.astype(np.intp)
    index &= TABLE_LENGTH - 1
    entries = table(slope)
    values = entries[index]
    index += 1
    after = entries[index]
    after -= values
    after *= share
    values += after
    return values


def gestures(seed: int, seconds: NDArray[np.float64]) -> Gestures:
    """What moves at these times of the movement, ascending."""
    offsets = _gesture_offsets(seed)
    n = N_VOICES
    shared = read(offsets[: 2 * n + 4], SHARED * seconds)
    slow = read(offsets[2 * n + 4 : 3 * n + 5], SLOW * seconds)
    sweep = read(offsets[3 * n + 5 : 3 * n + 6], SLOWEST * seconds)
    own = read(offsets[3 * n + 6 :], ALONE * seconds)
    return Gestures(
        shared[:n],
        shared[n : 2 * n],
        slow[:n],
        shared[2 * n],
        slow[n],
        sweep[0],
        _broad_shares() @ shared[2 * n + 1 :],
        own,
        seconds,
    )


def partial_gains(
    gestures: Gestures,
    voices: Voices,
    places: Places,
    power: Values,
    depth: Depth,
    colours: Values,
) -> Values:
    """Amplitude of each partial's movement, shape (n_places, n_frames).

    What carries a song's held partials moves less, or their level would go up and down
    with it.

    Args:
        gestures: in the frames.
        voices: of the song.
        places: of the partials, shape (n_places,).
        power: of each where nothing moves, shape (n_places, n_frames).
        depth: of the movement.
        colours: what tilt and low-pass leave, see `colours`.
    """
    if depth.db <= 0.0:
        return np.ones((len(places), len(gestures.seconds)), np.float32)
    of_place = voices.of_place[places]
    share = power * place_weighting()[places, None].astype(np.float32)
    of_voices = (of_place == np.arange(N_VOICES)[:, None]).astype(np.float32) @ share
    heard = np.maximum(of_voices.sum(axis=0), _NOTHING)
    share /= heard
    weights = _weights(voices)[places]
    moving = np.concatenate([gestures.swell, gestures.bright, gestures.together[None]])
    together = (1.0 - CARRIED * of_voices / heard)[of_place]
    alone = (OWN * depth.own * _own_share()[places, None]) * (1.0 - CARRIED * share)
    variance = (weights * weights).sum(axis=1)[:, None] * together * together
    powers = alone * alone
    variance += powers
    powers *= alone
    powers *= np.float32(_third(depth.db, PARTIALS_SLOPE))
    variance += powers
    level = weights @ moving
    level *= together
    alone *= read(voices.offsets[places], PARTIALS * gestures.seconds, PARTIALS_SLOPE)
    level += alone
    gains = _amplitudes(level, variance, depth.db)
    gains *= colours[_colour_of_places()[places]]
    return gains


@lru_cache(maxsize=4)
def _weights(voices: Voices) -> Values:
    """How far each place swells, brightens and moves with all, (N_PLACES, n)."""
    weights = np.zeros((N_PLACES, 2 * N_VOICES + 1), np.float32)
    rows = np.arange(N_PLACES)
    weights[rows, voices.of_place] = SWELL
    weights[rows, N_VOICES + voices.of_place] = BRIGHTEN * voices.octaves
    weights[:, -1] = TOGETHER
    return weights


def noise_gains(gestures: Gestures, depth: Depth, colours: Values) -> Values:
    """Amplitude of each band of noise, shape (N_NOISE_BANDS, n_frames)."""
    if depth.db <= 0.0:
        return np.ones((N_NOISE_BANDS, len(gestures.seconds)), np.float32)
    level = NOISE_SWELL * gestures.broad + np.float32(depth.own) * gestures.own
    level += TOGETHER * gestures.together
    broad = (_broad_shares() ** 2).sum(axis=1)
    variance = NOISE_SWELL**2 * broad + depth.own**2 + TOGETHER**2
    cubes = (_broad_shares() ** 3).sum(axis=1)
    cubes = NOISE_SWELL**3 * cubes + depth.own**3 + TOGETHER**3
    variance += _third(depth.db) * cubes
    gains = _amplitudes(level, variance[:, None], depth.db)
    gains *= colours[_colour_of_noise_bands()]
    return gains


def colours(gestures: Gestures, depth: Depth, weighted: Values) -> Values:
    """Amplitude that tilt and low-pass leave, without a change in loudness.

    Args:
        gestures: in the frames.
        depth: of the movement.
        weighted: K-weighted power of the sound in `weighted_power`'s bands in each
            frame, shape (N_COLOURS, n_frames).

    Returns:
        Shape (N_COLOURS, n_frames).
    """
    tilt = np.clip(COLOUR_OCTAVES, TILT_LOW, TILT_HIGH)[:, None]
    level = TILT * depth.db * tilt * gestures.tilt
    reach = SWEEP_REACH * min(1.5, depth.db / 5.0)
    level += _low_pass(COLOUR_OCTAVES[:, None] - SWEEP_FROM - reach * gestures.sweep)
    if depth.db <= 0.0:
        level[:] = 0.0
    power = db_to_power(level)
    before, after = weighted.sum(axis=0), (weighted * power).sum(axis=0)
    held = power * (np.maximum(before, 1e-20) / np.maximum(after, 1e-20))
    return np.asarray(np.sqrt(held), np.float32)


def sweep_db(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the low-pass leaves at frequencies where it stands in its middle, dB."""
    return _low_pass(np.log2(hertz / TILT_PIVOT_HZ) - SWEEP_FROM)


def _low_pass(beyond: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level so many octaves beyond the low-pass's beginning, dB."""
    beyond = np.maximum(beyond, 0.0)
    return np.asarray(-SWEEP_DB * beyond * beyond / (beyond + 0.7))


def weighted_power(bands: NDArray[np.float64]) -> NDArray[np.float64]:
    """K-weighted power of sounds around `COLOUR_OCTAVES`, shape (n, N_COLOURS).

    Args:
        bands: band powers, shape (n, n_bands).
    """
    index = _nearest_colour(AXIS.centres)
    starts = np.flatnonzero(np.diff(index, prepend=-1))
    sums = np.add.reduceat(bands * _band_weights(), starts, axis=1)
    weighted = np.zeros((len(bands), N_COLOURS))
    weighted[:, index[starts]] = sums
    return weighted


@lru_cache(maxsize=1)
def _band_weights() -> NDArray[np.float64]:
    return k_weighting(AXIS.centres)


@lru_cache(maxsize=1)
def _colour_of_places() -> Places:
    return _nearest_colour(place_hz())


@lru_cache(maxsize=1)
def _colour_of_noise_bands() -> Places:
    return _nearest_colour(noise_band_hz())


def _nearest_colour(hertz: NDArray[np.float64]) -> Places:
    """The nearest of `COLOUR_OCTAVES` to frequencies."""
    octaves = np.log2(hertz / TILT_PIVOT_HZ)
    step = COLOUR_OCTAVES[1] - COLOUR_OCTAVES[0]
    index = np.round((octaves - COLOUR_OCTAVES[0]) / step).astype(np.intp)
    return np.asarray(np.clip(index, 0, N_COLOURS - 1))


def _amplitudes(level: Values, variance: Values, db: float) -> Values:
    level -= np.float32(_MEAN_POWER * db) * variance.astype(np.float32, copy=False)
    level *= np.float32(db * np.log2(10.0) / 20.0)
    np.exp2(level, out=level)
    return level


def pans(gestures: Gestures, depth: Depth) -> Values:
    """Angle of each voice between left and right, radians, shape (N_VOICES, n)."""
    reach = PAN_RADIANS * min(1.0, depth.db / 3.0)
    most = 2.5 * PAN_RADIANS
    return np.asarray(np.clip(reach * gestures.pan, -most, most))


@lru_cache(maxsize=1)
def noise_band_hz() -> NDArray[np.float64]:
    """Centres of the bands in which noise moves."""
    return np.geomspace(50.0, 16_000.0, N_NOISE_BANDS)


@lru_cache(maxsize=1)
def _own_share() -> Values:
    """How far a partial moves by itself: a bass less, which carries the others."""
    share = np.interp(np.log(place_hz()), np.log([60.0, 220.0]), [0.5, 1.0])
    return np.asarray(share, np.float32)


@lru_cache(maxsize=1)
def _broad_shares() -> Values:
    """How far each band of noise moves with three broad ones, shape (n, 3)."""
    place = np.linspace(0.0, 2.0, N_NOISE_BANDS)
    shares = np.clip(1.0 - np.abs(place[:, None] - np.arange(3)), 0.0, 1.0)
    return np.sqrt(shares).astype(np.float32)


@lru_cache(maxsize=4)
def _gesture_offsets(seed: int) -> Places:
    rng = stream(Purpose.MOVEMENT_OFFSETS, seed)
    n = 3 * N_VOICES + 6 + N_NOISE_BANDS
    return rng.integers(0, TABLE_LENGTH, n).astype(np.intp)
