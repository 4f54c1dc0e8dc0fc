"""The demo corpus, patch by patch, as a function of (seed, number of the patch).

A patch is one configuration of sources and treatment, of which several clips are made
with other chords. Patches are the groups by which the corpus is split: a model is
measured on patches that it has never heard.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from effects.levels import Samples, db_to_amplitude
from model.config import SAMPLE_RATE
from model.demo import partials, soundfont
from model.demo.harmony import draw_chord
from model.spectrum import CLIP_LENGTH

CLIPS_PER_PATCH = 20
PAST_INTERVALS = (0, 5, 7, -5, -7, 12)  # semitones from a chord to the one before it
OWN_LICENCE = "CC0-1.0 (generated)"

Row: TypeAlias = Mapping[str, Any]

_PATCH, _CLIP = range(2)


@dataclass(frozen=True)
class Layer:
    """One source in a patch: a program of the sound font or a family of our own."""

    source: str
    program: int | None
    register: float
    level_db: float


@dataclass(frozen=True)
class Patch:
    """What the clips of one group have in common.

    Attributes:
        layers: the sources.
        tilt_db: per octave about 500 Hz.
        low_hz, high_hz: corner frequencies of the filters, 12 dB an octave.
        air_db: level of broadband noise against the tones.
        air_slope_db: of that noise, per octave.
        bumps: of that noise, see `partials.render_noise`.
        reverb: depth in dB of the uneven response of a room.
        past_db: level at which a chord before still rings.
        level_db: RMS in dBFS.
        floor_db, floor_slope_db: of the recording's own noise, RMS in dBFS and per
            octave.
    """

    layers: tuple[Layer, ...]
    tilt_db: float
    low_hz: float
    high_hz: float
    air_db: float
    air_slope_db: float
    bumps: NDArray[np.float64]
    reverb: float
    past_db: float
    level_db: float
    floor_db: float
    floor_slope_db: float


def render_patch(
    seed: int, group: int, font_file: Path | None
) -> list[tuple[Samples, Row]]:
    """The clips of a patch: audio, shape (n_samples,), and row for the manifest.

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
    mix = np.zeros(CLIP_LENGTH, np.float32)
    lead = patch.layers[0]
    name, chord = draw_chord(rng, lead.register)
    for layer in patch.layers:  # the layers play one chord, in their own octaves
        hertz = chord * 2.0 ** round((layer.register - lead.register) / 12.0)
        sound = _unit(_sound(layer, hertz, rng, font))
        mix += sound * np.float32(db_to_amplitude(layer.level_db))
    if patch.past_db > -40.0:
        interval = rng.choice(PAST_INTERVALS)
        past = _unit(_sound(lead, chord * 2.0 ** (interval / 12.0), rng, font))
        mix += past * np.float32(db_to_amplitude(patch.past_db))
    air = partials.render_noise(patch.air_slope_db, patch.bumps, rng)
    mix = _unit(mix) + _unit(air) * np.float32(db_to_amplitude(patch.air_db))
    mix = _unit(_treated(mix, patch, rng))
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
    n_layers = int(rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25]))
    kind = rng.choice(["font", "own", "both"], p=[0.4, 0.3, 0.3])
    layers = []
    register = rng.uniform(38.0, 68.0)
    for i in range(n_layers):
        from_font = kind == "font" or (kind == "both" and i % 2 == 0)
        layers.append(
            _draw_layer(rng, register if i == 0 else rng.uniform(36.0, 80.0), i)
            if with_font and from_font
            else _own_layer(rng, register if i == 0 else rng.uniform(36.0, 80.0), i)
        )
    low_cut = rng.random() < 0.3
    high_cut = rng.random() < 0.55
    n_bumps = int(rng.integers(0, 4))
    bumps = np.stack(
        [
            np.exp(rng.uniform(np.log(80.0), np.log(9000.0), n_bumps)),
            rng.uniform(-8.0, 14.0, n_bumps),
            rng.uniform(0.3, 1.5, n_bumps),
        ],
        axis=1,
    )
    return Patch(
        layers=tuple(layers),
        tilt_db=float(rng.normal(-1.0, 1.2)),
        low_hz=float(np.exp(rng.uniform(np.log(60.0), np.log(400.0))))
        if low_cut
        else 20.0,
        high_hz=(
            float(np.exp(rng.uniform(np.log(500.0), np.log(9000.0))))
            if high_cut
            else 20_000.0
        ),
        air_db=float(
            rng.choice([rng.uniform(-40, -14), rng.uniform(-14, 6)], p=[0.6, 0.4])
        ),
        air_slope_db=float(rng.uniform(-9.0, -1.5)),
        bumps=bumps,
        reverb=float(rng.uniform(0.0, 4.0)),
        past_db=float(rng.uniform(-25.0, -9.0)) if rng.random() < 0.5 else -100.0,
        level_db=float(np.clip(rng.normal(-22.0, 4.5), -36.0, -12.0)),
        floor_db=float(rng.uniform(-74.0, -52.0)),
        floor_slope_db=float(rng.uniform(-3.0, 0.5)),
    )


