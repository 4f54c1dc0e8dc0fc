"""Synthesisers: families of partials, as in `acoustic`.

Oscillators in unison, filters, frequency modulation and wavetables, each as the
spectrum that it holds. A filter that sweeps is held still: the sweep is what a path
through the timbre space makes of several instruments.
"""

from collections.abc import Sequence

import numpy as np

from model.corpus.demo.acoustic import VOWELS
from model.corpus.demo.partials import (
    Array,
    Instrument,
    TonePartials,
    draw_cents,
    spread,
)

N_HARMONICS = 96
PERIOD = 2048  # samples of one period of a waveform
STEADY_CENTS = 0.8  # width of an oscillator's line
# Where the seven saws of a supersaw lie, as shares of the detuning (after Szabo, How
# to Emulate the Super Saw, KTH 2010).
SUPERSAW = (-0.110, -0.063, -0.020, 0.0, 0.020, 0.062, 0.107)

_K = np.arange(1, N_HARMONICS + 1, dtype=np.float64)


def supersaw(rng: np.random.Generator) -> Instrument:
    """Seven detuned saw-tooths through a filter that follows the note."""
    detune = draw_cents(rng, 80.0, 350.0) * np.array(SUPERSAW)
    mix = np.full(7, rng.uniform(0.4, 1.0))
    mix[3] = 1.0
    corner, order = draw_cents(rng, 5.0, 40.0), int(rng.choice([1, 2]))
    amplitude = 1.0 / _K / np.sqrt(1.0 + (_K / corner) ** (2 * order))
    return lambda note: _unison(note * _K, amplitude, detune, mix)


def pulse(rng: np.random.Generator) -> Instrument:
    """Two pulse waves whose width is modulated, an octave below a square, a ladder."""
    duty = rng.uniform(0.1, 0.5) + rng.uniform(0.0, 0.08) * np.linspace(-1.0, 1.0, 9)
    amplitude = np.sqrt(np.mean(np.sin(np.pi * np.outer(_K, duty)) ** 2, axis=1)) / _K
    detune = np.array([-0.5, 0.5]) * draw_cents(rng, 4.0, 16.0)
    below = rng.uniform(0.2, 0.7) * (rng.random() < 0.5)
    corner, tracking = draw_cents(rng, 500.0, 5000.0), rng.uniform(0.0, 0.8)
    resonance = rng.uniform(0.0, 2.5)

    def play(note: float) -> TonePartials:
        odd = _K[:48:2]
        voices = _unison(note * _K, amplitude, detune)
        square = spread(0.5 * note * odd, below / odd, STEADY_CENTS)
        hertz = np.concatenate([voices.hertz, square.hertz])
        gain = ladder_response(hertz, _tracked(corner, note, tracking), resonance)
        heard = np.concatenate([voices.amplitude, square.amplitude]) * gain
        return spread(hertz, heard, STEADY_CENTS)

    return play


def drone(rng: np.random.Generator) -> Instrument:
    """Two or three saw-tooths through a low, resonant ladder."""
    n = int(rng.integers(2, 4))
    detune = np.linspace(-0.5, 0.5, n) * draw_cents(rng, 3.0, 14.0)
    corner, resonance = draw_cents(rng, 300.0, 2400.0), rng.uniform(0.5, 3.4)
    tracking = rng.uniform(0.0, 0.5)

    def play(note: float) -> TonePartials:
        hertz = note * _K
        gain = ladder_response(hertz, _tracked(corner, note, tracking), resonance)
        return _unison(hertz, gain / _K, detune)

    return play


def wavetable(rng: np.random.Generator) -> Instrument:
    """A position between two tables of harmonics, in unison."""
    place = rng.random()
    amplitude = (1.0 - place) * _table(rng) + place * _table(rng)
    n = int(rng.choice([1, 2, 3, 5]))
    detune = np.linspace(-0.5, 0.5, n) * draw_cents(rng, 6.0, 30.0)
    return lambda note: _unison(note * _K, amplitude, detune)


def fm(rng: np.random.Generator) -> Instrument:
    """Frequency modulation, two to four operators at whole ratios (Chowning, 1973).

    A chain, or pairs beside one another; the index falls with the note.
    """
    n_pairs, chained = int(rng.integers(1, 3)), rng.random() < 0.4
    carriers = rng.choice([1, 1, 1, 2, 3], n_pairs)
    ratios = rng.choice([1, 1, 2, 2, 3, 4, 5, 7], (n_pairs, 2))
    index = rng.uniform(0.2, 2.2, (n_pairs, 2)) * [1.0, float(chained)]
    levels = np.array([1.0, rng.uniform(0.2, 0.8)])[:n_pairs]
    detune = np.array([-0.5, 0.5]) * draw_cents(rng, 1.0, 10.0)
    turn = 2.0 * np.pi * np.arange(PERIOD) / PERIOD

    def play(note: float) -> TonePartials:
        scale = np.clip((220.0 / note) ** 0.4, 0.4, 1.6)
        wave = np.zeros(PERIOD)
        for carrier, ratio, depth, level in zip(
            carriers, ratios, scale * index, levels, strict=True
        ):
            modulator = np.sin(ratio[0] * turn + depth[1] * np.sin(ratio[1] * turn))
            wave += level * np.sin(carrier * turn + depth[0] * modulator)
        return _unison(note * _K, _harmonics(wave), detune)

    return play


