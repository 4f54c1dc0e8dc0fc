"""How far the wiggle of a song reaches: about equally far to the ear in all songs.

Where sounds change fast from point to point, the same circles in timbre space are a
restless song, and elsewhere hardly a movement. So a song's circles are made smaller or
larger, within bounds, by how far the sounds on them lie from those in their middles.
Bright sounds have more bands that are heard to change: in them it is a little less far.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from effects.base.streams import Purpose, stream
from engine.compose.distance import apart_db, coarse_spectra
from engine.compose.face import FiveSounds
from engine.compose.wiggler import PERIOD, Wiggler, draw_wiggler
from model.inference import TimbreModel
from model.spectrum import brightness_octaves

# Mean distance of sounds on the circles from those in the middle, at a brightness in
# octaves above 20 Hz; of each octave more, such a share less far.
REACH_DB, MIDDLE_OCTAVES = 7.0, 4.5
BRIGHTER = 0.08
AMOUNT = 0.6  # at which that is so, with all circles
LEAST, MOST = 0.7, 1.4  # times the circles as drawn

# Turns of the slowest circle at which sounds are compared. Steps of the golden section
# lie evenly around each circle, whatever its speed.
_TURNS = PERIOD * (((np.sqrt(5.0) - 1.0) / 2.0 * np.arange(16) + 0.5) % 1.0)


@lru_cache(maxsize=8)
def song_wiggler(
    model: TimbreModel, sounds: FiveSounds, seed: int, index: int
) -> Wiggler:
    """The wiggler of song `index`.

    Args:
        model: timbre space.
        sounds: of the song.
        seed: of the stream of songs.
        index: of the song in it.
    """
    rng = stream(Purpose.SONG_WIGGLE, seed, index)
    return reaching(model, sounds, draw_wiggler(model.n_latents, rng))


def reaching(model: TimbreModel, sounds: FiveSounds, drawn: Wiggler) -> Wiggler:
    """A wiggler with circles of another size.

    Args:
        model: timbre space.
        sounds: of a song, which the circles are around.
        drawn: what chance gave the song.
    """
    times = wanted_db(model, sounds) / max(reach_db(model, sounds, drawn, _TURNS), 1e-3)
    times = float(np.clip(times, LEAST, MOST))
    return Wiggler(times * drawn.sine, times * drawn.cosine)


def wanted_db(model: TimbreModel, sounds: FiveSounds) -> float:
    """How far the circles of a song are to reach, dB."""
    octaves = brightness_octaves(sounds.power, model.axis).mean()
    return float(REACH_DB * (1.0 - BRIGHTER * (octaves - MIDDLE_OCTAVES)))


def reach_db(
    model: TimbreModel,
    sounds: FiveSounds,
    wiggler: Wiggler,
    turns: NDArray[np.float64],
) -> float:
    """Mean distance of sounds on the circles of a song from those in the middle, dB.

    Args:
        model: timbre space.
        sounds: of the song.
        wiggler: of the song.
        turns: of the slowest circle, at which sounds are compared, shape (n,).
    """
    offsets = wiggler.offset(turns, AMOUNT, 1.0)
    around = sounds.points[:, None] + offsets.astype(np.float32)
    timbres = model.decode(around.reshape(-1, sounds.points.shape[1]))
    middles = coarse_spectra(sounds.power, model.axis)
    others = coarse_spectra(model.axis.to_power(timbres), model.axis)
    others = others.reshape(len(middles), len(turns), -1)
    return float(apart_db(others, middles[:, None]).mean())