def _draw_layer(rng: np.random.Generator, register: float, i: int) -> Layer:
    pool = soundfont.RINGING if rng.random() < 0.12 else soundfont.SUSTAINED
    program = int(rng.choice(pool))
    return Layer(f"gm-{program:03d}", program, register, _layer_level(rng, i))


def _own_layer(rng: np.random.Generator, register: float, i: int) -> Layer:
    family = str(rng.choice(list(partials.FAMILIES)))
    return Layer(family, None, register, _layer_level(rng, i))


def _layer_level(rng: np.random.Generator, i: int) -> float:
    return 0.0 if i == 0 else float(rng.uniform(-14.0, 0.0))


def _sound(
    layer: Layer,
    hertz: NDArray[np.float64],
    rng: np.random.Generator,
    font: soundfont.SoundFont | None,
) -> Samples:
    if layer.program is not None and font is not None:
        return font.render(layer.program, hertz, int(rng.integers(50, 115)))
    family = partials.FAMILIES[layer.source]
    sounds = [family(float(note), rng) for note in hertz]
    return partials.render_partials(sounds, rng)


def _treated(mix: Samples, patch: Patch, rng: np.random.Generator) -> Samples:
    """Filtered, tilted, and coloured by a room."""
    spectrum = fft.rfft(mix)
    hertz = np.maximum(fft.rfftfreq(len(mix), 1.0 / SAMPLE_RATE), 10.0)
    octaves = np.log2(hertz / 500.0)
    level_db = patch.tilt_db * octaves
    level_db -= 10.0 * np.log10(1.0 + (patch.low_hz / hertz) ** 4)
    level_db -= 10.0 * np.log10(1.0 + (hertz / patch.high_hz) ** 4)
    # A room's response wavers from frequency to frequency, some 5 Hz apart.
    waver = np.interp(hertz, np.arange(0.0, 22_100.0, 5.0), rng.standard_normal(4420))
    level_db += patch.reverb * waver
    treated: Samples = fft.irfft(spectrum * 10.0 ** (level_db / 20.0), len(mix))
    return treated.astype(np.float32)


def _unit(sound: Samples) -> Samples:
    rms = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
    return sound / np.float32(rms) if rms > 1e-7 else sound


def _row(number: int, group: int, patch: Patch, chord: dict[str, Any]) -> Row:
    from_font = any(layer.program is not None for layer in patch.layers)
    own = any(layer.program is None for layer in patch.layers)
    licences = [soundfont.LICENCE] * from_font + [OWN_LICENCE] * own
    return {
        "number": number,
        "group": f"patch-{group:05d}",
        "source": "+".join(layer.source for layer in patch.layers),
        "licence": ", ".join(licences),
        "author": "Latent's recipe",
        "params": {
            **chord,
            "air_db": round(patch.air_db, 1),
            "tilt_db": round(patch.tilt_db, 2),
            "high_hz": round(patch.high_hz),
            "low_hz": round(patch.low_hz),
        },
    }
