"""What a decoded sound is like: one function a criterion.

To add a criterion, write a function here and name it in `CRITERIA`; give it a weight
in the table of controls as `rank/<name>`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from model.config import Axis
from model.spectrum import (
    brightness_octaves,
    loudness,
    pitch_octaves,
    prominence_db,
)

Values = NDArray[np.float64]

_PEAKS = 16  # strongest partials that roughness is computed from


@dataclass(frozen=True)
class Sounds:
    """Decoded sounds, with what several criteria need of them.

    Attributes:
        timbres: shape (n, n_bands), 0..1.
        z: latents, shape (n, n_latents).
        axis: the bands.
    """

    timbres: NDArray[np.float32]
    z: NDArray[np.float32]
    axis: Axis

    @cached_property
    def power(self) -> Values:
        """Band powers, shape (n, n_bands)."""
        return self.axis.to_power(self.timbres)

    @cached_property
    def prominence_db(self) -> Values:
        """How far each band stands above its third of an octave, dB."""
        return prominence_db(self.timbres, self.axis)


def pitch(sounds: Sounds) -> Values:
    """Centre of the partials in octaves above 20 Hz, see `pitch_octaves`."""
    return pitch_octaves(sounds.power, sounds.prominence_db, sounds.axis)


def volume(sounds: Sounds) -> Values:
    """Loudness, LUFS."""
    return loudness(sounds.power, sounds.axis)


def weirdness(sounds: Sounds) -> Values:
    """Distance from the origin of latent space."""
    return np.asarray(np.linalg.norm(sounds.z, axis=1), np.float64)


def brightness(sounds: Sounds) -> Values:
    """Centre of the whole spectrum in octaves above 20 Hz."""
    return brightness_octaves(sounds.power, sounds.axis)


def tonalness(sounds: Sounds) -> Values:
    """Share of the power that stands 6 dB or more above its neighbourhood."""
    tonal = np.clip((sounds.prominence_db - 3.0) / 6.0, 0.0, 1.0)
    share = (tonal * sounds.power).sum(axis=1) / (sounds.power.sum(axis=1) + 1e-20)
    return np.asarray(share)


def dissonance(sounds: Sounds) -> Values:
    """Sensory roughness of the strongest partials, 0 for one partial alone.

    Plomp and Levelt's curve in the form of Sethares (Local consonance and the
    relationship between timbre and scale, JASA 94, 1993): for partials f < g with
    amplitudes a, b and s = 0.24 / (0.021 f + 19), the pair adds
    min(a, b) (exp(-3.5 s (g - f)) - exp(-5.75 s (g - f))).
    """
    prominence = np.where(_is_peak(sounds.power), sounds.prominence_db, 0.0)
    strength = np.sqrt(sounds.power) * (prominence > 3.0)
    strongest = np.argsort(-strength, axis=1)[:, :_PEAKS]
    strongest.sort(axis=1)
    amplitude = np.take_along_axis(strength, strongest, axis=1)
    total = amplitude.sum(axis=1, keepdims=True)
    amplitude = amplitude / np.maximum(total, 1e-12)
    hertz = sounds.axis.centres[strongest]
    low, high = np.triu_indices(strongest.shape[1], k=1)
    scale = 0.24 / (0.021 * hertz[:, low] + 19.0)
    apart = scale * (hertz[:, high] - hertz[:, low])
    rough = np.exp(-3.5 * apart) - np.exp(-5.75 * apart)
    pair = np.minimum(amplitude[:, low], amplitude[:, high])
    return np.asarray((pair * rough).sum(axis=1))


def motion(sounds: Sounds) -> Values:
    """Distance from the mean sound in dB, smoothed: songs of far sounds move more."""
    smooth = _smoothed(sounds.timbres.astype(np.float64))
    return np.asarray(
        sounds.axis.range_db * np.abs(smooth - smooth.mean(axis=0)).mean(axis=1)
    )


CRITERIA: Mapping[str, Callable[[Sounds], Values]] = MappingProxyType(
    {
        "pitch": pitch,
        "volume": volume,
        "weirdness": weirdness,
        "brightness": brightness,
        "tonalness": tonalness,
        "dissonance": dissonance,
        "motion": motion,
    }
)


def measure(
    timbres: NDArray[np.float32], z: NDArray[np.float32], axis: Axis
) -> dict[str, Values]:
    """Every criterion of n sounds: name to shape (n,)."""
    sounds = Sounds(timbres, z, axis)
    return {name: criterion(sounds) for name, criterion in CRITERIA.items()}


def _is_peak(power: Values) -> NDArray[np.bool_]:
    is_peak = np.zeros(power.shape, np.bool_)
    is_peak[:, 1:-1] = (power[:, 1:-1] >= power[:, :-2]) & (
        power[:, 1:-1] > power[:, 2:]
    )
    return is_peak


def _smoothed(timbres: Values) -> Values:
    """Means over tenths of an octave, shape (n, about 100)."""
    starts = np.arange(0, timbres.shape[1], 12)
    return np.asarray(np.add.reduceat(timbres, starts, axis=1) / 12.0)
