"""A corpus: clips as timbres, a manifest that says what each one is, and verdicts.

A corpus is a folder:

    manifest.jsonl    one JSON object a clip, in the order of the timbres
    timbres.f16       float16 of shape (n, n_bands), row after row
    clips/*.flac      the clips' audio, where it is kept for listening
    verdicts.jsonl    decisions of curation, appended; the last one on a clip counts

Everything is appended: timbres first, then their manifest lines. A program that is
killed leaves at most timbres without lines or a torn last line, and both are cut off
when the corpus is opened for writing. One program writes at a time: a second one that
comes in between is told so before it writes anything.
"""

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.base.errors import InputError, RunError
from model.config import AXIS, SAMPLE_RATE
from model.corpus.json_lines import Row, append_bytes, read_lines

MANIFEST, TIMBRES, CLIPS, VERDICTS = (
    "manifest.jsonl",
    "timbres.f16",
    "clips",
    "verdicts.jsonl",
)
KEEP, REJECT = "keep", "reject"
_ROW_BYTES = 2 * AXIS.n_bands


class Corpus:
    """The clips of one folder.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path, rows: list[Row], end: int) -> None:
        self.folder = folder
        self._rows = rows
        self._end = end  # where the lines of these rows end in the manifest

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
        # The manifest first: it is what grows last.
        rows, ends = read_lines(folder / MANIFEST)
        n = min(len(rows), _size(folder / TIMBRES) // _ROW_BYTES)
        return cls(folder, rows[:n], ends[n])

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
            with _locked(folder):
                rows, ends = read_lines(folder / MANIFEST)
                n = min(len(rows), _size(folder / TIMBRES) // _ROW_BYTES)
                corpus = cls(folder, rows[:n], ends[n])
                corpus._cut()
                corpus._forget_verdicts_beyond()
        except OSError as error:
            raise InputError(
                f"{folder}: cannot hold a corpus ({error.strerror})"
            ) from error
        return corpus

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
            RunError: the disk is full or not writable, or another program has added
                clips since this corpus was opened.
        """
        if timbres.shape != (len(rows), AXIS.n_bands):
            raise ValueError(f"{len(rows)} rows, but timbres of shape {timbres.shape}")
        if not np.all(np.isfinite(timbres)):
            raise ValueError("timbres hold NaN or infinite values")
        try:
            with _locked(self.folder):
                self._check_alone()
                try:
                    lines = self._keep_audio(rows, audio) if audio else list(rows)
                    text = "".join(json.dumps(x, sort_keys=True) + "\n" for x in lines)
                    content = text.encode()
                    # On the disk before their lines: a line vouches for its timbre.
                    stored = timbres.astype(np.float16).tobytes()
                    append_bytes(self.folder / TIMBRES, stored, sync=True)
                    append_bytes(self.folder / MANIFEST, content)
                except BaseException:
                    with suppress(OSError):
                        self._cut()  # or the next clips would be out of step
                    raise
        except OSError as error:
            raise RunError(
                f"{self.folder}: cannot be written ({error.strerror}); "
                "what was added before is safe"
            ) from error
        self._rows.extend(lines)
        self._end += len(content)

    def judge(self, clip: int, verdict: str) -> None:
        """Keep or reject a clip; on disk when this returns.

        Raises:
            InputError: no such clip or verdict.
            RunError: the disk is full or not writable.
        """
        if not 0 <= clip < len(self) or verdict not in (KEEP, REJECT):
            raise InputError(f"clip {clip}: cannot be judged {verdict!r:.20}")
        line = json.dumps({"clip": clip, "verdict": verdict}) + "\n"
        path = self.folder / VERDICTS
        try:
            with _locked(self.folder):
                if path.exists():
                    os.truncate(path, read_lines(path)[1][-1])  # a torn last line
                append_bytes(path, line.encode(), sync=True)
        except OSError as error:
            raise RunError(
                f"{path}: cannot be written ({error.strerror}); earlier verdicts stand"
            ) from error

    def verdicts(self) -> dict[int, str]:
        """The latest verdict on each clip that was judged.

        Raises:
            InputError: a line that is no verdict.
        """
        path = self.folder / VERDICTS
        verdicts: dict[int, str] = {}
        for number, line in enumerate(read_lines(path)[0] if path.exists() else [], 1):
            clip, verdict = line.get("clip"), line.get("verdict")
            if type(clip) is not int or verdict not in (KEEP, REJECT):
                raise InputError(f"{path}, line {number}: no verdict; remove it")
            verdicts[clip] = verdict
        return verdicts

    def rows(self) -> list[Row]:
        """What each clip is, in order."""
        return list(self._rows)

    def kept(self) -> NDArray[np.intp]:
        """Numbers of the clips that were not rejected."""
        rejected = {c for c, verdict in self.verdicts().items() if verdict == REJECT}
        kept = [clip for clip in range(len(self)) if clip not in rejected]
        return np.array(kept, np.intp)

    def stored(self, clip: int) -> NDArray[np.float16]:
        """Timbre of one clip, kept or not, shape (n_bands,)."""
        return np.fromfile(
            self.folder / TIMBRES,
            np.float16,
            AXIS.n_bands,
            offset=clip * _ROW_BYTES,
        )

    def timbres(self) -> NDArray[np.float16]:
        """Timbres of the clips that were kept, shape (n, n_bands).

        Raises:
            InputError: values that no timbre has: the file is damaged.
        """
        if not len(self):
            return np.zeros((0, AXIS.n_bands), np.float16)
        stored = np.memmap(
            self.folder / TIMBRES, np.float16, "r", shape=(len(self), AXIS.n_bands)
        )
        timbres = np.asarray(stored[self.kept()])
        # NaN compares as false.
        sound = ((timbres >= 0.0) & (timbres <= 1.0)).all(axis=1)
        if not sound.all():
            clip = int(self.kept()[np.argmin(sound)])
            raise InputError(
                f"{self.folder / TIMBRES}: damaged at clip {clip}; "
                "reject that clip, or make the corpus again"
            )
        return timbres

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

    def _check_alone(self) -> None:
        expected = (self._end, len(self) * _ROW_BYTES)
        if (_size(self.folder / MANIFEST), _size(self.folder / TIMBRES)) != expected:
            raise RunError(
                f"{self.folder}: another program is adding to this corpus; "
                "wait until it is done, then try again"
            )

    def _cut(self) -> None:
        """Leave in the files what the rows speak of."""
        os.truncate(self.folder / MANIFEST, self._end)
        os.truncate(self.folder / TIMBRES, len(self) * _ROW_BYTES)
        for path in (self.folder / CLIPS).glob("*.flac"):
            # Clips that never got a line, or that are half written.
            number = path.stem
            if path.name.endswith(".part.flac") or (
                number.isdecimal() and int(number) >= len(self)
            ):
                path.unlink()

    def _forget_verdicts_beyond(self) -> None:
        """Drop verdicts on clips that a kill has cost, before others take their number.

        Later verdicts on the clips that remain are the only ones that count, so these
        are written anew.
        """
        verdicts = self.verdicts()
        if all(clip < len(self) for clip in verdicts):
            return
        text = "".join(
            json.dumps({"clip": clip, "verdict": verdict}) + "\n"
            for clip, verdict in verdicts.items()
            if clip < len(self)
        )
        new = self.folder / (VERDICTS + ".new")
        new.write_text(text)
        new.replace(self.folder / VERDICTS)

    def _keep_audio(self, rows: Sequence[Row], audio: Sequence[Samples]) -> list[Row]:
        from effects.audio.sound_writer import write_sound

        (self.folder / CLIPS).mkdir(exist_ok=True)
        kept: list[Row] = []
        for number, (row, clip) in enumerate(zip(rows, audio, strict=True), len(self)):
            name = f"{CLIPS}/{number:06d}.flac"
            write_sound(self.folder / name, clip, SAMPLE_RATE, "PCM_16")
            kept.append({**row, "file_name": name})
        return kept


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other programs from writing; the lock goes with a killed program."""
    with (folder / MANIFEST).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
