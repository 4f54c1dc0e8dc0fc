"""The shelf of loops: bundled generators and the user's own recordings, by name.

A recording is prepared once and stored in the data folder, as a FLAC file with a JSON
file beside it, since what it was made from may be gone tomorrow. What is played, at the
rate at which it is played, is kept in the cache. Files appear whole or not at all, so
any number of programs may share the shelf.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from effects.audio.conversion import resample
from effects.audio.levels import Samples
from effects.audio.sound_formats import SoundError
from effects.audio.sound_reader import read_sound
from effects.audio.sound_writer import write_sound
from effects.base.errors import InputError
from effects.base.open_file import read_bytes
from effects.base.paths import cache_dir, data_dir
from effects.base.schema import decode_json
from effects.base.whole_file import write_whole
from effects.generators import GENERATORS, VERSION
from effects.generators.features import FEATURES
from effects.shelf.loop_cache import LoopCache
from effects.shelf.loops import Loop, finished_loop
from effects.shelf.making import make_in_process
from effects.shelf.similarity import N_FEATURES, modulation_features, similarity_matrix

PREPARED_RATE = 48_000
HELD_LOOPS = 8  # that stay mapped: two mixes of four may crossfade
SIDECAR_VERSION = 1
MAX_SIDECAR = 1 << 16  # bytes
LONGEST_S = 900.0


class _Sidecar(TypedDict, total=False):
    """The fields of an effect's description that are used, and their types."""

    seconds: Annotated[float, Meta(gt=0.0, le=86_400.0)]
    seam: Annotated[int, Meta(ge=0)]
    mode: str
    credit: dict[str, str]
    features: list[float]


@dataclass(frozen=True)
class Entry:
    """Facts about an effect that are known without loading it.

    Attributes:
        name: by which it is asked for.
        kind: "bundled" or "added".
        text: what it is, in a few words.
        seconds: length of its loop; None: bundled, and not rendered yet.
        mode: "generated", "loop" or "texture".
        credit: author, licence and source.
    """

    name: str
    kind: str
    text: str
    seconds: float | None
    mode: str
    credit: dict[str, str]


