"""The map of timbre space: sounds of the model laid out on a plane, alike beside alike.

Training lays it out (`model.training.lay_out`) and stores it beside model.json as
map.json. Alike are sounds whose spectra in 64 bands are; what is none of the map's
sounds is placed among those that are nearest in that sense.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from effects.base.errors import InputError
from effects.base.open_file import read_bytes
from effects.base.schema import decode_json
from effects.base.streams import Purpose, stream
from model.config import Axis
from model.inference import BUNDLED, TimbreModel
from model.prior import STEPS, Latents
from model.spectrum import brightness_octaves, pitch_octaves, prominence_db

MAP_FILE = "map.json"
FORMAT, FORMAT_VERSION = "latent-map", 1
MAX_POINTS = 5000
MAX_MAP_BYTES = 4 << 20  # the bundled one has 0.7 MB
COLOURS = ("pitch", "brightness", "weirdness")
BANDS = 64  # of the spectra that sounds are compared by
FLOOR_DB = -50.0  # of those, below the sound's whole power
AROUND = 8  # sounds that a point is placed among

_PLACES = 32767.0  # steps of a stored place from the middle to an edge
_SHARPNESS = 2  # power of a neighbour's weight; more draws a point to the nearest

Places = NDArray[np.float32]  # (n, 2), each within -1..1
Values = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TimbreMap:
    """Sounds of a model on a plane.

    Attributes:
        z: their latents, shape (n, n_latents).
        spectra: as `spectra_of` gives them, shape (n, BANDS).
        places: where they lie, shape (n, 2), within -1..1; up is positive.
        colours: what they are coloured by: each name of `COLOURS` to values in 0..1,
            shape (n,), from the least of them to the most.
        ranges: the least and the most, by name: octaves above 20 Hz for pitch and
            brightness, distance from the origin for weirdness.
    """

    z: Latents
    spectra: Values
    places: Places
    colours: dict[str, Values]
    ranges: dict[str, tuple[float, float]]

    def place(self, model: TimbreModel, z: Latents) -> Places:
        """Where points of latent space lie, shape (n, 2).

        A sound of the map lies at its own place. Others lie among the `AROUND` sounds
        nearest to them, each with a weight that falls to nothing at the distance of the
        next one (the weights of Franke and Little), so that what moves without a jump
        in timbre space moves without a jump on the map.

        Args:
            model: whose map it is; decodes the points.
            z: shape (n, n_latents).
        """
        spectra = spectra_of(model.decode(z), model.axis)
        return np.stack([self._among(spectrum) for spectrum in spectra])

    def nearest(self, places: Places) -> NDArray[np.intp]:
        """Number of the sound that lies nearest to each place, shape (n,).

        There is no mixing: halfway between two sounds that lie side by side their
        chords are blurred.

        Args:
            places: shape (n, 2).
        """
        away = np.square(self.places[None] - places[:, None]).sum(axis=2)
        nearest: NDArray[np.intp] = away.argmin(axis=1)
        return nearest

    def _among(self, spectrum: Values) -> Places:
        """Place of one spectrum among those that it resembles most, shape (2,)."""
        away = np.square(self.spectra - spectrum).sum(axis=1)
        nearest = np.argpartition(away, AROUND)[: AROUND + 1]
        nearest = nearest[np.argsort(away[nearest], kind="stable")]
        distance = np.sqrt(away[nearest])
        share = distance[:-1] / max(float(distance[-1]), 1e-9)
        weight = ((1.0 - share) / np.maximum(share, 1e-6)) ** _SHARPNESS
        if not weight.any():  # all at the same distance
            weight = np.ones(AROUND)
        place: Places = (weight / weight.sum()) @ self.places[nearest[:-1]]
        return place.astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """What map.json holds; `TimbreMap.from_json` reads it."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "latents": _text(_steps(self.z), "<i1"),
            "spectra": _text(np.round(self.spectra * (255.0 / FLOOR_DB)), "<u1"),
            "places": _text(np.round(self.places * _PLACES), "<i2"),
            "colours": {
                name: {
                    "range": [round(edge, 4) for edge in self.ranges[name]],
                    "values": _text(np.round(values * 255.0), "<u1"),
                }
                for name, values in self.colours.items()
            },
        }

    @staticmethod
    def from_json(content: bytes, n_latents: int, where: str) -> "TimbreMap":
        """Read a map.

        Args:
            content: of map.json.
            n_latents: of the model.
            where: its path, for messages.

        Raises:
            InputError: no map, or one that does not fit.
        """
        stored = decode_json(content, _MapJson, where)
        try:
            z = _array(stored.latents, "<i1") / np.float32(STEPS)
            spectra = _array(stored.spectra, "<u1") * np.float32(FLOOR_DB / 255.0)
            places = _array(stored.places, "<i2") / np.float32(_PLACES)
            colours = {
                name: _array(stored.colours[name].values, "<u1") / np.float32(255.0)
                for name in COLOURS
            }
        except KeyError as error:
            raise InputError(f"{where}: lacks {error}") from None
        except ValueError as error:
            raise InputError(f"{where}: {error}") from None
        n = len(places) // 2
        lengths = {len(values) for values in colours.values()}
        sizes = (len(z), len(spectra), len(places))
        fits = lengths == {n} and sizes == (n * n_latents, n * BANDS, 2 * n)
        if not (AROUND < n <= MAX_POINTS and fits):
            raise InputError(f"{where}: its parts do not fit together")
        ranges = {name: stored.colours[name].range for name in COLOURS}
        return TimbreMap(
            z.reshape(n, n_latents),
            spectra.reshape(n, BANDS),
            places.reshape(n, 2),
            colours,
            ranges,
        )


