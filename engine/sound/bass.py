"""The bass: two notes apart where it has one alone or many, and the octave below.

Sounds of a timbre space are often of one low note, or of none. One that is alone is the
strongest all the time, and stands for the whole song; with a second beside it, now the
one and now the other is stronger, as both swell. Of several that are close together,
the stronger ones stand out: seconds to fourths are rough down there, which arrangers
know as low interval limits. What recordings have below 66 Hz is let down from the tones
above.
"""

import numpy as np
from numpy.typing import NDArray

from model.config import AXIS
from model.spectrum import moving_mean

# A note within these gets a second within them: the fifth above, or where that is too
# high the same note an octave down, a fourth below. A fifth below would be a new root.
NOTES_HZ = (80.0, 165.0)
ALONE_DB = (9.0, 15.0)  # by which the first note leads by itself
LEAD_DB = (9.0, 1.2)  # by which it then leads the second
_FIFTH_UP, _FOURTH_DOWN = 71, -51  # bands

# Within these frequencies a note gives way to notes so many bands above and below it.
# Its gain is its share of their power and its own, raised to an exponent. The exponent
# grows with the crowd: the mean of what the shares lack of 1.
CLOSE_HZ = (55.0, 185.0)
CLOSE_BANDS = (15, 55)  # one and a half to five and a half semitones
YIELD = 1.2  # the exponent, where the crowd is complete
CROWDED = (0.2, 0.5)  # from which it begins, and is complete

# An octave or more below the sound's own partials: what lies an octave up in these is
# let down into the lowest, by the given share of its power.
SUB_HZ = (33.0, 66.0)
SUB_SHARES = (0.5, 0.18, 0.06, 0.03, 0.02, 0.02)
SUB_MOST = 0.025  # of the whole power: where that much is there already, none is added

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
            reach = np.arange(first - _SEMITONE, first + _SEMITONE)
            row[reach + moved] += row[reach] * (lacking / power)


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


def add_sub(noise: Powers, tonal: Powers) -> None:
    """Let tones down by octaves into the lowest, as far as it is empty, in place.

    Args:
        noise: band powers, shape (n, n_bands).
        tonal: the same of partials, which are added to.
    """
    octave = round(AXIS.bands_per_octave)
    low, high = np.searchsorted(AXIS.centres, SUB_HZ)
    sub = np.zeros((len(tonal), high - low))
    for number, share in enumerate(SUB_SHARES, 1):
        sub += share * tonal[:, low + number * octave : high + number * octave]
    # The strongest note stands out of the others: many so low would beat fast.
    note = np.maximum(moving_mean(sub, _SEMITONE, "symmetric"), 0.0)
    note /= np.maximum(note.max(axis=1, keepdims=True), 1e-20)
    sub *= note**3
    total = noise.sum(axis=1) + tonal.sum(axis=1)
    below = noise[:, :high].sum(axis=1) + tonal[:, :high].sum(axis=1)
    lacking = np.maximum(SUB_MOST * total - below, 0.0)
    sub *= np.minimum(1.0, lacking / np.maximum(sub.sum(axis=1), 1e-20))[:, None]
    tonal[:, low:high] += sub
