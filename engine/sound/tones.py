"""What a note is made of: partials of its song's own sounds that rise and die away.

A note stands on a place of the grid; its harmonics follow the envelope of the sound
that it is taken from, and die away the faster the higher they are. It may begin with a
breath: a short burst of noise in the sound's own colour. A diffuse tail, of partials
beside its own that swell late and decay slowly, is its space.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.k_weighting import k_weighting
from engine.sound.partials import N_PLACES, PLACES_PER_BAND, place_hz
from model.config import AXIS
from model.spectrum import moving_mean

HARMONICS = 20

BREATH_ATTACK_S, BREATH_DECAY_S = 0.03, 0.09
BREATH_LIFE_S = 0.8

SPACE_RISE_S = 0.25

_FAINT = 1e-3  # amplitude of a harmonic beside the fundamental
_MEASURED = 4  # tones of a symbol, of which the mean stands for all of them
_NOTHING = 1e-300  # in place of no power, where it is divided by
_K_OFFSET = 10.0**0.0691  # 0 LUFS is a K-weighted mean square of this over two channels

Values = NDArray[np.float32]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Manner:
    """How notes of a kind sound.

    Attributes:
        attack_s: shortest and longest; drawn between them by ratio.
        decay_s: time constant of the fundamental's amplitude, from and to.
        colour: how much of the sound's envelope its harmonics follow, 0..1.
        slope: exponent by which harmonics fall with their numbers besides.
        damping: by how much more of it each harmonic decays than the one below.
        pan: radians to either side, at most.
        breath_db: power of the breath at its height, beside the note's; None is none.
        space_s: time constant of the tail's fundamental.
        space_db: of the tail's partials beside the note's own, at full space.
        life_s: after which nothing of a note is heard.
    """

    attack_s: tuple[float, float]
    decay_s: tuple[float, float]
    colour: float
    slope: float
    damping: float
    pan: float
    breath_db: float | None
    space_s: float
    space_db: float
    life_s: float


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
        breath: power in each band at its height, shape (n_bands,); None is none.
    """

    places: Places
    amplitude: Values
    attack: Values
    decay: Values
    is_space: NDArray[np.bool_]
    phases: NDArray[np.float64]
    sides: Values
    pan: float
    breath: NDArray[np.float64] | None


@dataclass(frozen=True)
class Notes:
    """Notes of one kind in a song, in the order of their times.

    Attributes:
        seconds: since the song began, shape (n,).
        level_db: at their height, beside the held sounds, shape (n,).
        keys: symbol and number of each one's tone.
        tone: makes the tone of a key.
        life_s: after which nothing of a note is heard.
    """

    seconds: NDArray[np.float64]
    level_db: NDArray[np.float64]
    keys: list[tuple[int, int]]
    tone: Callable[[int, int], Tone]
    life_s: float


