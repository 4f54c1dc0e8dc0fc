"""A corpus: clips as timbres, a manifest that says what each one is, and verdicts.

A corpus is a folder:

    manifest.jsonl    one JSON object a clip, in the order of the timbres
    timbres.f16       float16 of shape (n, n_bands), row after row
    clips/*.flac      the clips' audio, where it is kept for listening
    verdicts.jsonl    decisions of curation, appended; the last one on a clip counts

Everything is appended: timbres first, then their manifest lines. A program that is
killed leaves at most timbres without lines or a torn last line, and both are cut off
when the corpus is opened for writing. One program writes at a time.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.errors import InputError, RunError
from effects.levels import Samples
from model.config import AXIS, SAMPLE_RATE

MANIFEST, TIMBRES, CLIPS, VERDICTS = (
    "manifest.jsonl",
    "timbres.f16",
    "clips",
    "verdicts.jsonl",
)
KEEP, REJECT = "keep", "reject"
_ROW_BYTES = 2 * AXIS.n_bands

Row = Mapping[str, Any]


class Corpus:
    """The clips of one folder.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path, rows: list[Row]) -> None:
        self.folder = folder
        self._rows = rows

    @classmethod
    def open(cls, folder: Path) -> "Corpus":
        """A corpus that is there, for reading.

        Raises:
            InputError: there is none, or its files do not fit one another.
        """
        if not (folder / MANIFEST).is_file():
            raise InputError(
                f"{folder}: no corpus here (no {MANIFEST}); make one with "
                "'latent corpus add FOLDER' or 'latent corpus demo'"
            )
        rows, _ = _read_lines(folder / MANIFEST)
        n_timbres = _size(folder / TIMBRES) // _ROW_BYTES
        return cls(folder, rows[:n_timbres])

    @classmethod
    def create(cls, folder: Path) -> "Corpus":
        """A corpus for writing: an existing one, mended if need be, or a new one.

        Raises:
            InputError: the folder cannot be made, or holds something else.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in (MANIFEST, TIMBRES):
                (folder / name).touch()
        except OSError as error:
            raise InputError(
                f"{folder}: cannot hold a corpus ({error.strerror})"
            ) from error
        rows, ends = _read_lines(folder / MANIFEST)
        n = min(len(rows), _size(folder / TIMBRES) // _ROW_BYTES)
        os.truncate(folder / MANIFEST, ends[n])
        os.truncate(folder / TIMBRES, n * _ROW_BYTES)
        return cls(folder, rows[:n])

    def __len__(self) -> int:
        return len(self._rows)

    def append(
        self,
        timbres: NDArray[np.float32],
        rows: Sequence[Row],
        audio: Sequence[Samples] | None = None,
    ) -> None:
        """Add clips; they are all there, or after a kill none or the first of them.

        Args:
            timbres: shape (n, n_bands), 0..1.
            rows: what each clip is: `group` (its song or patch) at least.
            audio: of each clip at 44.1 kHz, to be kept for listening.

        Raises:
            ValueError: shapes that do not fit, or values that are not finite.
            RunError: the disk is full or not writable.
        """
        if timbres.shape != (len(rows), AXIS.n_bands):
            raise ValueError(f"{len(rows)} rows, but timbres of shape {timbres.shape}")
        if not np.all(np.isfinite(timbres)):
            raise ValueError("timbres hold NaN or infinite values")
        try:
            lines = self._keep_audio(rows, audio) if audio else list(rows)
            text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
            _append(self.folder / TIMBRES, timbres.astype(np.float16).tobytes())
            _append(self.folder / MANIFEST, text.encode())
        except OSError as error:
            raise RunError(
                f"{self.folder}: cannot be written ({error.strerror}); "
                "what was added before is safe"
            ) from error
        self._rows.extend(lines)

    def judge(self, clip: int, verdict: str) -> None:
        """Keep or reject a clip; on disk when this returns.

        Raises:
            InputError: no such clip or verdict.
        """
        if not 0 <= clip < len(self) or verdict not in (KEEP, REJECT):
            raise InputError(f"clip {clip}: cannot be judged {verdict!r:.20}")
        line = json.dumps({"clip": clip, "verdict": verdict}) + "\n"
        _append(self.folder / VERDICTS, line.encode(), sync=True)

    def verdicts(self) -> dict[int, str]:
        """The latest verdict on each clip that was judged."""
        path = self.folder / VERDICTS
        lines = _read_lines(path)[0] if path.is_file() else []
        return {int(line["clip"]): str(line["verdict"]) for line in lines}

    def rows(self) -> list[Row]:
        """What each clip is, in order."""
        return list(self._rows)

    def kept(self) -> NDArray[np.intp]:
        """Numbers of the clips that were not rejected."""
        rejected = {c for c, verdict in self.verdicts().items() if verdict == REJECT}
        kept = [clip for clip in range(len(self)) if clip not in rejected]
        return np.array(kept, np.intp)

    def timbres(self) -> NDArray[np.float16]:
        """Timbres of the clips that were kept, shape (n, n_bands)."""
        if not len(self):
            return np.zeros((0, AXIS.n_bands), np.float16)
        stored = np.memmap(
            self.folder / TIMBRES, np.float16, "r", shape=(len(self), AXIS.n_bands)
        )
        return np.asarray(stored[self.kept()])

    def groups(self) -> NDArray[np.str_]:
        """Song or patch of each clip that was kept; they are split by it."""
        names = [str(self._rows[clip].get("group", clip)) for clip in self.kept()]
        return np.array(names, np.str_)

    def summary(self) -> dict[str, Any]:
        """How many clips, groups and rejections there are, by source and licence."""
        return {
            "clips": len(self),
            "kept": len(self.kept()),
            "groups": len(
                {str(row.get("group", i)) for i, row in enumerate(self._rows)}
            ),
            "sources": dict(Counter(str(r.get("source", "?")) for r in self._rows)),
            "licences": dict(Counter(str(r.get("licence", "?")) for r in self._rows)),
        }

    def _keep_audio(self, rows: Sequence[Row], audio: Sequence[Samples]) -> list[Row]:
        from effects.sounds import write_sound

        (self.folder / CLIPS).mkdir(exist_ok=True)
        kept: list[Row] = []
        for number, (row, clip) in enumerate(zip(rows, audio, strict=True), len(self)):
            name = f"{CLIPS}/{number:06d}.flac"
            write_sound(self.folder / name, clip, SAMPLE_RATE, "PCM_16")
            kept.append({**row, "file_name": name})
        return kept


def _append(path: Path, content: bytes, *, sync: bool = False) -> None:
    with path.open("ab") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _read_lines(path: Path) -> tuple[list[Row], list[int]]:
    """JSON objects of a file, one a line, and the place in the file after each.

    The places begin with 0, so `ends[n]` is where the first n lines end. A torn last
    line is left out.

    Raises:
        InputError: a line that is whole but not a JSON object.
    """
    rows: list[Row] = []
    ends = [0]
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError
            except ValueError:
                raise InputError(
                    f"{path}, line {number}: not a JSON object; mend or remove it"
                ) from None
            rows.append(row)
            ends.append(ends[-1] + len(line))
    return rows, ends
