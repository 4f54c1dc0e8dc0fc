"""The timbre space of the model that plays, for the page's map.

What is asked for is computed when it is asked for: the map is loaded with the first
question, in whichever thread puts it.
"""

import base64
import io
import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples, db_to_amplitude
from effects.base.streams import Purpose, stream
from engine.compose.likeness import hear, point_of, text_of
from engine.compose.path import SYMBOLS
from engine.sound.concealment_loop import concealment_loop
from model.inference import TimbreModel
from model.prior import Latents
from model.spectrum import loudness
from model.timbre_map import COLOURS, TimbreMap, load_map

AUDITION_S = 2.0
AUDITION_FADE_S = 0.25
AUDITION_LUFS = -20.0
AUDITION_RATE = 44_100
STEPS_A_WAY = 12  # of the thread, from one sound of a song to the next
KEPT_SOUNDS = 32

_PLACES = 32767.0  # steps of a place from the middle to an edge


class Space:
    """Places and sounds of one model.

    Args:
        model: that plays.
        folder: that it was loaded from; None for the bundled one.
    """

    def __init__(self, model: TimbreModel, folder: Path | None = None) -> None:
        self.model = model
        self._folder = folder
        self._lock = threading.Lock()  # of loading, and of what is kept
        self._map: TimbreMap | None = None
        self._sounds: OrderedDict[str, bytes] = OrderedDict()

    def document(self) -> dict[str, Any]:
        """The map for a page: places and colours of its sounds, as base64.

        Raises:
            InputError: the map cannot be read, as for the other methods.
        """
        _, timbre_map = self._parts()
        document: dict[str, Any] = {
            "points": len(timbre_map.z),
            "places": _text(np.round(timbre_map.places * _PLACES), "<i2"),
        }
        for name in COLOURS:
            document[name] = _text(np.round(timbre_map.colours[name] * 255.0), "<u1")
        document["ranges"] = timbre_map.ranges
        return document

    def sound(self, number: int) -> dict[str, Any] | None:
        """One sound of the map: its point as a text; None if there is no such sound."""
        _, timbre_map = self._parts()
        if not 0 <= number < len(timbre_map.z):
            return None
        x, y = timbre_map.places[number]
        return {
            "like": text_of(timbre_map.z[number]),
            "place": [float(x), float(y)],
            **{
                name: round(float(low + values[number] * (high - low)), 3)
                for name, values in timbre_map.colours.items()
                for low, high in [timbre_map.ranges[name]]
            },
        }

    def place(self, like: str) -> list[float]:
        """Where a point lies on the map.

        Raises:
            InputError: the text holds no point of this model.
        """
        model, _ = self._parts()
        return self._placed(point_of(like, model.n_latents)[None])[0]

    def place_of(self, point: Sequence[float]) -> list[float] | None:
        """Where a point of latent space lies; None if it is none of this model."""
        model, _ = self._parts()
        if len(point) != model.n_latents:
            return None
        return self._placed(np.array([point], np.float32))[0]

    def song(self, sounds: Sequence[str], pattern: str) -> dict[str, Any]:
        """The sounds of a song on the map, and the ways between them.

        Args:
            sounds: points of A..E as texts.
            pattern: of the song.

        Returns:
            `sounds`, a place for each letter, and `ways`: for each two letters that
            follow one another, as `AB`, the places along the line between them.

        Raises:
            InputError: a text holds no point of this model.
        """
        model, _ = self._parts()
        points = {
            letter: point_of(text, model.n_latents)
            for letter, text in zip(SYMBOLS, sounds, strict=False)
            if letter in pattern
        }
        pairs = sorted({"".join(sorted(pair)) for pair in pairwise(pattern)})
        pairs = [
            pair for pair in pairs if pair[0] != pair[1] and set(pair) <= {*points}
        ]
        share = np.linspace(0.0, 1.0, STEPS_A_WAY, dtype=np.float32)[:, None]
        ways = {
            pair: self._placed(
                points[pair[0]] + share * (points[pair[1]] - points[pair[0]])
            )
            for pair in pairs
        }
        placed = self._placed(np.stack(list(points.values()))) if points else []
        return {"sounds": dict(zip(points, placed, strict=True)), "ways": ways}

    def heard(self, path: Path) -> dict[str, Any]:
        """Where the model hears a sound file: its point as a text, and its place.

        Raises:
            InputError: the file cannot be read, or is silent.
        """
        model, _ = self._parts()
        like = hear(model, path)
        return {"like": like, "place": self.place(like)}

    def audition(self, like: str) -> bytes:
        """The sound of a point: two seconds of it as a FLAC file.

        Raises:
            InputError: the text holds no point of this model.
        """
        with self._lock:
            if like in self._sounds:
                self._sounds.move_to_end(like)
                return self._sounds[like]
        model, _ = self._parts()
        content = _flac(sound_of(model, point_of(like, model.n_latents)[None]))
        with self._lock:
            self._sounds[like] = content
            while len(self._sounds) > KEPT_SOUNDS:
                self._sounds.popitem(last=False)
        return content

    def _parts(self) -> tuple[TimbreModel, TimbreMap]:
        with self._lock:
            if self._map is None:
                self._map = load_map(self.model, self._folder)
            return self.model, self._map

    def _placed(self, z: Latents) -> list[list[float]]:
        model, timbre_map = self._parts()
        places = timbre_map.place(model, z)
        return [[round(float(x), 4), round(float(y), 4)] for x, y in places]


def sound_of(model: TimbreModel, z: Latents) -> Samples:
    """Two seconds of the sound of a point, shape (n, 2) at `AUDITION_RATE`.

    Args:
        model: decodes it.
        z: shape (1, n_latents).
    """
    power = model.axis.to_power(model.decode(z))[0]
    power *= 10.0 ** ((AUDITION_LUFS - float(loudness(power, model.axis))) / 10.0)
    layers = concealment_loop(
        power,
        sample_rate=AUDITION_RATE,
        clarity=1.0,
        rng=stream(Purpose.AUDITION),
        axis=model.axis,
    )[: round(AUDITION_S * AUDITION_RATE)]
    mid, side = layers.T
    samples = np.stack([mid + side, mid - side], axis=1)
    n_fade = round(AUDITION_FADE_S * AUDITION_RATE)
    rise = np.sin(0.5 * np.pi * np.arange(n_fade) / n_fade).astype(np.float32)[:, None]
    samples[:n_fade] *= rise
    samples[-n_fade:] *= rise[::-1]
    most = float(np.abs(samples).max())
    limit = db_to_amplitude(-1.0)
    return samples * np.float32(min(1.0, limit / max(most, 1e-9)))


def _flac(samples: Samples) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, AUDITION_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _text(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode("ascii")