class Library:
    """Effects by name. For any thread but the callback.

    >>> Library().names()[:2]
    ['birds', 'drips']

    Args:
        folder: of the user's own effects.
        cache: for what can be made again.
    """

    def __init__(self, folder: Path | None = None, cache: Path | None = None) -> None:
        self.folder = folder or data_dir() / "effects"
        self.cache = cache or cache_dir() / "effects"
        self._loops = LoopCache(self.cache)
        self._held: OrderedDict[tuple[str, str, int], Loop] = OrderedDict()
        self._guard = threading.Lock()  # of `_held`

    def names(self) -> list[str]:
        """Names of all effects, sorted."""
        return sorted({*GENERATORS, *self.added()})

    def entries(self) -> list[Entry]:
        """All effects, with length, mode and credits."""
        return [self.entry(name) for name in self.names()]

    def entry(self, name: str) -> Entry:
        """Facts about one effect, without loading it.

        Raises:
            InputError: no effect has that name.
        """
        if name in self.added():
            sidecar = self.details(name)
            credit = {str(k): str(v) for k, v in sidecar.get("credit", {}).items()}
            text = credit.get("title", "") or "recording of your own"
            seconds, mode = sidecar.get("seconds"), str(sidecar.get("mode", "loop"))
            return Entry(name, "added", text, seconds, mode, credit)
        if name in GENERATORS:
            text = GENERATORS[name].text
            credit = {"author": "Latent", "license": "MIT"}
            seconds = self._loops.seconds(name, self.identity(name))
            return Entry(name, "bundled", text, seconds, "generated", credit)
        raise InputError(f"{name}: no such effect; there are {', '.join(self.names())}")

    def load(self, name: str, sample_rate: int) -> Loop:
        """A loop at a sample rate in Hz, with its band powers; its samples are fixed.

        The first time, a bundled sound is rendered, which takes seconds; later, and in
        other programs, it is mapped from the cache.

        Raises:
            InputError: no effect has that name, or its file is broken.
        """
        if name not in GENERATORS and name not in self.added():
            self.entry(name)  # raises
        key = (name, self.identity(name), sample_rate)
        with self._guard:
            loop = self._held.get(key)
        if loop is None:
            loop = self._loops.read(*key)
        if loop is None:
            loop = at_rate(self._prepared(name), sample_rate)
            loop = self._loops.keep(loop, self.identity(name))
        with self._guard:
            loop = self._held.setdefault(key, loop)
            self._held.move_to_end(key)
            while len(self._held) > HELD_LOOPS:
                self._held.popitem(last=False)
        return loop

    def give_back(self) -> None:
        """Let go of the memory of loops that were read: only files are left of it.

        Without it, a session holds all of each loop that it has ever come to.
        """
        with self._guard:
            held = list(self._held.values())
        for loop in held:
            loop.give_back()

    def make_apart(self, name: str, sample_rate: int) -> None:
        """Make a loop in a process of its own, unless it is there; arguments as `load`.

        `load` then finds it, and makes it here if the process could not.
        """
        if not self.is_there(name, sample_rate):
            make_in_process(self.folder, self.cache, name, sample_rate)

    def is_bundled(self, name: str) -> bool:
        """Whether an effect is generated, not the user's own."""
        return name in GENERATORS and name not in self.added()

    def is_there(self, name: str, sample_rate: int) -> bool:
        """Whether a loop can be loaded at once; else it may take seconds to be made."""
        identity = self.identity(name)
        with self._guard:
            held = (name, identity, sample_rate) in self._held
        return held or self._loops.is_kept(name, identity, sample_rate)

    def store(self, loop: Loop, details: dict[str, Any] | None = None) -> None:
        """Put a loop of the user's own on the shelf, in place of one of its name.

        Args:
            loop: prepared.
            details: what else is to be known of it, as JSON.

        Raises:
            InputError: the folder cannot be written.
            RunError: writing failed on the way, as on a full disk.
        """
        path = self.folder / f"{loop.name}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sound(path, loop.samples, loop.sample_rate, "PCM_24")
        sidecar = {
            "version": SIDECAR_VERSION,
            "name": loop.name,
            "seconds": loop.seconds,
            "seam": loop.seam,
            "mode": loop.mode,
            "credit": loop.credit,
            **(details or {}),
        }
        write_whole(path.with_suffix(".json"), json.dumps(sidecar, indent=1))
        self._forget(loop.name)

    def details(self, name: str) -> dict[str, Any]:
        """Facts that were stored with an added effect when it was prepared."""
        return _read_json(self.folder / f"{name}.json") or {}

    def identity(self, name: str) -> str:
        """A short text that changes when an effect is made anew."""
        if name not in self.added():
            return f"v{VERSION}"
        try:
            path = self.folder / f"{name}.json"
            content = read_bytes(path, MAX_SIDECAR, "description of an effect")
        except InputError:
            content = b""
        return hashlib.sha256(content).hexdigest()[:16]

    def features(self, name: str) -> NDArray[np.float64]:
        """Modulation features of an effect, without loading it if they are known.

        Raises:
            InputError: no effect has that name, or its file is broken.
        """
        known = self.details(name).get("features") if name in self.added() else None
        if known is None and name not in self.added():
            known = FEATURES.get(name)
        if known is not None and len(known) == N_FEATURES:
            return np.asarray(known, np.float64)
        return modulation_features(self.load(name, PREPARED_RATE))

    def similarity(
        self,
        names: Sequence[str],
        heard: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> NDArray[np.float64]:
        """Similarity of effects to one another, as an `EffectSchedule` takes it.

        Args:
            names: the effects.
            heard: latent of each of them, all of one length, if a model's encoder is to
                count; it counts as much as the modulation does.

        Returns:
            Shape (n, n), 1 on the diagonal.

        Raises:
            InputError: no effect has one of the names.
        """
        matrix = similarity_matrix(np.stack([self.features(name) for name in names]))
        if heard is None:
            return matrix
        latents = np.stack([heard[name] for name in names])
        mean: NDArray[np.float64] = 0.5 * (matrix + similarity_matrix(latents))
        return mean

    def remove(self, name: str) -> None:
        """Remove an added effect from the shelf.

        Raises:
            InputError: no added effect has that name.
        """
        if name not in self.added():
            why = "is bundled" if name in GENERATORS else "no such effect"
            raise InputError(f"{name}: {why}; only added effects can be removed")
        for path in (self.folder / f"{name}.json", self.folder / f"{name}.flac"):
            path.unlink(missing_ok=True)
        self._forget(name)

    def added(self) -> list[str]:
        """Names of the effects that the user added."""
        if not self.folder.is_dir():
            return []
        return [p.stem for p in self.folder.glob("[!.]*.json")]

    def _prepared(self, name: str) -> Loop:
        """A loop at the rate at which it was prepared, from its source."""
        if name in self.added():
            loop = self._stored(name)
            if loop is None:
                raise SoundError(f"{name}: its file is gone or broken; add it again")
            return loop
        samples = GENERATORS[name].render(PREPARED_RATE)
        return finished_loop(samples, PREPARED_RATE, name, mode="generated")

    def _stored(self, name: str) -> Loop | None:
        """A loop of the user's own, or None if it is not there or cannot be read."""
        sidecar = self.details(name)
        try:
            samples, rate = read_sound(
                self.folder / f"{name}.flac", max_seconds=LONGEST_S
            )
        except SoundError:
            return None
        if (
            samples.shape[1] != 2
            or abs(len(samples) / rate - sidecar.get("seconds", 0.0)) > 2.0 / rate
        ):
            return None  # written by a program that was killed, or another's file
        credit = {str(k): str(v) for k, v in sidecar.get("credit", {}).items()}
        seam, mode = int(sidecar.get("seam", 0)), str(sidecar.get("mode", "loop"))
        return Loop(name, samples, rate, seam, mode, credit)

    def _forget(self, name: str) -> None:
        """Drop the loops of an effect that has changed, from memory and cache."""
        self._loops.forget(name)
        with self._guard:
            for key in [key for key in self._held if key[0] == name]:
                del self._held[key]


def shared_library() -> Library:
    """The user's shelf, one for the whole process."""
    return _library_of(data_dir() / "effects", cache_dir() / "effects")


@lru_cache(maxsize=4)  # folders may change under a long process, as in tests
def _library_of(folder: Path, cache: Path) -> Library:
    return Library(folder, cache)


def at_rate(loop: Loop, sample_rate: int) -> Loop:
    """A loop at another sample rate, still without a seam.

    It is resampled by the exact ratio of its lengths, with its own ends around it.
    """
    if sample_rate == loop.sample_rate:
        return loop
    n = len(loop.samples)
    n_new = max(1, round(n * sample_rate / loop.sample_rate))
    margin = min(n, loop.sample_rate // 10)
    around: Samples = np.concatenate(
        [loop.samples[-margin:], loop.samples, loop.samples[:margin]]
    )
    converted = resample(around, n, n_new)
    start = round(margin * n_new / n)
    samples = converted[start : start + n_new]
    seam = round(loop.seam * n_new / n)
    return Loop(loop.name, samples, sample_rate, seam, loop.mode, loop.credit)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = read_bytes(path, MAX_SIDECAR, "description of an effect")
        decode_json(content, _Sidecar, str(path))
        return decode_json(content, dict[str, Any], str(path))
    except InputError:
        return None
