"""The demo corpus, patch by patch, as a function of (seed, number of the patch).

A patch is one configuration of sources and treatment, of which several clips are made
with other chords. Patches are the groups by which the corpus is split: a model is
measured on patches that it has never heard.

What a listener would call the same is the same: an instrument's spectrum and a room's
response are drawn once, from a catalogue. Between two clips of a patch there is a new
chord, and the chance that every noise has.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.audio.levels import Samples, db_to_amplitude
from model.config import SAMPLE_RATE
from model.corpus.demo import partials, soundfont
from model.corpus.demo.harmony import draw_chord
from model.corpus.demo.instruments import FAMILIES, N_INSTRUMENTS, instrument
from model.spectrum import CLIP_LENGTH

CLIPS_PER_PATCH = 10
N_ROOMS = 12
FONT_SOURCE = "gm"
PAST_INTERVALS = (0, 5, 7, -5, -7, 12)  # semitones from a chord to the one before it
OWN_LICENCE = "CC0-1.0 (generated)"

Row: TypeAlias = Mapping[str, Any]

_PATCH, _CLIP, _ROOM = range(3)


@dataclass(frozen=True)
class Layer:
    """One source in a patch.

    Attributes:
        source: `FONT_SOURCE`, or a family of our own.
        number: program of the sound font, or number of the instrument.
        velocity: MIDI velocity, for the sound font.
        octave: above the first layer's chord.
        level_db: against the first layer.
    """

    source: str
    number: int
    velocity: int
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
        low_hz, high_hz: corner frequencies of the filters, 12 dB an octave.
        air_db: level of broadband noise against the tones.
        air_slope_db: of that noise, per octave.
        bumps: of that noise, see `partials.render_noise`.
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
    air_db: float
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
    rng = np.random.default_rng([seed, _PATCH, group])
    patch = draw_patch(rng, font_file is not None)
    font = soundfont.SoundFont(font_file) if font_file else None
    first = group * CLIPS_PER_PATCH
    clips = [
        _render_clip(patch, np.random.default_rng([seed, _CLIP, number]), font)
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
    mix = np.zeros((CLIP_LENGTH, 2), np.float32)
    for layer in patch.layers:  # the layers play one chord, in their own octaves
        sound = _sound(layer, chord * 2.0**layer.octave, patch.chorus_cents, rng, font)
        mix += _unit(sound) * np.float32(db_to_amplitude(layer.level_db))
    if patch.past_db > -40.0:
        interval = rng.choice(PAST_INTERVALS)
        past = _sound(patch.layers[0], chord * 2.0 ** (interval / 12.0), 0.0, rng, font)
        mix += _unit(past) * np.float32(db_to_amplitude(patch.past_db))
    air = partials.render_noise(patch.air_slope_db, patch.bumps, rng)
    mix = _unit(mix) + _unit(air) * np.float32(db_to_amplitude(patch.air_db))
    mix = _unit(_treated(mix, patch))
    level_db = patch.level_db + rng.normal(0.0, 1.5)
    mix *= np.float32(db_to_amplitude(min(level_db, -11.0)))
    peak = float(np.abs(mix).max())
    if peak > 0.99:
        mix *= np.float32(0.99 / peak)
    floor = partials.render_noise(patch.floor_slope_db, np.zeros((0, 3)), rng)
    mix += _unit(floor) * np.float32(db_to_amplitude(patch.floor_db))
    return mix, {"chord": name, "root_hz": round(float(chord[0]), 2)}


def draw_patch(rng: np.random.Generator, with_font: bool) -> Patch:
    """A random patch."""
    n_layers = int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))
    kind = rng.choice(["font", "own", "both"], p=[0.4, 0.35, 0.25])
    layers = tuple(
        _draw_layer(
            rng, i, with_font and (kind == "font" or (kind == "both" and i % 2 == 0))
        )
        for i in range(n_layers)
    )
    low_hz = float(np.exp(rng.uniform(np.log(60.0), np.log(400.0))))
    high_hz = float(np.exp(rng.uniform(np.log(500.0), np.log(9000.0))))
    n_bumps = int(rng.integers(0, 3))
    bumps = np.stack(
        [
            np.exp(rng.uniform(np.log(80.0), np.log(9000.0), n_bumps)),
            rng.uniform(-8.0, 14.0, n_bumps),
            rng.uniform(0.3, 1.5, n_bumps),
        ],
        axis=1,
    )
    return Patch(
        layers=layers,
        register=float(rng.uniform(38.0, 68.0)),
        chorus_cents=float(rng.uniform(4.0, 12.0)) if rng.random() < 0.25 else 0.0,
        tilt_db=float(rng.normal(-1.0, 1.2)),
        low_hz=low_hz if rng.random() < 0.3 else 20.0,
        high_hz=high_hz if rng.random() < 0.55 else 20_000.0,
        air_db=float(
            rng.choice([rng.uniform(-40, -14), rng.uniform(-14, 6)], p=[0.6, 0.4])
        ),
        air_slope_db=float(rng.uniform(-9.0, -1.5)),
        bumps=bumps,
        room=int(rng.integers(N_ROOMS)),
        reverb_db=float(rng.uniform(0.0, 2.0)),
        past_db=float(rng.uniform(-25.0, -9.0)) if rng.random() < 0.35 else -100.0,
        level_db=float(np.clip(rng.normal(-22.0, 4.5), -36.0, -12.0)),
        floor_db=float(rng.uniform(-74.0, -52.0)),
        floor_slope_db=float(rng.uniform(-3.0, 0.5)),
    )


def _draw_layer(rng: np.random.Generator, i: int, from_font: bool) -> Layer:
    octave = 0 if i == 0 else int(rng.integers(-1, 3))
    level_db = 0.0 if i == 0 else float(rng.uniform(-14.0, 0.0))
    if from_font:
        pool = soundfont.RINGING if rng.random() < 0.12 else soundfont.SUSTAINED
        source, number = FONT_SOURCE, int(rng.choice(pool))
    else:
        source, number = str(rng.choice(list(FAMILIES))), int(rng.choice(N_INSTRUMENTS))
    return Layer(source, number, int(rng.choice([60, 80, 100])), octave, level_db)


def _sound(
    layer: Layer,
    chord: NDArray[np.float64],
    chorus_cents: float,
    rng: np.random.Generator,
    font: soundfont.SoundFont | None,
) -> Samples:
    notes = chord
    if chorus_cents > 0.0:
        apart = 2.0 ** (chorus_cents / 2400.0)
        notes = np.concatenate([chord * apart, chord / apart])
    if layer.source == FONT_SOURCE and font is not None:
        return font.render(layer.number, notes, layer.velocity)
    play = instrument(layer.source, layer.number)
    return partials.render_partials([play(float(note)) for note in notes], rng)


def _treated(mix: Samples, patch: Patch) -> Samples:
    """Filtered, tilted, and coloured by a room."""
    spectrum = fft.rfft(mix, axis=0)
    hertz = np.maximum(fft.rfftfreq(len(mix), 1.0 / SAMPLE_RATE), 10.0)
    octaves = np.log2(hertz / 500.0)
    level_db = patch.tilt_db * octaves
    level_db -= 10.0 * np.log10(1.0 + (patch.low_hz / hertz) ** 4)
    level_db -= 10.0 * np.log10(1.0 + (hertz / patch.high_hz) ** 4)
    level_db += patch.reverb_db * _room(patch.room)
    gain = (10.0 ** (level_db / 20.0)).astype(np.float32)
    treated: Samples = fft.irfft(spectrum * gain[:, None], len(mix), axis=0)
    return treated


@lru_cache(maxsize=N_ROOMS)
def _room(number: int) -> NDArray[np.float64]:
    """A room's response, which wavers from frequency to frequency, some 5 Hz apart.

    Of each bin of a clip's spectrum, in dB, of unit standard deviation.
    """
    waver = np.random.default_rng([_ROOM, number]).standard_normal(4420)
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
                [layer.name, layer.number, layer.octave, round(layer.level_db, 1)]
                for layer in patch.layers
            ],
            "chorus_cents": round(patch.chorus_cents, 1),
            "tilt_db": round(patch.tilt_db, 2),
            "low_hz": round(patch.low_hz),
            "high_hz": round(patch.high_hz),
            "air_db": round(patch.air_db, 1),
            "reverb_db": round(patch.reverb_db, 1),
            "room": patch.room,
            "past_db": round(patch.past_db, 1),
        },
    }
