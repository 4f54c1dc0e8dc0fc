"""The demo corpus, patch by patch, as a function of (seed, number of the patch).

A patch is one configuration of sources and treatment, of which several clips are made
with other chords. Patches are the groups by which the corpus is split: a model is
measured on patches that it has never heard.

What a listener would call the same is the same: an instrument's spectrum and a room's
response are drawn once, from a catalogue. Between two clips of a patch there is a new
chord, and the chance that every noise has.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.levels import Samples, db_to_amplitude
from effects.base.streams import Purpose, stream
from model.config import SAMPLE_RATE
from model.corpus.demo import partials, soundfont
from model.corpus.demo.electronic import ladder_response
from model.corpus.demo.harmony import draw_chord, draw_line
from model.corpus.demo.instruments import draw_instrument, instrument
from model.spectrum import CLIP_LENGTH

CLIPS_PER_PATCH = 10
N_ROOMS = 12
FONT_SOURCE = "gm"
PAST_INTERVALS = (0, 5, 7, -5, -7, 12)  # semitones from a chord to the one before it
CHORD, BASS, LINE = "chord", "bass", "line"  # what a layer plays
BASS_HZ = 40.0  # a bass lies within an octave above this, or in the next one
OWN_LICENCE = "CC0-1.0 (generated)"

Row: TypeAlias = Mapping[str, Any]
Notes: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """One source in a patch.

    Attributes:
        source: `FONT_SOURCE`, or a family of our own.
        number: program of the sound font, or number of the instrument.
        velocity: MIDI velocity, for the sound font.
        part: `CHORD`; `BASS`, its root far down; or `LINE`, a few of its tones one
            after another.
        octave: above the first layer's chord; of a bass, above the lowest.
        level_db: against the first layer.
    """

    source: str
    number: int
    velocity: int
    part: str
    octave: int
    level_db: float

    @property
    def name(self) -> str:
        """As it stands in the manifest."""
        if self.source == FONT_SOURCE:
            return f"{self.source}-{self.number:03d}"
        return self.source


@dataclass(frozen=True)
class Patch:
    """What the clips of one group have in common.

    Attributes:
        layers: the sources.
        register: MIDI note about which the roots lie.
        chorus_cents: how far two copies of each note are moved apart; 0 is one copy.
        tilt_db: per octave about 500 Hz.
        low_hz: corner of the high-pass filter, 12 dB an octave.
        high_hz, resonance: of the low-pass filter, see `electronic.ladder_response`.
        echo_ms, echo: delay and level of a copy that lies over the sound, as in a
            flanger held still; 0 is none.
        smear_db: level of noise that lies where the tones do, against them: what
            attacks, vibrato and the tail of a hall leave between partials.
        air_db: level of other noise against the tones.
        air_hz: band of that noise.
        air_slope_db: of that noise, per octave.
        bumps: of that noise, see `partials.noise_power`.
        room: number of the room.
        reverb_db: depth of its uneven response.
        past_db: level at which a chord before still rings.
        level_db: RMS in dBFS.
        floor_db, floor_slope_db: of the recording's own noise, RMS in dBFS and per
            octave.
    """

    layers: tuple[Layer, ...]
    register: float
    chorus_cents: float
    tilt_db: float
    low_hz: float
    high_hz: float
    resonance: float
    echo_ms: float
    echo: float
    smear_db: float
    air_db: float
    air_hz: tuple[float, float]
    air_slope_db: float
    bumps: NDArray[np.float64]
    room: int
    reverb_db: float
    past_db: float
    level_db: float
    floor_db: float
    floor_slope_db: float


def render_patch(
    seed: int, group: int, font_file: Path | None
) -> list[tuple[Samples, Row]]:
    """The clips of a patch: audio, shape (n_samples, 2), and row for the manifest.

    Args:
        seed: of the corpus.
        group: number of the patch.
        font_file: the sound font, or None to do with our own sources.

    Raises:
        RunError: FluidSynth or the font is not installed.
    """
    rng = stream(Purpose.DEMO_PATCH, seed, group)
    patch = draw_patch(rng, font_file is not None)
    font = soundfont.SoundFont(font_file) if font_file else None
    first = group * CLIPS_PER_PATCH
    clips = [
        _render_clip(patch, stream(Purpose.DEMO_CLIP, seed, number), font)
        for number in range(first, first + CLIPS_PER_PATCH)
    ]
    if font:
        font.close()
    return [
        (audio, _row(number, group, patch, chord))
        for number, (audio, chord) in enumerate(clips, first)
    ]


def _render_clip(
    patch: Patch, rng: np.random.Generator, font: soundfont.SoundFont | None
) -> tuple[Samples, dict[str, Any]]:
    name, chord = draw_chord(rng, patch.register)
    # Our own instruments are added as spectra and rendered at once, the rest as audio.
    power = np.zeros(partials.N_BINS)
    played = np.zeros((CLIP_LENGTH, 2), np.float32)
    for layer, notes, level_db in _parts(patch, chord, rng):
        gain = db_to_amplitude(level_db)
        if layer.part == LINE:
            played += np.float32(gain) * _unit(_line(layer, notes, rng, font))
        elif layer.source == FONT_SOURCE and font is not None:
            sound = font.render(layer.number, notes, layer.velocity)
            played += np.float32(gain) * _unit(sound)
        else:
            power += gain**2 * _power(layer, notes)
    heard = power + partials.power_of(played) if played.any() else power
    level = float(heard.sum())
    power += level * db_to_amplitude(patch.smear_db) ** 2 * partials.smeared(heard)
    power += (
        level
        * db_to_amplitude(patch.air_db) ** 2
        * partials.noise_power(patch.air_slope_db, patch.bumps, patch.air_hz)
    )
    mix = played + partials.render(power, rng)
    mix = _unit(_treated(mix, patch))
    level_db = patch.level_db + rng.normal(0.0, 1.5)
    mix *= np.float32(db_to_amplitude(min(level_db, -11.0)))
    peak = float(np.abs(mix).max())
    if peak > 0.99:
        mix *= np.float32(0.99 / peak)
    floor = partials.noise_power(patch.floor_slope_db, np.zeros((0, 3)))
    mix += partials.render(db_to_amplitude(patch.floor_db) ** 2 * floor, rng)
    return mix, {"chord": name, "root_hz": round(float(chord[0]), 2)}


def draw_patch(rng: np.random.Generator, with_font: bool) -> Patch:
    """A random patch."""
    layers = _draw_layers(rng, with_font)
    low_hz = float(np.exp(rng.uniform(np.log(60.0), np.log(400.0))))
    high_hz = float(np.exp(rng.uniform(np.log(500.0), np.log(10_000.0))))
    n_bumps = int(rng.integers(0, 3))
    bumps = np.stack(
        [
            np.exp(rng.uniform(np.log(150.0), np.log(6000.0), n_bumps)),
            rng.uniform(-8.0, 14.0, n_bumps),
            rng.uniform(0.3, 1.5, n_bumps),
        ],
        axis=1,
    )
    return Patch(
        layers=layers,
        register=float(rng.uniform(38.0, 68.0)),
        chorus_cents=float(rng.uniform(4.0, 12.0)) if rng.random() < 0.25 else 0.0,
        tilt_db=float(rng.normal(0.0, 1.2)),
        low_hz=low_hz if rng.random() < 0.2 else 20.0,
        high_hz=high_hz if rng.random() < 0.4 else 20_000.0,
        resonance=float(rng.choice([0.0, rng.uniform(0.0, 3.0)])),
        echo_ms=float(np.exp(rng.uniform(np.log(0.3), np.log(6.0)))),
        echo=float(rng.uniform(0.3, 0.8)) if rng.random() < 0.15 else 0.0,
        smear_db=float(rng.uniform(-32.0, -7.0)),
        air_db=float(
            rng.choice([rng.uniform(-45, -20), rng.uniform(-20, -4)], p=[0.7, 0.3])
        ),
        air_hz=(
            float(np.exp(rng.uniform(np.log(80.0), np.log(600.0)))),
            float(np.exp(rng.uniform(np.log(900.0), np.log(7000.0)))),
        ),
        air_slope_db=float(rng.uniform(-9.0, -2.0)),
        bumps=bumps,
        room=int(rng.integers(N_ROOMS)),
        reverb_db=float(rng.uniform(0.0, 2.0)),
        past_db=float(rng.uniform(-25.0, -9.0)) if rng.random() < 0.35 else -100.0,
        level_db=float(np.clip(rng.normal(-22.0, 4.5), -36.0, -12.0)),
        floor_db=float(rng.uniform(-92.0, -56.0)),
        floor_slope_db=float(rng.uniform(-4.0, 0.0)),
    )


def _draw_layers(rng: np.random.Generator, with_font: bool) -> tuple[Layer, ...]:
    """One to three that play the chord, often a bass, now and then a line above."""
    parts = [CHORD] * int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))
    parts += [BASS] * int(rng.random() < 0.5)
    parts += [LINE] * int(rng.random() < 0.2)
    kind = rng.choice(["font", "own", "both"], p=[0.3, 0.45, 0.25])
    layers = []
    for i, part in enumerate(parts):
        from_font = kind == "font" or (kind == "both" and i % 2 == 0)
        source, number = _draw_source(rng, with_font and from_font)
        octave, level_db = 0, 0.0
        if i > 0:
            octave, level_db = int(rng.integers(-1, 3)), float(rng.uniform(-14.0, 0.0))
        if part == BASS:
            octave, level_db = int(rng.integers(0, 2)), float(rng.uniform(-8.0, 4.0))
        elif part == LINE:
            octave = int(rng.integers(0, 3))
        velocity = int(rng.choice([60, 80, 100]))
        layers.append(Layer(source, number, velocity, part, octave, level_db))
    return tuple(layers)


def _draw_source(rng: np.random.Generator, from_font: bool) -> tuple[str, int]:
    if not from_font:
        return draw_instrument(rng)
    chance = rng.random()
    pool = soundfont.SUSTAINED
    if chance < 0.1:
        pool = soundfont.RINGING
    elif chance < 0.35:
        pool = soundfont.SYNTHESISERS
    return FONT_SOURCE, int(rng.choice(pool))


def _parts(
    patch: Patch, chord: Notes, rng: np.random.Generator
) -> Iterator[tuple[Layer, Notes, float]]:
    """Layers, the notes (Hz) that each plays, and levels in dB."""
    for layer in patch.layers:
        notes = chord * 2.0**layer.octave
        if layer.part == BASS:
            lowest = BASS_HZ * 2.0**layer.octave
            down = max(0.0, np.floor(np.log2(chord[0] / lowest)))
            notes = chord[:1] / 2.0**down
        if patch.chorus_cents > 0.0 and layer.part != LINE:
            apart = 2.0 ** (patch.chorus_cents / 2400.0)
            notes = np.concatenate([notes * apart, notes / apart])
        yield layer, notes, layer.level_db
    if patch.past_db > -40.0:
        interval = rng.choice(PAST_INTERVALS)
        yield patch.layers[0], chord * 2.0 ** (interval / 12.0), patch.past_db


def _power(layer: Layer, notes: Notes) -> NDArray[np.float64]:
    """Spectrum of one of our own instruments that plays these notes (Hz)."""
    play = instrument(layer.source, layer.number)
    return partials.partials_power([play(float(note)) for note in notes])


def _line(
    layer: Layer,
    notes: Notes,
    rng: np.random.Generator,
    font: soundfont.SoundFont | None,
) -> Samples:
    """Some of these notes (Hz) one after another, shape (n_samples, 2)."""
    line = np.zeros((CLIP_LENGTH, 2), np.float32)
    for hertz, course in draw_line(rng, notes):
        note = np.array([hertz])
        if layer.source == FONT_SOURCE and font is not None:
            sound = font.render(layer.number, note, layer.velocity)
        else:
            sound = partials.render(_power(layer, note), rng)
        line += _unit(sound) * course[:, None]
    return line


def _treated(mix: Samples, patch: Patch) -> Samples:
    """Filtered, tilted, laid over itself, and coloured by a room."""
    spectrum = fft.rfft(mix, axis=0)
    hertz = np.maximum(fft.rfftfreq(len(mix), 1.0 / SAMPLE_RATE), 10.0)
    level_db = patch.tilt_db * np.log2(hertz / 500.0)
    level_db -= 10.0 * np.log10(1.0 + (patch.low_hz / hertz) ** 4)
    level_db += patch.reverb_db * _room(patch.room)
    gain = 10.0 ** (level_db / 20.0)
    gain *= ladder_response(hertz, patch.high_hz, patch.resonance)
    turn = 2.0 * np.pi * hertz * patch.echo_ms / 1000.0
    gain *= np.abs(1.0 + patch.echo * np.exp(-1j * turn))
    shaped = spectrum * gain.astype(np.float32)[:, None]
    treated: Samples = fft.irfft(shaped, len(mix), axis=0)
    return treated


@lru_cache(maxsize=N_ROOMS)
def _room(number: int) -> NDArray[np.float64]:
    """A room's response, which wavers from frequency to frequency, some 5 Hz apart.

    Of each bin of a clip's spectrum, in dB, of unit standard deviation.
    """
    waver = stream(Purpose.DEMO_ROOM, number).standard_normal(4420)
    hertz = fft.rfftfreq(CLIP_LENGTH, 1.0 / SAMPLE_RATE)
    level_db: NDArray[np.float64] = np.interp(
        hertz, np.arange(0.0, 22_100.0, 5.0), waver
    )
    return level_db


def _unit(sound: Samples) -> Samples:
    rms = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    return sound / np.float32(rms) if rms > 1e-7 else sound


def _row(number: int, group: int, patch: Patch, chord: dict[str, Any]) -> Row:
    sources = {layer.source for layer in patch.layers}
    licences = [soundfont.LICENCE] * (FONT_SOURCE in sources)
    licences += [OWN_LICENCE] * bool(sources - {FONT_SOURCE})
    return {
        "number": number,
        "group": f"patch-{group:05d}",
        "source": "+".join(layer.name for layer in patch.layers),
        "licence": ", ".join(licences),
        "author": "Latent's recipe",
        "params": {
            **chord,
            "layers": [
                [
                    layer.name,
                    layer.number,
                    layer.part,
                    layer.octave,
                    round(layer.level_db, 1),
                ]
                for layer in patch.layers
            ],
            "chorus_cents": round(patch.chorus_cents, 1),
            "tilt_db": round(patch.tilt_db, 2),
            "low_hz": round(patch.low_hz),
            "high_hz": round(patch.high_hz),
            "resonance": round(patch.resonance, 2),
            "echo": [round(patch.echo_ms, 2), round(patch.echo, 2)],
            "smear_db": round(patch.smear_db, 1),
            "air_db": round(patch.air_db, 1),
            "reverb_db": round(patch.reverb_db, 1),
            "room": patch.room,
            "past_db": round(patch.past_db, 1),
        },
    }
