"""How what a player decoded of a stream compares with the recording of a session."""

from dataclasses import dataclass

import numpy as np

from effects.audio.levels import Samples
from tests.support import audio

RATE = 48_000
EDGES_HZ = 100.0 * 2.0 ** (np.arange(21) / 3.0)  # thirds of octaves to 10 kHz
SOFTEST_DB = -60.0  # softer bands, against the loudest, are left out
SETTLED_S = 2.0  # of what was decoded, for decoders and resamplers to settle
BLOCK_S = 3.0  # of sound that is compared at once
ALIGNED_S = 4  # that are looked for in the recording
THINNED = 8  # samples of which one counts at first: where the part is, about


@dataclass(frozen=True)
class Likeness:
    """How what a player decoded compares with the recording.

    Attributes:
        n_blocks: blocks of three seconds that were compared.
        n_equal: of these, those that are equal sample for sample.
        jumps: between blocks that do not lie one after the other in the recording.
        band_db: greatest difference of a third of an octave over all blocks.
    """

    n_blocks: int
    n_equal: int
    jumps: int
    band_db: float


def likeness(samples: Samples, recording: Samples) -> Likeness:
    """Compare block by block, each where it is found in the recording."""
    sounding = np.flatnonzero(np.any(samples != 0.0, axis=1))
    samples = samples[sounding[0] + round(SETTLED_S * RATE) : -RATE // 2]
    n, at = round(BLOCK_S * RATE), place_of(samples[: ALIGNED_S * RATE], recording)
    blocks, equal, jumps = 0, 0, 0
    powers = np.zeros((2, len(EDGES_HZ) - 1))
    for begin in range(0, len(samples) - n, n):
        part = samples[begin : begin + n]
        first = max(0, at - RATE)
        window = recording[first : at + n + RATE]
        if len(window) < n + RATE:
            break
        found = first + audio.align(window, part, len(window) - n)
        jumps += found != at
        expected = recording[found : found + n]
        at = found + n
        blocks, equal = blocks + 1, equal + int(np.array_equal(part, expected))
        powers += [band_powers(part), band_powers(expected)]
    levels = 10.0 * np.log10(powers + 1e-20)
    loud = levels[1] > levels[1].max() + SOFTEST_DB
    worst = float(np.max(np.abs(levels[0] - levels[1])[loud])) if blocks else np.inf
    return Likeness(blocks, equal, jumps, worst)


def place_of(part: Samples, recording: Samples) -> int:
    """The sample of a recording at which a part of it begins."""
    whole, piece = recording[::THINNED], part[::THINNED]
    near = THINNED * audio.align(whole, piece, len(whole) - len(piece) - 1)
    first = max(0, near - 4 * THINNED)
    window = recording[first : near + len(part) + 4 * THINNED]
    return first + audio.align(window, part, len(window) - len(part))


def band_powers(samples: Samples) -> np.ndarray:
    """Power of thirds of octaves."""
    power = np.sum(np.abs(np.fft.rfft(samples, axis=0)) ** 2, axis=1)
    hertz = np.fft.rfftfreq(len(samples), 1.0 / RATE)
    return np.add.reduceat(power, np.searchsorted(hertz, EDGES_HZ))[:-1]
