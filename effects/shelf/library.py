"""The shelf of loops: bundled generators and the user's own, prepared once.

A prepared loop is a FLAC file with a JSON file beside it. Bundled sounds are rendered
when first asked for, into the cache; the user's go to the data folder, since what
they were made from may be gone tomorrow. Files appear whole or not at all, so any
number of programs may share the shelf.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.conversion import resample
from effects.audio.levels import Samples
from effects.audio.sound_formats import SoundError
from effects.audio.sound_reader import read_sound
from effects.audio.sound_writer import write_sound
from effects.audio.third_octaves import loop_power
from effects.base.errors import InputError, LatentError
from effects.base.paths import cache_dir, data_dir
from effects.base.whole_file import write_whole
from effects.generators import GENERATORS, VERSION
from effects.generators.features import FEATURES
from effects.shelf.loops import Loop, finished_loop
from effects.shelf.similarity import N_FEATURES, modulation_features, similarity_matrix

PREPARED_RATE = 48_000
KEPT_LOOPS = 5  # in memory, 23 MB a minute; two voices crossfading need four
SIDECAR_VERSION = 1
LONGEST_S = 900.0


@dataclass(frozen=True)
class Entry:
    """What is known of an effect without loading it."""

    name: str
    kind: str  # "bundled" or "added"
    text: str
    seconds: float | None  # None: bundled and not rendered yet
    mode: str
    credit: dict[str, str]


class Library:
    """Effects by name. Not for the callback; each thread may have its own.

    >>> Library().names()[:2]
    ['birds', 'drips']
    """

    def __init__(self, folder: Path | None = None, cache: Path | None = None) -> None:
        self.folder = folder or data_dir() / "effects"
        self.cache = cache or cache_dir() / "effects"
        self._loaded: OrderedDict[tuple[str, int], Loop] = OrderedDict()

    def names(self) -> list[str]:
        """Names of all effects, sorted."""
        return sorted({*GENERATORS, *self.added()})

    def entries(self) -> list[Entry]:
        """All effects, with length, mode and credits."""
        return [self.entry(name) for name in self.names()]

    def entry(self, name: str) -> Entry:
        """What is known of one effect.

        Raises:
            InputError: no effect has that name.
        """
        sidecar = self._sidecar(name) or {}
        if name in self.added():
            credit = {str(k): str(v) for k, v in sidecar.get("credit", {}).items()}
            text = credit.get("title", "") or "recording of your own"
            seconds, mode = sidecar.get("seconds"), str(sidecar.get("mode", "loop"))
            return Entry(name, "added", text, seconds, mode, credit)
        if name in GENERATORS:
            text = GENERATORS[name].text
            credit = {"author": "Latent", "license": "MIT"}
            return Entry(
                name, "bundled", text, sidecar.get("seconds"), "generated", credit
            )
        raise InputError(f"{name}: no such effect; there are {', '.join(self.names())}")

    def load(self, name: str, sample_rate: int) -> Loop:
        """A loop at a sample rate; a bundled one is rendered if it must be.

        Raises:
            InputError: no effect has that name, or its file is broken.
        """
        key = (name, sample_rate)
        if key in self._loaded:
            self._loaded.move_to_end(key)
            return self._loaded[key]
        loop = at_rate(self._prepared(name), sample_rate)
        loop = replace(loop, power=loop_power(loop.samples, sample_rate))
        self._loaded[key] = loop
        while len(self._loaded) > KEPT_LOOPS:
            self._loaded.popitem(last=False)
        return loop

    def store(self, loop: Loop, details: dict[str, Any] | None = None) -> None:
        """Put a loop of the user's own on the shelf, replacing one of its name."""
        self._write(self.folder / f"{loop.name}.flac", loop, details or {})

    def details(self, name: str) -> dict[str, Any]:
        """All that was noted of an added effect when it was prepared."""
        return _read_json(self.folder / f"{name}.json") or {}

    def identity(self, name: str) -> str:
        """A short text that is another one when an effect was made anew."""
        if name not in self.added():
            return f"v{VERSION}"
        try:
            content = (self.folder / f"{name}.json").read_bytes()
        except OSError:
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
        """How alike effects are, as an `EffectSchedule` takes it.

        Args:
            names: the effects.
            heard: what a model's encoder made of each of them, if it was asked; all
                vectors of one length. Weighs as much as the modulation does.

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
        """Take an added effect off the shelf.

        Raises:
            InputError: no added effect has that name.
        """
        if name not in self.added():
            why = "is bundled" if name in GENERATORS else "no such effect"
            raise InputError(f"{name}: {why}; only added effects can be removed")
        for path in (self.folder / f"{name}.json", self.folder / f"{name}.flac"):
            path.unlink(missing_ok=True)
        self._loaded.clear()

    def added(self) -> list[str]:
        """Names of the effects that the user added."""
        if not self.folder.is_dir():
            return []
        return [p.stem for p in self.folder.glob("[!.]*.json")]

    def _prepared(self, name: str) -> Loop:
        if name in self.added():
            loop = self._read(self.folder / f"{name}.flac", name)
            if loop is None:
                raise SoundError(f"{name}: its file is gone or broken; add it again")
            return loop
        if name not in GENERATORS:
            self.entry(name)  # raises
        path = self._bundled_path(name)
        loop = self._read(path, name)
        if loop is None:
            samples = GENERATORS[name].render(PREPARED_RATE)
            loop = finished_loop(samples, PREPARED_RATE, name, mode="generated")
            try:
                self._write(path, loop, {})
            except (LatentError, OSError):
                return loop  # a cache that cannot be written only costs time
            # What was stored has 24 bits: the first time is to sound like the next.
            loop = self._read(path, name) or loop
        return loop

    def _bundled_path(self, name: str) -> Path:
        return self.cache / f"{name}-v{VERSION}.flac"

    def _write(self, path: Path, loop: Loop, details: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sound(path, loop.samples, loop.sample_rate, "PCM_24")
        sidecar = {
            "version": SIDECAR_VERSION,
            "name": loop.name,
            "seconds": loop.seconds,
            "seam": loop.seam,
            "mode": loop.mode,
            "credit": loop.credit,
            **details,
        }
        write_whole(path.with_suffix(".json"), json.dumps(sidecar, indent=1))
        self._loaded.clear()

    def _read(self, path: Path, name: str) -> Loop | None:
        """A prepared loop, or None if it is not there or cannot be read."""
        sidecar = _read_json(path.with_suffix(".json"))
        if sidecar is None:
            return None
        try:
            samples, rate = read_sound(path, max_seconds=LONGEST_S)
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

    def _sidecar(self, name: str) -> dict[str, Any] | None:
        added = _read_json(self.folder / f"{name}.json")
        return added or _read_json(self._bundled_path(name).with_suffix(".json"))


def at_rate(loop: Loop, sample_rate: int) -> Loop:
    """The loop at another sample rate, still without a seam.

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
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
