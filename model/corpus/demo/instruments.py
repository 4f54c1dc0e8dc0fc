"""The catalogue of the project's own instruments.

An instrument is the same for every note and clip that it plays, as a real one is;
chance in every note would be of a thousand dimensions, which no model of 32 latents
could carry.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from effects.base.streams import Purpose, stream
from model.corpus.demo import acoustic, electronic
from model.corpus.demo.partials import Instrument

N_INSTRUMENTS = 8  # of each family

# Each with how often it is drawn, against the others. Two are noise: seldom.
FAMILIES: dict[str, tuple[Callable[[np.random.Generator], Instrument], float]] = {
    "harmonic": (acoustic.harmonic, 1.0),
    "pad": (acoustic.pad, 1.0),
    "organ": (acoustic.organ, 1.0),
    "bell": (acoustic.bell, 1.0),
    "glass": (acoustic.glass, 1.0),
    "choir": (acoustic.choir, 1.0),
    "bowed": (acoustic.bowed, 1.0),
    "flute": (acoustic.flute, 1.0),
    "tape": (acoustic.tape, 1.0),
    "shimmer": (acoustic.shimmer, 1.0),
    "brushed": (acoustic.brushed, 0.5),
    "wind": (acoustic.wind, 0.3),
    "supersaw": (electronic.supersaw, 2.0),
    "pulse": (electronic.pulse, 2.0),
    "drone": (electronic.drone, 2.0),
    "wavetable": (electronic.wavetable, 2.0),
    "fm": (electronic.fm, 2.0),
    "folded": (electronic.folded, 1.0),
    "ensemble": (electronic.ensemble, 2.0),
    "vowel": (electronic.vowel, 2.0),
    "padsynth": (electronic.padsynth, 2.0),
}


@cache
def instrument(family: str, number: int) -> Instrument:
    """One of the catalogue: the same in every corpus, whatever its seed.

    Args:
        family: a name of `FAMILIES`.
        number: 0 .. N_INSTRUMENTS - 1.
    """
    return FAMILIES[family][0](stream(Purpose.DEMO_INSTRUMENT, family, number))


def draw_instrument(rng: np.random.Generator) -> tuple[str, int]:
    """Family and number of a random instrument."""
    share = np.array([weight for _, weight in FAMILIES.values()])
    family = rng.choice(len(share), p=share / share.sum())
    return list(FAMILIES)[family], int(rng.choice(N_INSTRUMENTS))
