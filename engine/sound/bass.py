"""The bass: two notes apart where one leads or many crowd, and the octaves below.

Sounds of a timbre space are often of one low note, or of none. One that leads the
others is the strongest all the time, and stands for the whole song; with a second
nearly as strong, now the one and now the other leads, as both swell. Of several that
are close together, the stronger ones stand out: seconds and thirds are rough down
there, which arrangers know as low interval limits. What recordings have in the lowest
two octaves is let down from the tones above, and the lowest is held at its share.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model.config import AXIS
from model.spectrum import moving_mean

# A note within these gets a second within them: the fifth above, or where that is too
# high the same note an octave down, a fourth below. A fifth below would be a new root.
NOTES_HZ = (80.0, 165.0)
ALONE_DB = (5.0, 11.0)  # by which the first note leads by itself
LEAD_DB = (3.5, 2.0)  # by which it then leads the second
CROWDED_BY = 0.25  # of the second's power, close to where it is to be: none is added
_FIFTH_UP, _FOURTH_DOWN = 71, -51  # bands

# Within these frequencies a note gives way to notes so many bands above and below it.
# Its gain is its share of their power and its own, raised to an exponent. The exponent
# grows with the crowd: the mean of what the shares lack of 1.
CLOSE_HZ = (55.0, 185.0)
CLOSE_BANDS = (15, 45)  # one and a half to four and a half semitones
YIELD = 1.2  # the exponent, where the crowd is complete
CROWDED = (0.2, 0.5)  # from which it begins, and is complete

# The lowest two octaves, by their lower ends: what lies one octave up, two and so on is
# let down into them, by the given shares of its power. The upper one comes first, so
# that the lower has something one octave up.
LOW_OCTAVES_HZ = (66.0, 33.0)
LOW_SHARES = (0.5, 0.18, 0.06, 0.03, 0.02, 0.02)
LOW_ENOUGH = 0.025  # of the whole power: to an octave that has so much, none is added

# The lowest: all of what is below the first, less and less up to the second.
LOWEST_HZ = (50.0, 80.0)
LOWEST_MOST = 0.4  # of the whole power that the lowest may have
LOWEST_GAIN = 0.1  # of power, by which it is lowered at most

_SEMITONE = 10  # bands
_NOTE = 7  # bands on either side that belong to a note

Powers = NDArray[np.float64]


def add_second(tonal: Powers) -> None:
    """Add a second note to a bass of one, in place.

    Args:
        tonal: band powers of partials, shape (n, n_bands).
    """
    inside = np.searchsorted(AXIS.centres, NOTES_HZ)
    # A semitone more on either side, to see what belongs to a note outside.
    low, high = inside[0] - _SEMITONE, inside[1] + _SEMITONE
    notes = np.maximum(moving_mean(tonal[:, low:high], _SEMITONE, "symmetric"), 0.0)
    for row, note in zip(tonal, notes, strict=True):
        first = low + int(note.argmax())
        if not inside[0] <= first < inside[1]:
            continue
        place, others = first - low, note.copy()
        power = note[place]
        others[max(0, place - 2 * _SEMITONE) : place + 2 * _SEMITONE] = 0.0
        lead_db = 10.0 * np.log10((power + 1e-20) / (others.max() + 1e-20))
        wanted = 10.0 ** (-np.interp(lead_db, ALONE_DB, LEAD_DB) / 10.0) * power
        if (lacking := float(wanted - others.max())) > 0.0:
            moved = _FIFTH_UP if first + _FIFTH_UP < inside[1] else _FOURTH_DOWN
            lacking *= _room(others, place + moved, CROWDED_BY * wanted)
            reach = np.arange(first - _SEMITONE, first + _SEMITONE)
            row[reach + moved] += row[reach] * (lacking / power)


def _room(notes: Powers, place: int, most: float) -> float:
    """How much room there is for a note: 0 where one close to it has so much power."""
    far = CLOSE_BANDS[1]
    around = notes[max(0, place - far) : place + far].copy()
    middle = min(place, far)
    around[max(0, middle - _NOTE) : middle + _NOTE + 1] = 0.0
    return float(np.clip(1.0 - around.max() / (most + 1e-20), 0.0, 1.0))


def part_close_notes(tonal: Powers) -> None:
    """Let the stronger of close bass notes stand out, in place; the bass is as strong.

    Args:
        tonal: band powers of partials, shape (n, n_bands).
    """
    low, high = np.searchsorted(AXIS.centres, CLOSE_HZ)
    bass = tonal[:, low:high]
    n_bands = int(high - low)
    sums = np.zeros((len(bass), n_bands + 1))
    np.cumsum(bass, axis=1, out=sums[:, 1:])
    place = np.arange(n_bands)

    def within(first: int, last: int) -> Powers:
        """Power from one distance above each band to another."""
        begin, end = np.clip([place + first, place + last + 1], 0, n_bands)
        return np.asarray(np.maximum(sums[:, end] - sums[:, begin], 0.0))

    near, far = CLOSE_BANDS
    own = within(-_NOTE, _NOTE) + 1e-20
    share = own / (own + within(near, far) + within(-far, -near))
    before = bass.sum(axis=1, keepdims=True) + 1e-20
    crowd = 1.0 - (share * bass).sum(axis=1, keepdims=True) / before
    bass *= share ** (YIELD * np.interp(crowd, CROWDED, (0.0, 1.0)))
    bass *= before / (bass.sum(axis=1, keepdims=True) + 1e-20)


def add_low_octaves(noise: Powers, tonal: Powers) -> None:
    """Let tones down by octaves into the lowest two, as far as these are empty.

    Args:
        noise: band powers, shape (n, n_bands).
        tonal: the same of partials, which are added to in place.
    """
    total = noise.sum(axis=1) + tonal.sum(axis=1)
    for from_hz in LOW_OCTAVES_HZ:
        _let_down(noise, tonal, from_hz, LOW_ENOUGH * total)


def hold_lowest(noise: Powers, tonal: Powers) -> None:
    """Lower what is lowest until it has no more than its share of the whole, in place.

    Args:
        noise: band powers, shape (n, n_bands).
        tonal: the same of partials.
    """
    share = _lowest_share()
    n_low = len(share)
    lowest = (noise[:, :n_low] + tonal[:, :n_low]) @ share
    rest = noise.sum(axis=1) + tonal.sum(axis=1) - lowest
    most = LOWEST_MOST / (1.0 - LOWEST_MOST) * rest
    gain = np.clip(most / (lowest + 1e-20), LOWEST_GAIN, 1.0)
    gains = 1.0 - share * (1.0 - gain[:, None])
    noise[:, :n_low] *= gains
    tonal[:, :n_low] *= gains


@lru_cache(maxsize=1)
def _lowest_share() -> Powers:
    """How far each of the lowest bands is lowered; those above them are not."""
    octaves = np.log2(AXIS.centres / LOWEST_HZ[1])
    reach = octaves / np.log2(LOWEST_HZ[0] / LOWEST_HZ[1])
    n_low = int(np.searchsorted(AXIS.centres, LOWEST_HZ[1]))
    return np.asarray(np.clip(reach[:n_low], 0.0, 1.0))


def _let_down(noise: Powers, tonal: Powers, from_hz: float, enough: Powers) -> None:
    """Let tones down into the octave from a frequency on, up to a power there."""
    octave = round(AXIS.bands_per_octave)
    low = int(np.searchsorted(AXIS.centres, from_hz))
    high = low + octave
    added = np.zeros((len(tonal), octave))
    for number, share in enumerate(LOW_SHARES, 1):
        added += share * tonal[:, low + number * octave : high + number * octave]
    # The strongest note stands out of the others: many so low would beat fast.
    note = np.maximum(moving_mean(added, _SEMITONE, "symmetric"), 0.0)
    note /= np.maximum(note.max(axis=1, keepdims=True), 1e-20)
    added *= note**3
    there = noise[:, low:high].sum(axis=1) + tonal[:, low:high].sum(axis=1)
    lacking = np.maximum(enough - there, 0.0)
    added *= np.minimum(1.0, lacking / np.maximum(added.sum(axis=1), 1e-20))[:, None]
    tonal[:, low:high] += added
