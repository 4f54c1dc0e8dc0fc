"""Cache of loops at the sample rate at which they are played, as raw samples.

A kept loop is a `.npy` file of float32 samples with a JSON file beside it. Samples are
mapped into memory, so a loop is there at once, whatever its length, and all programs
that play it share its pages. Files appear whole or not at all, the JSON file last.
"""

import json
import mmap
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Annotated, TypedDict

import numpy as np
from msgspec import Meta
from numpy.lib import format

from effects.audio.levels import Samples
from effects.audio.third_octaves import N_BANDS, loop_power
from effects.base.errors import InputError, LatentError
from effects.base.open_file import open_regular, read_bytes
from effects.base.schema import decode_json
from effects.base.whole_file import whole_file, write_whole
from effects.shelf.loops import Loop

FORMAT_VERSION = 1
MAX_FACTS = 1 << 16  # bytes
MOST_SAMPLES = 1 << 32  # no loop is so long
MOST_POWER = 1e3  # nor so loud in a band


class _LoopFacts(TypedDict):
    """What stands in the JSON file of a kept loop."""

    format: Annotated[int, Meta(ge=FORMAT_VERSION, le=FORMAT_VERSION)]
    n_samples: Annotated[int, Meta(gt=0, lt=MOST_SAMPLES)]
    seconds: Annotated[float, Meta(gt=0.0)]
    seam: Annotated[int, Meta(ge=0, lt=MOST_SAMPLES)]
    mode: str
    credit: dict[str, str]
    power: Annotated[
        list[Annotated[float, Meta(ge=0.0, le=MOST_POWER)]],
        Meta(min_length=N_BANDS, max_length=N_BANDS),
    ]


class LoopCache:
    """Loops by name, identity and sample rate.

    Args:
        folder: of the cache; it need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str, identity: str, sample_rate: int) -> Loop | None:
        """A kept loop, its samples mapped read-only, or None if there is none.

        Args:
            name: of the effect.
            identity: text that changes when the effect is made anew.
            sample_rate: Hz.
        """
        path = self._path(name, identity, sample_rate)
        facts = _facts(path)
        if facts is None:
            return None
        try:
            samples, memory = _mapped(path, facts["n_samples"])
        except (OSError, ValueError):
            return None
        return Loop(
            name,
            samples,
            sample_rate,
            facts["seam"],
            facts["mode"],
            facts["credit"],
            np.array(facts["power"], np.float64),
            memory,
        )

    def is_kept(self, name: str, identity: str, sample_rate: int) -> bool:
        """Whether there is a loop to read; arguments as for `read`."""
        return _facts(self._path(name, identity, sample_rate)) is not None

    def keep(self, loop: Loop, identity: str) -> Loop:
        """Keep a loop, in place of others that the effect had under this rate.

        Args:
            loop: at the sample rate at which it will be played.
            identity: text that changes when the effect is made anew.

        Returns:
            The kept loop, mapped; the loop itself, with its power, if it could not be
            kept: without a cache it only takes longer to be there.
        """
        loop = replace(loop, power=loop_power(loop.samples, loop.sample_rate))
        path = self._path(loop.name, identity, loop.sample_rate)
        facts = {
            "format": FORMAT_VERSION,
            "n_samples": len(loop.samples),
            "seconds": loop.seconds,
            "seam": loop.seam,
            "mode": loop.mode,
            "credit": loop.credit,
            "power": [] if loop.power is None else loop.power.tolist(),
        }
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as temporary, temporary.open("wb") as file:
                np.save(file, np.ascontiguousarray(loop.samples))
            write_whole(path.with_suffix(".json"), json.dumps(facts))
        except (LatentError, OSError):
            return loop
        self._drop_others(path)
        return self.read(loop.name, identity, loop.sample_rate) or loop

    def seconds(self, name: str, identity: str) -> float | None:
        """Length of an effect in seconds, if it is kept at any rate."""
        for path in sorted((self._folder / name).glob(f"{identity}-*.npy")):
            if (facts := _facts(path)) is not None:
                return facts["seconds"]
        return None

    def forget(self, name: str) -> None:
        """Remove all kept loops of an effect."""
        for path in (self._folder / name).glob("*-*.*"):
            with suppress(OSError):
                path.unlink()
        with suppress(OSError):
            (self._folder / name).rmdir()

    def _path(self, name: str, identity: str, sample_rate: int) -> Path:
        return self._folder / name / f"{identity}-{sample_rate}.npy"

    def _drop_others(self, path: Path) -> None:
        """Remove loops that an effect had under this rate by another identity."""
        rate = path.stem.rpartition("-")[2]
        for other in path.parent.glob(f"*-{rate}.*"):
            if other.stem != path.stem:
                with suppress(OSError):
                    other.unlink()


def _mapped(path: Path, n_samples: int) -> tuple[Samples, mmap.mmap]:
    """The samples of a kept loop, and the mapping in which they lie.

    The header must be the one that such a file is written with: no part of a damaged
    one is read.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged, or of another length.
    """
    expected = BytesIO()
    shape = n_samples, 2
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    format.write_array_header_1_0(expected, header)
    begin = len(expected.getvalue())
    with open_regular(path) as file:
        if file.read(begin) != expected.getvalue():
            raise ValueError("another header")
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    flat = np.frombuffer(memory, np.float32, count=2 * n_samples, offset=begin)
    return flat.reshape(shape), memory


def _facts(path: Path) -> _LoopFacts | None:
    try:
        content = read_bytes(path.with_suffix(".json"), MAX_FACTS, "loop's facts")
        return decode_json(content, _LoopFacts, str(path))
    except InputError:
        return None
