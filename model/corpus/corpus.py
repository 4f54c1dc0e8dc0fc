"""A corpus: the timbres of clips, a manifest that describes them, and verdicts.

A corpus is a folder:

    manifest.jsonl    one JSON object a clip, in the order of the timbres
    timbres.f16       float16 of shape (n, n_bands), row after row
    clips/*.flac      the audio of the clips, where it is kept for listening
    verdicts.jsonl    decisions of curation; the last one on a clip counts
    .lock             held while a program writes

Files are appended to: first the timbres, then their lines of the manifest. A program
that is killed leaves at most timbres without lines, or an incomplete last line; both
are cut off when the corpus is opened for writing. One program writes at a time: if
another one has added clips since the corpus was opened, writing is refused.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.base.errors import InputError, RunError
from effects.base.whole_file import PREFIX, write_whole
from model.config import AXIS, SAMPLE_RATE
from model.corpus.json_lines import Row, append_bytes, read_lines

MANIFEST = "manifest.jsonl"
TIMBRES = "timbres.f16"
CLIPS = "clips"
VERDICTS = "verdicts.jsonl"
LOCK = ".lock"
KEEP, REJECT = "keep", "reject"
_ROW_BYTES = 2 * AXIS.n_bands


class Corpus:
    """The corpus in a folder.

    Attributes:
        folder: that it is in.
    """

    def __init__(self, folder: Path, rows: list[Row], end: int) -> None:
        self.folder = folder
        self._rows = rows
        self._end = end  # where the lines of these rows end in the manifest

    @classmethod
    def open(cls, folder: Path) -> "Corpus":
        """Open an existing corpus for reading.

        Raises:
            InputError: there is none, or its manifest is damaged.
        """
        if not (folder / MANIFEST).is_file():
            raise InputError(
                f"{folder}: no corpus here (no {MANIFEST}); make one with "
                "'latent corpus add FOLDER' or 'latent corpus demo'"
            )
        # The manifest is read first, since it is written last.
        rows, ends = read_lines(folder / MANIFEST)
        n = min(len(rows), _size(folder / TIMBRES) // _ROW_BYTES)
        return cls(folder, rows[:n], ends[n])

    @classmethod
    def create(cls, folder: Path) -> "Corpus":
        """Open a corpus for writing, repaired if need be, or make a new one.

        Raises:
            InputError: the folder cannot be made or written, or a file is damaged.
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
        """Add clips: all of them, or after a kill none or the first ones.

        Args:
            timbres: shape (n, n_bands), 0..1.
            rows: a description of each clip, with at least `group`, its song or patch.
            audio: samples of each clip at 44.1 kHz, to be kept for listening.

        Raises:
            ValueError: the shapes do not fit, or values are not finite.
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
                    # On the disk before their lines, so that every line has a timbre.
                    stored = timbres.astype(np.float16).tobytes()
                    append_bytes(self.folder / TIMBRES, stored, sync=True)
                    append_bytes(self.folder / MANIFEST, content)
                except BaseException:
                    with suppress(OSError):
                        self._cut()  # or later timbres would not fit their lines
                    raise
        except OSError as error:
            raise RunError(
                f"{self.folder}: cannot be written ({error.strerror}); "
                "what was added before is safe"
            ) from error
        self._rows.extend(lines)
        self._end += len(content)

    def judge(self, clip: int, verdict: str) -> None:
        """Keep or reject a clip; the verdict is on the disk when this returns.

        Args:
            clip: its number.
            verdict: `KEEP` or `REJECT`.

        Raises:
            InputError: there is no such clip or verdict.
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
        """The latest verdict on each clip that has one, by the clip's number.

        Raises:
            InputError: a line is no verdict.
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
        """The manifest: a description of each clip, in order."""
        return list(self._rows)

    def kept(self) -> NDArray[np.intp]:
        """Numbers of the clips that are not rejected, ascending."""
        rejected = {c for c, verdict in self.verdicts().items() if verdict == REJECT}
        kept = [clip for clip in range(len(self)) if clip not in rejected]
        return np.array(kept, np.intp)

    def stored(self, clip: int) -> NDArray[np.float16]:
        """The timbre of one clip, rejected or not, shape (n_bands,)."""
        return np.fromfile(
            self.folder / TIMBRES,
            np.float16,
            AXIS.n_bands,
            offset=clip * _ROW_BYTES,
        )

    def timbres(self) -> NDArray[np.float16]:
        """Timbres of the clips that are not rejected, shape (n, n_bands).

        Raises:
            InputError: values are not within 0..1: the file is damaged.
        """
        if not len(self):
            return np.zeros((0, AXIS.n_bands), np.float16)
        stored = np.memmap(
            self.folder / TIMBRES, np.float16, "r", shape=(len(self), AXIS.n_bands)
        )
        timbres = np.asarray(stored[self.kept()])
        valid = ((timbres >= 0.0) & (timbres <= 1.0)).all(axis=1)  # False for NaN
        if not valid.all():
            clip = int(self.kept()[np.argmin(valid)])
            raise InputError(
                f"{self.folder / TIMBRES}: damaged at clip {clip}; "
                "reject that clip, or make the corpus again"
            )
        return timbres

    def groups(self) -> NDArray[np.str_]:
        """Song or patch of each clip that is not rejected, shape (n,)."""
        names = [str(self._rows[clip].get("group", clip)) for clip in self.kept()]
        return np.array(names, np.str_)

    def summary(self) -> dict[str, Any]:
        """Numbers of clips, kept clips and groups, and clips by source and licence."""
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
        """Cut off from the files what the rows do not describe."""
        os.truncate(self.folder / MANIFEST, self._end)
        os.truncate(self.folder / TIMBRES, len(self) * _ROW_BYTES)
        for path in (self.folder / CLIPS).glob("*.flac"):
            # Clips without a line, and temporary files of a program that was killed.
            number = path.stem
            if path.name.startswith(PREFIX) or (
                number.isdecimal() and int(number) >= len(self)
            ):
                path.unlink()

    def _forget_verdicts_beyond(self) -> None:
        """Drop verdicts on clips that were cut off: other clips will get their numbers.

        The file is written anew with the verdicts that count.
        """
        verdicts = self.verdicts()
        if all(clip < len(self) for clip in verdicts):
            return
        text = "".join(
            json.dumps({"clip": clip, "verdict": verdict}) + "\n"
            for clip, verdict in verdicts.items()
            if clip < len(self)
        )
        write_whole(self.folder / VERDICTS, text, durable=True)

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
    """Keep other programs from writing; the lock ends with a program that is killed."""
    with FileLock(folder / LOCK):
        yield


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