def make_tone(
    noise: NDArray[np.float64],
    tonal: NDArray[np.float64],
    root: int,
    manner: Manner,
    rng: np.random.Generator,
) -> Tone:
    """A tone in the colour of a sound.

    Args:
        noise: band powers of the sound's noise, shape (n_bands,).
        tonal: those of its tones.
        root: place of the fundamental.
        manner: how it is to sound.
        rng: for what is drawn of it.
    """
    colour = _colour(noise + tonal)
    hertz = place_hz()
    octave = PLACES_PER_BAND * AXIS.bands_per_octave
    numbers = np.arange(1, HARMONICS + 1)
    places = root + np.round(octave * np.log2(numbers)).astype(np.intp)
    inside = places < N_PLACES
    numbers, places = numbers[inside], places[inside]
    amplitude = np.sqrt(colour[places // PLACES_PER_BAND])
    amplitude /= max(amplitude[0], _NOTHING)  # a silent sound has silent notes
    amplitude = np.clip(amplitude, 0.0, 1.0) ** manner.colour / numbers**manner.slope
    heard = amplitude > _FAINT
    numbers, places, amplitude = numbers[heard], places[heard], amplitude[heard]
    n = len(places)
    shortest, longest = manner.attack_s
    attack = shortest * (longest / shortest) ** rng.random()
    decay = rng.uniform(*manner.decay_s) / (1.0 + manner.damping * (numbers - 1))
    beside = places + np.array([[-2], [-1], [1], [2]])[rng.permutation(4)[:2]]
    power = np.sum(amplitude**2 / 2.0 * k_weighting(hertz[places]))
    scale = np.sqrt(_K_OFFSET / 2.0 / max(float(power), 1e-12))
    space = np.full(2 * n, 10.0 ** (manner.space_db / 20.0) / np.sqrt(2.0))
    all_places = np.concatenate([places, beside.ravel()])
    return Tone(
        np.clip(all_places, 0, N_PLACES - 1),
        (scale * np.concatenate([amplitude, np.tile(amplitude, 2) * space])).astype(
            np.float32
        ),
        np.concatenate([np.full(n, attack), np.full(2 * n, SPACE_RISE_S)]).astype(
            np.float32
        ),
        np.concatenate([decay, manner.space_s / np.tile(numbers, 2) ** 0.5]).astype(
            np.float32
        ),
        np.arange(3 * n) >= n,
        rng.random(3 * n),
        np.where(rng.random(3 * n) < 0.5, -1.0, 1.0).astype(np.float32),
        float(rng.uniform(-manner.pan, manner.pan)),
        _breath(colour, noise, manner.breath_db),
    )


def mean_power(notes: Notes, seconds: float, space: float) -> float:
    """Power of notes on average, beside the sounds at whose level they are.

    Args:
        notes: of a song.
        seconds: that the song lasts.
        space: amplitude of their tails, 0..1.
    """
    lasting: dict[int, dict[int, float]] = {}  # by symbol and number
    for symbol, number in notes.keys:
        measured = lasting.setdefault(symbol, {})
        if number not in measured and len(measured) < _MEASURED:
            measured[number] = full_power_s(notes.tone(symbol, number), space)
    means = {symbol: np.mean(list(some.values())) for symbol, some in lasting.items()}
    each = np.array([means[symbol] for symbol, _ in notes.keys])
    return float(np.sum(each * 10.0 ** (notes.level_db / 10.0))) / seconds


def full_power_s(tone: Tone, space: float) -> float:
    """How long a note's height would have to last to be as loud as the whole note is.

    Args:
        tone: of the note.
        space: amplitude of its tail, 0..1.
    """
    weighted = tone.amplitude**2 / 2.0 * k_weighting(place_hz()[tone.places])
    weighted *= np.where(tone.is_space, space * space, 1.0)
    lasting = float(np.sum(weighted * _energy_s(tone.attack, tone.decay)))
    if tone.breath is not None:
        breath = float(np.sum(tone.breath * k_weighting(AXIS.centres)))
        shape = np.array([BREATH_ATTACK_S]), np.array([BREATH_DECAY_S])
        lasting += breath * float(_energy_s(*shape)[0])
    return lasting / (_K_OFFSET / 2.0)


def _energy_s(attack: NDArray[Any], decay: NDArray[Any]) -> NDArray[np.float64]:
    """Integral over time of an envelope's square, seconds.

    Power falls by a factor of e in half of a decay. The square of the rise has an area
    of 13/35, with its centre at 0.77 of the attack.
    """
    after = decay / 2.0 * np.exp(-2.0 * attack / decay)
    rising = 13.0 / 35.0 * attack * np.exp(-2.0 * 0.77 * attack / decay)
    return np.asarray(after + rising, np.float64)


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


def _breath(
    colour: NDArray[np.float64], noise: NDArray[np.float64], level_db: float | None
) -> NDArray[np.float64] | None:
    """Power of a breath in each band, at its height beside a note at 0 LUFS."""
    if level_db is None:
        return None
    floor = np.sqrt(colour * _colour(noise))
    loudness = _K_OFFSET / 2.0 * 10.0 ** (level_db / 10.0)
    weighted = float(np.sum(floor * k_weighting(AXIS.centres)))
    return np.asarray(floor / max(weighted / loudness, _NOTHING))


def _colour(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """A sound's spectrum, smoothed over half an octave."""
    smooth: NDArray[np.float64] = moving_mean(power, 61)
    return np.asarray(np.maximum(smooth, 1e-9 * smooth.max()))
