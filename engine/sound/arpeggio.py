"""Arpeggio: short notes in even time that run through the chord in force.

A song has one figure of some steps, drawn from its seed: a way up and down a ladder of
chord tones, with rests and accents. Each sound of the song has a ladder of its own, the
strongest partials of its spectrum folded into the middle range; so the figure goes on
while the chord moves under it. At some sounds it is softer, at one it is silent: it
comes and goes with the pattern.
"""

import numpy as np
from numpy.typing import NDArray

from effects.base.streams import Purpose, stream
from engine.compose.composer import ComposedSong
from engine.control.controls import Snapshot
from engine.sound.decoding import Decoded
from engine.sound.partials import PLACES_PER_BAND, gather, place_hz
from engine.sound.tones import Manner, Notes, Tone, make_tone
from model.config import AXIS

STEPS = (6, 8)  # of a figure, least and most
LADDER = 6  # chord tones that a figure runs through
LOWEST_HZ = 220.0  # of the ladder; it reaches up some two octaves
VOICED = 4  # pitch classes of a sound that are on its ladder, at most
APART = 1.5 / 12.0  # octaves between two of them, at least
REST = 0.1  # chance that a step of the figure is silent; its first never is
ACCENT_DB = 3.0  # from the softest to the loudest step
SHARES = (1.0, 1.0, 1.0, 0.6, 0.3)  # power at the five sounds, in a drawn order
SILENT_DB = -40.0  # below this a note is left out

MANNER = Manner(
    attack_s=(0.008, 0.03),
    decay_s=(0.18, 0.3),
    colour=0.4,
    slope=0.8,
    damping=0.17,
    pan=0.5,
    breath_db=None,
    space_s=1.4,
    space_db=-10.0,
    life_s=6.0,
)

Places = NDArray[np.intp]


class Arpeggio:
    """The arpeggio of a song; its tones are made when they are first asked for.

    Args:
        sounds: of the five symbols, tuned.
        song: composed.
        seed: of the stream.
    """

    def __init__(self, sounds: Decoded, song: ComposedSong, seed: int) -> None:
        self._sounds, self._song, self._seed = sounds, song, seed
        # With the title, a seed has other figures in each preset.
        rng = stream(Purpose.SONG_ARPEGGIO, seed, song.index, song.title)
        n = int(rng.integers(STEPS[0], STEPS[1] + 1))
        self._figure = _figure(n, rng)
        self._accents_db = -ACCENT_DB * rng.random(n)
        self._accents_db[0] = 0.0
        self._rests = rng.random(n) < REST
        self._rests[0] = False
        self._shares = rng.permutation(SHARES)
        self._rank = rng.random()  # it is there where the share of songs is above
        self._made: dict[tuple[int, int], Tone] = {}
        self._ladders: dict[int, Places] = {}

    def notes(self, controls: Snapshot) -> Notes:
        """The notes that there are with these controls."""
        rate = float(controls["arpeggio/rate"])
        count = int(self._song.duration * rate) if self._is_there(controls) else 0
        number = np.arange(count)
        step = number % len(self._figure)
        seconds = number / rate if count else np.zeros(0)
        weights = self._song.path.weights(seconds)
        share = np.maximum(weights @ self._shares, 1e-9)
        level = self._accents_db[step] + 10.0 * np.log10(share)
        heard = (level > SILENT_DB) & ~self._rests[step]
        symbols = weights.argmax(axis=1)
        return Notes(
            seconds[heard],
            level[heard] + float(controls["arpeggio/level"]),
            list(zip(symbols[heard].tolist(), step[heard].tolist(), strict=True)),
            self._tone,
            MANNER.life_s,
        )

    def _is_there(self, controls: Snapshot) -> bool:
        return bool(self._rank < float(controls["arpeggio/share"]))

    def _tone(self, symbol: int, step: int) -> Tone:
        key = (symbol, int(self._figure[step]))
        if key not in self._made:
            noise, tonal = self._sounds.noise[symbol], self._sounds.tonal[symbol]
            if symbol not in self._ladders:
                self._ladders[symbol] = _ladder(gather(tonal, nearest_hz=0.0))
            root = int(self._ladders[symbol][key[1]])
            rng = stream(Purpose.ARPEGGIO_NOTE, self._seed, self._song.index, *key)
            self._made[key] = make_tone(noise, tonal, root, MANNER, rng)
        return self._made[key]


def _figure(n: int, rng: np.random.Generator) -> Places:
    """Rungs of a ladder in the order of a figure, shape (n,).

    Steps of one or two rungs up or down, turned back at the ladder's ends; it begins
    on the lowest.
    """
    moves = rng.choice([-2, -1, 1, 1, 2, 2], size=n - 1)
    rungs = [0]
    for move in moves.tolist():
        rung = rungs[-1] + move
        if not 0 <= rung < LADDER:
            rung = rungs[-1] - move
        rungs.append(rung)
    return np.array(rungs)


def _ladder(power: NDArray[np.float32]) -> Places:
    """Places of chord tones of a sound, ascending, shape (LADDER,).

    Args:
        power: of its partials, shape (N_PLACES,).
    """
    hertz = place_hz()
    octave = PLACES_PER_BAND * AXIS.bands_per_octave
    lowest = int(np.searchsorted(hertz, LOWEST_HZ))
    low, high = np.searchsorted(hertz, (60.0, 1600.0))
    classes: list[float] = []
    for place in (low + np.argsort(-power[low:high], kind="stable")).tolist():
        if len(classes) == VOICED or power[place] <= 1e-4 * power.max():
            break
        found = ((place - lowest) / octave) % 1.0
        if all(abs((found - kept + 0.5) % 1.0 - 0.5) >= APART for kept in classes):
            classes.append(found)
    classes = sorted(classes) or [0.0]
    rungs = np.arange(LADDER)
    turns = rungs // len(classes) + np.array(classes)[rungs % len(classes)]
    places: Places = np.round(lowest + octave * turns).astype(np.intp)
    return places
