"""Foreground: sparse notes with soft attacks and a breath, of the song's own sounds.

Every step of a song's pattern has the same number of moments at which a note may begin.
Which of them do, and which notes they are, is a motif of the step's symbol, with some
chance: so a section that comes back brings its motif back. A note stands on a partial
of the sound of its step, and so in the chord that is in force.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from effects.base.streams import Purpose, stream
from engine.compose.composer import ComposedSong
from engine.compose.path import SYMBOLS, SongPath
from engine.control.controls import Snapshot
from engine.sound.decoding import Decoded
from engine.sound.partials import PLACES_PER_BAND, gather, place_hz
from engine.sound.tones import Manner, Notes, Tone, make_tone
from model.config import AXIS

MOMENTS = 16  # of a step, at which a note may begin
LOWEST_HZ, HIGHEST_HZ = 100.0, 480.0  # of fundamentals
STAGGER_S = 0.06  # standard deviation of a note's time against its moment

MANNER = Manner(
    attack_s=(0.05, 0.25),
    decay_s=(0.7, 1.9),
    colour=1.0,
    slope=0.9,
    damping=0.25,
    pan=0.3,
    breath_db=4.5,
    space_s=3.2,
    space_db=-3.0,
    life_s=14.0,
)

Values = NDArray[np.float32]
Places = NDArray[np.intp]


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


class Foreground:
    """The foreground of a song; its tones are made when they are first asked for.

    Args:
        sounds: of the five symbols, tuned.
        song: composed.
        seed: of the stream.

    Attributes:
        score: all notes that there may be.
    """

    def __init__(self, sounds: Decoded, song: ComposedSong, seed: int) -> None:
        self._sounds, self._seed, self._song = sounds, seed, song.index
        self.score = write_score(song.path, song.duration, seed, song.index)
        self._made: dict[tuple[int, int], Tone] = {}

    def notes(self, controls: Snapshot) -> Notes:
        """The notes that there are with these controls."""
        score = self.score
        which = np.flatnonzero(score.sounding(float(controls["foreground/density"])))
        level = float(controls["foreground/level"])
        return Notes(
            score.seconds[which],
            np.full(len(which), level),
            list(
                zip(
                    score.symbols[which].tolist(),
                    score.moments[which].tolist(),
                    strict=True,
                )
            ),
            self._tone,
            MANNER.life_s,
        )

    def _tone(self, symbol: int, moment: int) -> Tone:
        key = (symbol, moment)
        if key not in self._made:
            rng = stream(Purpose.NOTE, self._seed, self._song, symbol, moment)
            noise, tonal = self._sounds.noise[symbol], self._sounds.tonal[symbol]
            root = _root(gather(tonal, nearest_hz=0.0), rng)
            self._made[key] = make_tone(noise, tonal, root, MANNER, rng)
        return self._made[key]


def _root(power: Values, rng: np.random.Generator) -> int:
    """Place of a fundamental: a partial of a sound, moved by octaves into range."""
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
