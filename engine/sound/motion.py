"""Movement inside sounds: gestures that many partials share, and a little of their own.

All movement is read from one long periodic table of 1/f noise, in which every voice,
partial and band of noise has an offset of its own. What moves at a moment is thus a
function of (seed, time of the movement) alone, and costs a look-up.

Partials belong to a few voices: harmonic sets of the song's sounds. A voice swells,
brightens and wanders in the stereo field as one. A slow tilt sweeps over all partials
and the noise. Mean powers are kept: what movement in dB adds to the mean power of a
partial is taken off again, by 10^(L/10) of a normal L of variance v having the mean
exp(v (ln 10 / 10)^2 / 2).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.base.streams import Purpose, stream
from engine.sound.partials import N_PLACES, place_hz

N_VOICES = 5
N_NOISE_BANDS = 20
LOWEST_HZ, HIGHEST_HZ = 0.1, 8.0
TABLE_HZ = 64.0  # entries of the table a second
TABLE_LENGTH = 1 << 17  # 34 minutes until all repeats, and partials do not together
SHARED = 0.36  # rate of what many partials share: fast, it would be heard as attacks
ALONE = 1.6  # rate of what each partial and each band of noise does by itself
SLOW = 0.25  # rate of the tilt and of places in the stereo field

# Shares of `motion/depth` in standard deviations.
SWELL, TOGETHER, BRIGHTEN, TILT = 0.52, 0.14, 0.16, 0.22
NOISE_SWELL = 0.36
TILT_PIVOT_HZ = 400.0
TILT_LOW, TILT_HIGH = -1.0, 4.0  # octaves from the pivot within which tilt turns
PAN_RADIANS = 0.16  # standard deviation of a voice's place between left and right

_HARMONICS = 10
_IN_TUNE = 6  # places, 30 cents, by which a harmonic may be off
_MEAN_POWER = np.log(10.0) / 20.0  # dB that movement of variance 1 dB^2 adds

Values = NDArray[np.float32]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Voices:
    """Which voice each place of the grid belongs to, for one song.

    Attributes:
        of_place: number of the voice, shape (N_PLACES,).
        octaves: of each place above its voice's fundamental, shape (N_PLACES,).
        offsets: into the table, of each place, shape (N_PLACES,).
        phases: in turns at sample 0, shape (N_PLACES,).
        sides: 1 or -1, which way the side is turned against the mid.
    """

    of_place: Places
    octaves: Values
    offsets: Places
    phases: NDArray[np.float64]
    sides: Values


@dataclass(frozen=True)
class Gestures:
    """What moves in the frames of a slab, in standard deviations.

    Attributes:
        swell, bright, pan: of each voice, shape (N_VOICES, n_frames).
        together, tilt: of everything, shape (n_frames,).
        broad, own: of each band of noise, with its neighbours and by itself, shape
            (N_NOISE_BANDS, n_frames).
        seconds: of movement at each frame, shape (n_frames,).
    """

    swell: Values
    bright: Values
    pan: Values
    together: Values
    tilt: Values
    broad: Values
    own: Values
    seconds: NDArray[np.float64]


@dataclass(frozen=True)
class Depth:
    """How far partials and noise move.

    Attributes:
        db: standard deviation of what moves together.
        own: share of it that each partial and band of noise moves by itself.
    """

    db: float
    own: float


@lru_cache(maxsize=1)
def table() -> Values:
    """One period of 1/f noise of variance 1, shape (TABLE_LENGTH + 1,)."""
    rng = stream(Purpose.MOVEMENT)
    spectrum = fft.rfft(rng.standard_normal(TABLE_LENGTH))
    hertz = fft.rfftfreq(TABLE_LENGTH, 1.0 / TABLE_HZ)
    inside = (hertz >= LOWEST_HZ) & (hertz <= HIGHEST_HZ)
    spectrum *= np.where(inside, 1.0 / np.sqrt(np.maximum(hertz, LOWEST_HZ)), 0.0)
    values = fft.irfft(spectrum, TABLE_LENGTH)
    values /= values.std()
    return np.append(values, values[0]).astype(np.float32)


def read(offsets: Places, seconds: NDArray[np.float64]) -> Values:
    """The table at each offset and time, shape (n_offsets, n_times)."""
    place = seconds * TABLE_HZ
    whole = np.floor(place)
    share = (place - whole).astype(np.float32)
    index = offsets[:, None] + whole.astype(np.intp)
    index &= TABLE_LENGTH - 1
    values = table()[index]
    index += 1
    after = table()[index]
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
    own = read(offsets[3 * n + 5 :], ALONE * seconds)
    return Gestures(
        shared[:n],
        shared[n : 2 * n],
        slow[:n],
        shared[2 * n],
        slow[n],
        _broad_shares() @ shared[2 * n + 1 :],
        own,
        seconds,
    )


def partial_gains(
    gestures: Gestures, voices: Voices, places: Places, depth: Depth
) -> Values:
    """Amplitude of each partial's movement, shape (n_places, n_frames).

    Their mean square over time is 1.
    """
    if depth.db <= 0.0:
        return np.ones((len(places), len(gestures.seconds)), np.float32)
    voice, octaves = voices.of_place[places], voices.octaves[places]
    tilt = place_tilt()[places]
    weights = np.zeros((len(places), 2 * N_VOICES + 2), np.float32)
    rows = np.arange(len(places))
    weights[rows, voice] = SWELL
    weights[rows, N_VOICES + voice] = BRIGHTEN * octaves
    weights[:, -2] = TOGETHER
    weights[:, -1] = TILT * tilt
    moving = np.concatenate(
        [gestures.swell, gestures.bright, gestures.together[None], gestures.tilt[None]]
    )
    level = weights @ moving
    own = np.float32(depth.own) * _own_share()[places]
    alone = read(voices.offsets[places], ALONE * gestures.seconds)
    alone *= own[:, None]
    level += alone
    variance = (weights * weights).sum(axis=1) + own * own
    return _amplitudes(level, variance, depth.db)


def noise_gains(gestures: Gestures, depth: Depth) -> Values:
    """Amplitude of each band of noise, shape (N_NOISE_BANDS, n_frames)."""
    if depth.db <= 0.0:
        return np.ones((N_NOISE_BANDS, len(gestures.seconds)), np.float32)
    tilt = TILT * _noise_tilt()
    level = NOISE_SWELL * gestures.broad + np.float32(depth.own) * gestures.own
    level += TOGETHER * gestures.together
    level += tilt[:, None] * gestures.tilt
    broad = (_broad_shares() ** 2).sum(axis=1)
    variance = NOISE_SWELL**2 * broad + depth.own**2 + TOGETHER**2 + tilt**2
    return _amplitudes(level, variance, depth.db)


def _amplitudes(level: Values, variance: Values, db: float) -> Values:
    level -= np.float32(_MEAN_POWER * db) * variance.astype(np.float32)[:, None]
    level *= np.float32(db * np.log2(10.0) / 20.0)
    return np.exp2(level, out=level)


def pans(gestures: Gestures, depth: Depth) -> Values:
    """Angle of each voice between left and right, radians, shape (N_VOICES, n)."""
    reach = PAN_RADIANS * min(1.0, depth.db / 3.0)
    return np.clip(reach * gestures.pan, -2.5 * PAN_RADIANS, 2.5 * PAN_RADIANS)


def noise_band_hz() -> NDArray[np.float64]:
    """Centres of the bands in which noise moves."""
    return np.geomspace(50.0, 16_000.0, N_NOISE_BANDS)


@lru_cache(maxsize=1)
def _own_share() -> Values:
    """How far a partial moves by itself: a bass less, which carries the others."""
    share = np.interp(np.log(place_hz()), np.log([60.0, 300.0]), [0.6, 1.0])
    return share.astype(np.float32)


@lru_cache(maxsize=1)
def _noise_tilt() -> Values:
    return tilt_octaves(noise_band_hz())


@lru_cache(maxsize=1)
def place_tilt() -> Values:
    """Octaves from the pivot at which each place tilts."""
    return tilt_octaves(place_hz())


def tilt_octaves(hertz: NDArray[np.float64]) -> Values:
    """Octaves from the pivot of the tilt, limited at both ends."""
    octaves = np.log2(hertz / TILT_PIVOT_HZ)
    return np.clip(octaves, TILT_LOW, TILT_HIGH).astype(np.float32)


@lru_cache(maxsize=1)
def _broad_shares() -> Values:
    """How far each band of noise moves with three broad ones, shape (n, 3)."""
    place = np.linspace(0.0, 2.0, N_NOISE_BANDS)
    shares = np.clip(1.0 - np.abs(place[:, None] - np.arange(3)), 0.0, 1.0)
    return np.sqrt(shares).astype(np.float32)


@lru_cache(maxsize=4)
def _gesture_offsets(seed: int) -> Places:
    rng = stream(Purpose.MOVEMENT_OFFSETS, seed)
    n = 3 * N_VOICES + 5 + N_NOISE_BANDS
    return rng.integers(0, TABLE_LENGTH, n).astype(np.intp)


def find_voices(tonal: NDArray[np.float32], rng: np.random.Generator) -> Voices:
    """The voices of a song, from the partials of its sounds.

    Fundamentals are chosen one after another, each the place whose first harmonics
    hold most of what amplitude is left. A place belongs to the voice of whose
    harmonics it is nearest to one; where it is near none, its pitch class decides.

    Args:
        tonal: power at each place of each sound, shape (n, N_PLACES).
        rng: for phases and offsets.
    """
    hertz = place_hz()
    amplitude = np.sqrt(tonal / np.maximum(tonal.sum(axis=1, keepdims=True), 1e-20))
    left = amplitude.sum(axis=0).astype(np.float64)
    of_place = np.round(12.0 * np.log2(hertz / 440.0)).astype(np.intp) % 12 % N_VOICES
    octaves = np.clip(np.log2(hertz / 200.0), 0.0, 4.0)
    nearest = np.full(N_PLACES, float(_IN_TUNE))
    low, high = np.searchsorted(hertz, (50.0, 1000.0))
    per_octave = np.searchsorted(hertz, 2.0 * hertz[0])
    steps = np.round(per_octave * np.log2(np.arange(1, _HARMONICS + 1))).astype(int)
    for voice in range(N_VOICES):
        smooth = np.convolve(left, np.ones(2 * _IN_TUNE + 1), "same")
        score = np.zeros(high - low)
        for number, step in enumerate(steps, 1):
            score += smooth[low + step : high + step] / number**0.5
        root = low + int(np.argmax(score))
        for step in steps:
            around = np.arange(root + step - 8, min(root + step + 9, N_PLACES))
            distance = np.abs(around - root - step)
            nearer = around[distance < nearest[around]]
            nearest[nearer] = np.abs(nearer - root - step)
            of_place[nearer] = voice
            octaves[nearer] = step / per_octave
            left[around] = 0.0
    return Voices(
        of_place,
        (octaves - 1.5).astype(np.float32),
        rng.integers(0, TABLE_LENGTH, N_PLACES).astype(np.intp),
        rng.random(N_PLACES),
        np.where(rng.random(N_PLACES) < 0.5, -1.0, 1.0).astype(np.float32),
    )
