"""Foreground: sparse notes with soft attacks and long decays, of the song's own sounds.

Every step of a song's pattern has the same number of moments at which a note may begin.
Which of them do, and which notes they are, is a motif of the step's symbol, with some
chance: so a section that comes back brings its motif back. A note stands on a partial
of the sound of its step, and so in the chord that is in force; its harmonics follow
that sound's envelope, and die away the faster the higher they are. It begins with a
breath: a short burst of noise in the sound's own colour. A diffuse tail, of partials
beside its own that swell late and decay slowly, is its space.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from effects.audio.k_weighting import k_weighting
from effects.base.streams import Purpose, stream
from engine.compose.path import SYMBOLS, SongPath
from engine.sound.decoding import Decoded
from engine.sound.partials import N_PLACES, PLACES_PER_BAND, gather, place_hz
from model.config import AXIS
from model.spectrum import moving_mean

MOMENTS = 16  # of a step, at which a note may begin
LIFE_S = 14.0  # after which nothing of a note is heard
LOWEST_HZ, HIGHEST_HZ = 180.0, 1100.0  # of fundamentals
HARMONICS = 20
ATTACK_S = (0.015, 0.25)
DECAY_S = (1.2, 3.0)  # time constant of the fundamental, of the amplitude
STAGGER_S = 0.06  # standard deviation of a note's time against its moment
PAN_RADIANS = 0.3  # at most

BREATH_ATTACK_S, BREATH_DECAY_S = 0.02, 0.09
BREATH_LIFE_S = 0.8
BREATH_DB = 2.0  # power of the breath at its height, beside the note's
BREATH_TILT_DB = 3.0  # an octave, above the pivot
BREATH_PIVOT_HZ = 800.0

SPACE_DECAY_S = 3.2
SPACE_RISE_S = 0.25
SPACE_DB = -3.0  # of the tail's partials beside the note's own, at full space

_FAINT = 1e-3  # amplitude of a harmonic beside the fundamental
_NOTHING = 1e-300  # in place of no power, where it is divided by
_K_OFFSET = 10.0**0.0691  # 0 LUFS is a K-weighted mean square of this over two channels

Values = NDArray[np.float32]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Tone:
    """What a note is made of, at 0 LUFS at its height.

    Attributes:
        places: of its partials and of those of its space, shape (n,).
        amplitude: of each, shape (n,).
        attack, decay: seconds, shape (n,).
        is_space: which belong to the space, shape (n,).
        phases: turns at sample 0, shape (n,).
        sides: 1 or -1, shape (n,).
        pan: radians to the left.
        breath: power in each band at its height, shape (n_bands,).
    """

    places: Places
    amplitude: Values
    attack: Values
    decay: Values
    is_space: NDArray[np.bool_]
    phases: NDArray[np.float64]
    sides: Values
    pan: float
    breath: NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """All notes that a song may have, in the order of their times.

    Attributes:
        seconds: since the song began, shape (n,).
        rank: a note sounds where the density, in notes a step, is above it.
        step_s: length of its step in seconds.
        symbols, moments: which tone it is.
    """

    seconds: NDArray[np.float64]
    rank: NDArray[np.float64]
    step_s: NDArray[np.float64]
    symbols: Places
    moments: Places

    def sounding(self, density: float) -> NDArray[np.bool_]:
        """Which notes there are at a density in notes a minute."""
        return self.rank < density / 60.0 * self.step_s


def write_score(path: SongPath, duration: float, seed: int, song: int) -> Score:
    """The notes of a song.

    Args:
        path: pattern and times of the song.
        duration: seconds.
        seed: of the stream.
        song: number of the song in it.
    """
    n = len(path.pattern)
    edges = np.concatenate([[0.0], (path.times[1:] + path.times[:-1]) / 2, [duration]])
    lengths = np.diff(edges)
    symbols = np.array([SYMBOLS.index(symbol) for symbol in path.pattern])
    motif = np.stack(
        [
            stream(Purpose.SONG_NOTES, seed, song, symbol).permutation(MOMENTS)
            for symbol in range(len(SYMBOLS))
        ]
    )
    rng = stream(Purpose.SONG_NOTES, seed, song)
    chance = rng.random((n, MOMENTS))
    # Some notes of a motif are exchanged for others each time.
    rank = motif[symbols] + 3.0 * rng.random((n, MOMENTS))
    rank = np.argsort(np.argsort(rank, axis=1), axis=1) + chance
    moment = np.arange(MOMENTS)
    at = edges[:-1, None] + (moment + 0.25) / MOMENTS * lengths[:, None]
    at += np.clip(rng.standard_normal((n, MOMENTS)), -2.0, 2.0) * STAGGER_S
    shape = (n, MOMENTS)
    order = np.argsort(at.ravel(), kind="stable")
    return Score(
        at.ravel()[order],
        rank.ravel()[order],
        np.broadcast_to(lengths[:, None], shape).ravel()[order],
        np.broadcast_to(symbols[:, None], shape).ravel()[order],
        np.broadcast_to(moment, shape).ravel()[order],
    )


class Tones:
    """The tones of a song's motifs, made when they are first asked for.

    Args:
        sounds: of the five symbols, tuned.
        seed: of the stream.
        song: number of the song in it.
    """

    def __init__(self, sounds: Decoded, seed: int, song: int) -> None:
        self._sounds, self._seed, self._song = sounds, seed, song
        self._made: dict[tuple[int, int], Tone] = {}

    def tone(self, symbol: int, moment: int) -> Tone:
        """The tone of a moment in the steps of a symbol."""
        key = (symbol, moment)
        if key not in self._made:
            rng = stream(Purpose.NOTE, self._seed, self._song, symbol, moment)
            self._made[key] = _make(
                self._sounds.noise[symbol], self._sounds.tonal[symbol], rng
            )
        return self._made[key]


def envelope(
    seconds: NDArray[np.float64], attack: Values, decay: Values
) -> NDArray[np.float32]:
    """Amplitude of partials so many seconds after their notes began.

    Args:
        seconds: shape (n, n_frames).
        attack: seconds, shape (n,).
        decay: seconds, shape (n,).
    """
    rise = np.clip(seconds / attack[:, None], 0.0, 1.0).astype(np.float32)
    level = rise * rise * (3.0 - 2.0 * rise)
    level *= np.exp(-np.maximum(seconds, 0.0) / decay[:, None]).astype(np.float32)
    return level


def breath_envelope(seconds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Power of the breath so many seconds after a note began."""
    attack = np.full(len(seconds), BREATH_ATTACK_S, np.float32)
    decay = np.full(len(seconds), BREATH_DECAY_S, np.float32)
    return envelope(seconds, attack, decay) ** 2


