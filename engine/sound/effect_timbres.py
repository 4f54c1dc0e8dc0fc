"""How a model hears the nature sounds: its encoder's latents, for their order.

What is kept of a sound are the timbres of some clips of it, which no model decides:
those of the bundled sounds lie beside this module, those of the user's own in the
cache. Any model then hears the whole shelf within milliseconds, and the same at every
start; what it heard is kept, too, since nothing else that plays needs its encoder.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from effects.base.errors import InputError, LatentError
from effects.base.whole_file import whole_file
from effects.generators import VERSION
from effects.shelf.library import Library
from effects.shelf.loops import Loop
from model.config import AXIS, SAMPLE_RATE
from model.inference import TimbreModel, Timbres
from model.spectrum import CLIP_LENGTH, analyse

TABLE = Path(__file__).parent / "timbres.npz"
CLIPS = 6  # of each sound, spread over it
_Number = TypeVar("_Number", np.uint8, np.float32)
_STEPS = 255.0  # of a timbre when kept: 0.4 dB each


def heard(
    model: TimbreModel, library: Library, names: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Mean latent of each effect, as `Library.similarity` takes them.

    What is neither known nor can be loaded is taken for the middle of the space.

    Raises:
        InputError: no effect has one of the names.
    """
    timbres = [timbres_of(library, name) for name in names]
    clips = [len(rows) for rows in timbres]
    latents = _latents(model, library, np.concatenate(timbres)).astype(np.float64)
    starts = np.cumsum([0, *clips])
    return {
        name: latents[start : start + n].mean(axis=0)
        if n
        else np.zeros(model.n_latents)
        for name, start, n in zip(names, starts, clips, strict=False)
    }


def _latents(
    model: TimbreModel, library: Library, timbres: Timbres
) -> NDArray[np.float32]:
    """Latents of clips, shape (n_clips, n_latents), kept from one start to the next."""
    digest = hashlib.sha256(model.hash.encode())
    digest.update(np.ascontiguousarray(timbres).data)
    path = library.cache / f"heard-{digest.hexdigest()[:24]}.npy"
    kept = _read(path, np.float32, model.n_latents)
    if kept is None or len(kept) != len(timbres):
        kept, _ = model.encode(timbres, refined=False)
        _write(path, kept)
    return kept


def timbres_of(library: Library, name: str) -> Timbres:
    """Timbres of clips of an effect, shape (n_clips, n_bands); none if it is broken.

    Raises:
        InputError: no effect has that name.
    """
    entry = library.entry(name)
    if entry.kind == "bundled" and name in _table():
        return _restored(_table()[name])
    path = library.cache / f"{name}-{library.identity(name)}.timbre.npy"
    kept = _read(path, np.uint8, AXIS.n_bands)
    if kept is None:
        try:
            kept = _kept(measure(library.load(name, SAMPLE_RATE)))
        except InputError:
            return np.zeros((0, AXIS.n_bands), np.float32)
        _write(path, kept)
    return _restored(kept)


def measure(loop: Loop) -> Timbres:
    """Timbres of clips spread over a loop at 44.1 kHz, shape (CLIPS, n_bands)."""
    length = len(loop.samples)
    whole = np.resize(loop.samples, (length + CLIP_LENGTH, loop.samples.shape[1]))
    starts = np.arange(CLIPS) * length // CLIPS
    return np.stack([analyse(whole[s : s + CLIP_LENGTH]) for s in starts])


def write_table(path: Path, loops: Sequence[Loop]) -> None:
    """Keep the timbres of the bundled sounds, loops at 44.1 kHz, in a file."""
    kept = {loop.name: _kept(measure(loop)) for loop in loops}
    np.savez_compressed(path, version=np.array(VERSION), **kept)  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def _table() -> dict[str, NDArray[np.uint8]]:
    """Clips of the bundled sounds; nothing if they are of other renderings."""
    try:
        with np.load(TABLE, allow_pickle=False) as file:
            if int(file["version"]) != VERSION:
                return {}
            return {name: file[name] for name in file.files if name != "version"}
    except OSError:
        return {}


def _kept(timbres: Timbres) -> NDArray[np.uint8]:
    return np.round(timbres * _STEPS).astype(np.uint8)


def _restored(kept: NDArray[np.uint8]) -> Timbres:
    timbres: Timbres = kept.astype(np.float32) / np.float32(_STEPS)
    return timbres


def _read(path: Path, dtype: type[_Number], width: int) -> NDArray[_Number] | None:
    try:
        kept = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if kept.dtype != dtype or kept.ndim != 2 or kept.shape[1] != width:
        return None
    return np.asarray(kept, dtype)


def _write(path: Path, kept: NDArray[Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.save(file, kept)
    except (LatentError, OSError):
        pass  # a cache that cannot be written only costs time