def load_map(model: TimbreModel, folder: Path | None = None) -> TimbreMap:
    """The map of a model; one of principal components if it has none of its own.

    Args:
        model: as it was loaded.
        folder: that it was loaded from; None for the bundled one.

    Raises:
        InputError: its map is missing, damaged or does not fit.
    """
    stored = model.metadata["files"].get(MAP_FILE)
    if stored is None:
        return made_map(model, map_sounds(model), principal_plane)
    path = (BUNDLED if folder is None else folder) / MAP_FILE
    content = read_bytes(path, MAX_MAP_BYTES, "map of a model")
    if hashlib.sha256(content).hexdigest() != stored["sha256"]:
        raise InputError(f"{path} is not the map that model.json describes")
    return TimbreMap.from_json(content, model.n_latents, str(path))


def map_sounds(model: TimbreModel, n: int = MAX_POINTS) -> Latents:
    """The sounds of a map: `n` draws from the prior, as they are stored."""
    z = model.sample(n, stream(Purpose.MODEL_MAP))
    return np.asarray(_steps(z) / STEPS, np.float32)


def made_map(
    model: TimbreModel, z: Latents, lay_out: Callable[[Values], NDArray[Any]]
) -> TimbreMap:
    """A map of sounds.

    Args:
        model: decodes them.
        z: shape (n, n_latents).
        lay_out: gives spectra of shape (n, BANDS) a plane's places, shape (n, 2), at
            any scale.
    """
    timbres = model.decode(z)
    power = model.axis.to_power(timbres)
    prominence = prominence_db(timbres, model.axis)
    values = {
        "pitch": pitch_octaves(power, prominence, model.axis),
        "brightness": brightness_octaves(power, model.axis),
        "weirdness": model.weirdness(z).astype(np.float64),
    }
    ranges = {
        name: (float(value.min()), float(max(value.max(), value.min() + 1e-6)))
        for name, value in values.items()
    }
    colours = {
        name: ((value - ranges[name][0]) / np.ptp(ranges[name])).astype(np.float32)
        for name, value in values.items()
    }
    spectra = spectra_of(timbres, model.axis)
    plane = lay_out(spectra)
    low, high = plane.min(axis=0), plane.max(axis=0)
    places = 2.0 * (plane - low) / np.maximum(high - low, 1e-9) - 1.0
    return TimbreMap(z, spectra, places.astype(np.float32), colours, ranges)


def spectra_of(timbres: NDArray[np.float32], axis: Axis) -> Values:
    """Spectra that the sounds of a map are compared by.

    Args:
        timbres: shape (n, n_bands), 0..1.
        axis: the bands.

    Returns:
        Levels of `BANDS` parts of the axis relative to the whole power, dB from
        `FLOOR_DB` to 0, shape (n, BANDS).
    """
    edges = np.linspace(0, axis.n_bands, BANDS, endpoint=False).astype(int)
    power = np.add.reduceat(axis.to_power(timbres), edges, axis=1)
    share = power / (power.sum(axis=1, keepdims=True) + 1e-20)
    level = 10.0 * np.log10(np.maximum(share, 10.0 ** (FLOOR_DB / 10.0)))
    return np.asarray(level, np.float32)


def principal_plane(spectra: Values) -> NDArray[np.float64]:
    """Spectra on the plane of their two main directions, shape (n, 2)."""
    centred = (spectra - spectra.mean(axis=0)).astype(np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    main = axes[:, :-3:-1]  # the sign of a direction is chance: made its own
    main = main * np.sign(main[np.abs(main).argmax(axis=0), [0, 1]])
    plane: NDArray[np.float64] = centred @ main
    return plane


def _steps(z: Latents) -> NDArray[np.float32]:
    return np.clip(np.round(z * np.float32(STEPS)), -127, 127)


@dataclass(frozen=True)
class _ColourJson:
    """What the sounds are coloured by: values from the first edge to the second."""

    range: tuple[float, float]
    values: str


@dataclass(frozen=True)
class _MapJson:
    """The fields of map.json."""

    format: Literal["latent-map"]
    format_version: Literal[1]
    latents: str
    spectra: str
    places: str
    colours: Annotated[dict[str, _ColourJson], Meta(max_length=16)]


def _text(values: NDArray[Any], kind: str) -> str:
    return base64.b64encode(values.astype(kind).tobytes()).decode("ascii")


def _array(text: str, kind: str) -> NDArray[np.float32]:
    try:
        content = base64.b64decode(text.encode("ascii"), validate=True)
        return np.frombuffer(content, kind).astype(np.float32)
    except (binascii.Error, UnicodeEncodeError, ValueError):
        raise ValueError("holds damaged numbers") from None