def folded(rng: np.random.Generator) -> Instrument:
    """A sine through a wave folder, or a hard-synchronised saw-tooth."""
    turn = np.arange(PERIOD) / PERIOD
    if rng.random() < 0.5:
        wave = np.sin(2.0 * np.pi * turn) + rng.uniform(0.0, 0.5)
        wave = np.sin(rng.uniform(1.2, 4.5) * wave)
        amplitude = _harmonics(wave)
    else:
        wave = (turn * rng.uniform(1.3, 4.7)) % 1.0
        amplitude = _harmonics(wave - wave.mean())
    amplitude /= np.sqrt(1.0 + (_K / draw_cents(rng, 6.0, 40.0)) ** 2)
    detune = np.array([-0.5, 0.5]) * draw_cents(rng, 3.0, 20.0)
    return lambda note: _unison(note * _K, amplitude, detune)


def ensemble(rng: np.random.Generator) -> Instrument:
    """A string machine: saw-tooths in two octaves, fixed filters, a chorus of three."""
    upper = rng.uniform(0.2, 1.0)
    low_hz, high_hz = draw_cents(rng, 100.0, 500.0), draw_cents(rng, 1800.0, 6500.0)
    detune = np.array([-0.5, 0.0, 0.5]) * draw_cents(rng, 8.0, 24.0)
    amplitude = 1.0 / _K
    amplitude[1::2] += upper / _K[: N_HARMONICS // 2]

    def play(note: float) -> TonePartials:
        hertz = note * _K
        gain = 1.0 / np.sqrt(1.0 + (low_hz / hertz) ** 2)
        gain /= np.sqrt(1.0 + (hertz / high_hz) ** 4)
        return _unison(hertz, amplitude * gain, detune)

    return play


def vowel(rng: np.random.Generator) -> Instrument:
    """A choir-like pad: saw-tooths in unison through the formants of two vowels."""
    share = rng.random()
    first, second = VOWELS[rng.choice(len(VOWELS), 2, replace=False)]
    formants = (first**share * second ** (1.0 - share)) * rng.uniform(0.9, 1.3)
    sharpness, slope = rng.uniform(5.0, 12.0), rng.uniform(0.6, 1.2)
    strengths = (1.0, rng.uniform(0.3, 0.9), rng.uniform(0.1, 0.5))
    cents = draw_cents(rng, 4.0, 16.0)
    detune = np.linspace(-1.0, 1.0, 3) * cents

    def play(note: float) -> TonePartials:
        hertz = note * _K
        gain = np.full(N_HARMONICS, 0.03)
        for strength, formant in zip(strengths, formants, strict=True):
            away = hertz / formant - formant / hertz
            gain += strength / np.sqrt(1.0 + (sharpness * away) ** 2)
        return _unison(hertz, gain / _K**slope, detune, cents=0.3 * cents)

    return play


def padsynth(rng: np.random.Generator) -> Instrument:
    """PADsynth: harmonics each a band, wider or narrower the higher they lie."""
    amplitude = _table(rng)
    cents = draw_cents(rng, 10.0, 55.0) * _K ** rng.uniform(-0.4, 0.15)
    return lambda note: spread(note * _K, amplitude, cents)


def ladder_response(hertz: Array, corner_hz: float, resonance: float) -> Array:
    """Gain of four one-pole filters in a ring (Stilson and Smith, ICMC 1996).

    Args:
        hertz: frequencies, any shape.
        corner_hz: of each pole.
        resonance: what is fed back, 0..4; at 4 it would ring by itself.

    Returns:
        Amplitudes of the same shape, 1 at 0 Hz.
    """
    pole = (1.0 + 1j * hertz / corner_hz) ** 4
    gain: Array = (1.0 + resonance) / np.abs(pole + resonance)
    return gain


def _tracked(corner_hz: float, note: float, tracking: float) -> float:
    return float(corner_hz * (note / 220.0) ** tracking)


def _table(rng: np.random.Generator) -> Array:
    """Amplitudes of harmonics: a falling slope with bumps, every nth one stronger."""
    octaves = np.log2(_K)
    level_db = -rng.uniform(5.0, 11.0) * octaves
    for _ in range(int(rng.integers(1, 4))):
        away = (octaves - rng.uniform(0.0, 5.5)) / rng.uniform(0.15, 0.8)
        level_db += rng.uniform(4.0, 16.0) * np.exp(-0.5 * away**2)
    step = int(rng.choice([1, 1, 2, 3, 4]))
    level_db[_K % step != 1 % step] -= rng.uniform(6.0, 24.0)
    level_db += rng.normal(0.0, 2.0, N_HARMONICS)
    amplitude: Array = 10.0 ** (level_db / 20.0)
    return amplitude


def _harmonics(wave: Array) -> Array:
    amplitude: Array = np.abs(np.fft.rfft(wave))[1 : N_HARMONICS + 1] / len(wave)
    return amplitude


def _unison(
    hertz: Array,
    amplitude: Array,
    detune_cents: Array,
    mix: Array | Sequence[float] | None = None,
    cents: float = STEADY_CENTS,
) -> TonePartials:
    """The same spectrum by several voices, each `detune_cents` off."""
    gains = np.ones(len(detune_cents)) if mix is None else np.asarray(mix)
    lines = np.outer(2.0 ** (detune_cents / 1200.0), hertz).ravel()
    return spread(lines, np.outer(gains, amplitude).ravel(), cents)