def mean_power(density: float, level_db: float) -> float:
    """Power that the notes add on average, beside the music's own.

    Args:
        density: notes a minute.
        level_db: of a note at its height beside the music.
    """
    seconds = 0.5 * 0.5 * (DECAY_S[0] + DECAY_S[1]) * 1.3  # of full power a note
    return float(density / 60.0 * seconds * 10.0 ** (level_db / 10.0))


def _make(
    noise: NDArray[np.float64], tonal: NDArray[np.float64], rng: np.random.Generator
) -> Tone:
    colour = _colour(noise + tonal)
    floor = np.sqrt(colour * _colour(noise))
    hertz = place_hz()
    root = _root(gather(tonal), rng)
    octave = PLACES_PER_BAND * AXIS.bands_per_octave
    numbers = np.arange(1, HARMONICS + 1)
    places = root + np.round(octave * np.log2(numbers)).astype(np.intp)
    inside = places < N_PLACES
    numbers, places = numbers[inside], places[inside]
    amplitude = np.sqrt(colour[places // PLACES_PER_BAND])
    amplitude /= max(amplitude[0], _NOTHING)  # a silent sound has silent notes
    amplitude = np.clip(amplitude, 0.0, 1.0) / numbers**0.6
    heard = amplitude > _FAINT
    numbers, places, amplitude = numbers[heard], places[heard], amplitude[heard]
    n = len(places)
    attack = ATTACK_S[0] * (ATTACK_S[1] / ATTACK_S[0]) ** rng.random()
    decay = rng.uniform(*DECAY_S) / (1.0 + 0.35 * (numbers - 1))
    beside = places + np.array([[-2], [-1], [1], [2]])[rng.permutation(4)[:2]]
    power = np.sum(amplitude**2 / 2.0 * k_weighting(hertz[places]))
    scale = np.sqrt(_K_OFFSET / 2.0 / max(float(power), 1e-12))
    space = np.full(2 * n, 10.0 ** (SPACE_DB / 20.0) / np.sqrt(2.0))
    all_places = np.concatenate([places, beside.ravel()])
    breath = floor * (_breath_tilt() / max(_breath_power(floor), _NOTHING))
    return Tone(
        np.clip(all_places, 0, N_PLACES - 1),
        (scale * np.concatenate([amplitude, np.tile(amplitude, 2) * space])).astype(
            np.float32
        ),
        np.concatenate([np.full(n, attack), np.full(2 * n, SPACE_RISE_S)]).astype(
            np.float32
        ),
        np.concatenate([decay, SPACE_DECAY_S / np.tile(numbers, 2) ** 0.5]).astype(
            np.float32
        ),
        np.arange(3 * n) >= n,
        rng.random(3 * n),
        np.where(rng.random(3 * n) < 0.5, -1.0, 1.0).astype(np.float32),
        float(rng.uniform(-PAN_RADIANS, PAN_RADIANS)),
        breath,
    )


def _root(power: Values, rng: np.random.Generator) -> int:
    """Place of a fundamental: a partial of a sound, by octaves in the middle range."""
    hertz = place_hz()
    octave = round(PLACES_PER_BAND * AXIS.bands_per_octave)
    low, high = np.searchsorted(hertz, (60.0, 2.0 * HIGHEST_HZ))
    found = low + np.flatnonzero(power[low:high] > 1e-4 * power.max())
    if not len(found):
        return int(np.searchsorted(hertz, 440.0))
    weight = np.sqrt(power[found].astype(np.float64))
    place = int(rng.choice(found, p=weight / weight.sum()))
    while hertz[place] < LOWEST_HZ:
        place += octave
    while hertz[place] > HIGHEST_HZ:
        place -= octave
    if hertz[place] < 0.5 * HIGHEST_HZ and rng.random() < 0.5:
        place += octave
    return place


def _colour(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """A sound's spectrum, smoothed over half an octave."""
    smooth: NDArray[np.float64] = moving_mean(power, 61)
    return np.asarray(np.maximum(smooth, 1e-9 * smooth.max()))


@lru_cache(maxsize=1)
def _breath_tilt() -> NDArray[np.float64]:
    octaves = np.maximum(np.log2(AXIS.centres / BREATH_PIVOT_HZ), 0.0)
    return np.asarray(10.0 ** (BREATH_TILT_DB * octaves / 10.0))


def _breath_power(colour: NDArray[np.float64]) -> float:
    """What brings a breath of this colour to its level beside a note at 0 LUFS."""
    weighted = float(np.sum(colour * _breath_tilt() * k_weighting(AXIS.centres)))
    return float(weighted / (_K_OFFSET / 2.0 * 10.0 ** (BREATH_DB / 10.0)))
