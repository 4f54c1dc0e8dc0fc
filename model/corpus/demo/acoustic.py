"""Instruments that are blown, bowed, struck or sung: families of partials.

Each function is one family. It draws one instrument by chance: a function from the
frequency of a note to its partials.
"""

import numpy as np

from model.corpus.demo.partials import (
    Array,
    Instrument,
    TonePartials,
    draw_cents,
    spread,
)


def harmonic(rng: np.random.Generator) -> Instrument:
    """Additive: a harmonic series with a slope, odd or even, slightly stretched."""
    k = np.arange(1, 65, dtype=np.float64)
    amplitude = k ** -rng.uniform(0.7, 2.2)
    amplitude[1::2] *= rng.uniform(0.1, 1.0)
    amplitude *= np.exp(rng.normal(0.0, 0.5, len(k)))
    ratio = k * np.sqrt(1.0 + rng.uniform(0.0, 3e-4) * k**2)
    return _fixed(ratio, amplitude, draw_cents(rng, 1.5, 12.0))


def pad(rng: np.random.Generator) -> Instrument:
    """A soft harmonic series of many detuned voices."""
    k = np.arange(1, 49, dtype=np.float64)
    amplitude = k ** -rng.uniform(1.0, 2.5) * np.exp(rng.normal(0.0, 0.3, len(k)))
    return _fixed(k, amplitude, draw_cents(rng, 8.0, 50.0))


def organ(rng: np.random.Generator) -> Instrument:
    """Drawbars: a few strong harmonics in octaves and fifths."""
    k = np.array([0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 12, 16])
    return _fixed(k, rng.random(len(k)) ** 2 / np.sqrt(k), draw_cents(rng, 0.5, 4.0))


def bell(rng: np.random.Generator) -> Instrument:
    """Inharmonic: sidebands of frequency modulation at an irrational ratio."""
    ratio = rng.choice([1.41, 1.73, 2.76, 3.51, 0.68, 2.24])
    order = np.arange(-8, 9, dtype=np.float64)
    index = rng.uniform(0.5, 3.0)
    amplitude = (
        index ** np.abs(order) / _factorial(np.abs(order)) / 2.0 ** np.abs(order)
    )
    return _fixed(np.abs(1.0 + ratio * order), amplitude, draw_cents(rng, 0.5, 3.0))


def glass(rng: np.random.Generator) -> Instrument:
    """Bars and glasses: modes of a free bar (1, 2.76, 5.40, 8.93, 13.34)."""
    modes = np.array([1.0, 2.756, 5.404, 8.933, 13.345])
    modes = modes * np.exp(rng.normal(0.0, 0.01, len(modes)))
    amplitude = rng.uniform(0.3, 0.8) ** np.arange(5.0)
    return _fixed(modes, amplitude, draw_cents(rng, 0.5, 3.0))


# First three formants (Hz) of sung vowels a, e, i, o, u (after Peterson and Barney,
# JASA 24, 1952: means over men).
VOWELS = np.array(
    [
        [730, 1090, 2440],
        [530, 1840, 2480],
        [270, 2290, 3010],
        [570, 840, 2410],
        [300, 870, 2240],
    ],
    np.float64,
)


def choir(rng: np.random.Generator) -> Instrument:
    """Voices: a harmonic series under the formants of a vowel, in many throats."""
    k = np.arange(1, 65, dtype=np.float64)
    formants = VOWELS[rng.integers(len(VOWELS))] * rng.uniform(1.0, 1.2)
    cents = draw_cents(rng, 12.0, 35.0)

    def play(note: float) -> TonePartials:
        hertz = note * k
        gain = np.full(len(k), 0.02)
        for strength, formant in zip((1.0, 0.6, 0.3), formants, strict=True):
            gain += strength / (1.0 + ((hertz - formant) / (0.1 * formant + 40)) ** 2)
        return spread(hertz, gain / k**0.5, cents)

    return play


def bowed(rng: np.random.Generator) -> Instrument:
    """Strings: a saw-tooth series through the resonances of a body."""
    k = np.arange(1, 81, dtype=np.float64)
    resonances = np.exp(rng.uniform(np.log(150.0), np.log(5000.0), 8))
    heights = rng.uniform(0.3, 2.0, 8)
    slope = rng.uniform(0.9, 1.5)
    cents = draw_cents(rng, 5.0, 25.0)

    def play(note: float) -> TonePartials:
        hertz = note * k
        away = (hertz[:, None] - resonances) / (0.12 * resonances)
        gain = 0.3 + (heights / (1.0 + away**2)).sum(axis=1)
        return spread(hertz, gain / k**slope, cents)

    return play


def flute(rng: np.random.Generator) -> Instrument:
    """Blown pipes: a strong fundamental, few harmonics."""
    k = np.arange(1, 9, dtype=np.float64)
    return _fixed(k, rng.uniform(0.15, 0.5) ** (k - 1.0), draw_cents(rng, 3.0, 12.0))


def tape(rng: np.random.Generator) -> Instrument:
    """A tone worn by tape: odd harmonics of saturation, flutter, few highs."""
    k = np.arange(1, 33, dtype=np.float64)
    amplitude = k ** -rng.uniform(1.2, 2.0)
    amplitude[2::2] *= rng.uniform(1.0, 2.5)
    corner = rng.uniform(1200.0, 4000.0)
    cents = draw_cents(rng, 12.0, 30.0)

    def play(note: float) -> TonePartials:
        heard = amplitude / (1.0 + (note * k / corner) ** 2)
        return spread(note * k, heard, cents)

    return play


def shimmer(rng: np.random.Generator) -> Instrument:
    """Octaves fed back above octaves, each wider and softer than the one below."""
    k = np.arange(1, 7, dtype=np.float64)
    slope, fall = float(rng.uniform(1.5, 3.0)), float(rng.uniform(0.35, 0.8))
    octave: Array = np.arange(5, dtype=np.float64)
    ratio: Array = np.outer(2.0**octave, k).ravel()
    amplitude: Array = np.outer(fall**octave, k**-slope).ravel()
    cents = draw_cents(rng, 8.0, 16.0) * np.repeat(1.4**octave, len(k))
    return _fixed(ratio, amplitude, cents)


def brushed(rng: np.random.Generator) -> Instrument:
    """Noise through sharp resonances: a bowed plate, a brushed string."""
    k = np.arange(1, 17, dtype=np.float64)
    return _fixed(k, k ** -rng.uniform(0.5, 1.5), draw_cents(rng, 35.0, 90.0))


def wind(rng: np.random.Generator) -> Instrument:
    """Wind in a gap: noise through two or three broad resonances."""
    n = int(rng.integers(2, 4))
    ratio: Array = np.cumprod(rng.uniform(1.5, 2.2, n)).astype(np.float64)
    amplitude: Array = float(rng.uniform(0.4, 0.9)) ** np.arange(n, dtype=np.float64)
    return _fixed(ratio, amplitude, draw_cents(rng, 120.0, 260.0))


def _fixed(ratio: Array, amplitude: Array, cents: float | Array) -> Instrument:
    """An instrument whose spectrum moves along with the note."""
    return lambda note: spread(note * ratio, amplitude, cents)


def _factorial(order: Array) -> Array:
    steps = np.concatenate([[1.0], np.cumprod(np.arange(1.0, 9.0))])
    return np.asarray(steps[order.astype(np.intp)])
