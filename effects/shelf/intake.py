"""Adds recordings of the user's own to the shelf: in parallel, resumable, reported.

Each file is read in a child process, so that one that crashes or hangs the reader
takes nothing else with it. What is prepared is on the disk at once, so a run that was
killed goes on where it ended.
"""

import hashlib
import multiprocessing
import os
import resource
import signal
import time
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from effects.audio.conversion import resample
from effects.audio.credits import credits_of_name
from effects.audio.levels import Samples
from effects.audio.sound_reader import read_sound, read_tags
from effects.audio.sound_search import list_sounds
from effects.base.errors import InputError, LatentError
from effects.base.one_line import shown
from effects.base.schema import decode_json
from effects.base.streams import Purpose, stream
from effects.base.whole_file import PREFIX
from effects.base.workers import end_with_parent
from effects.generators import GENERATORS
from effects.shelf.library import PREPARED_RATE, Library
from effects.shelf.loops import Loop, check_usable, loop_of, prepared_body
from effects.shelf.seams import seam_report
from effects.shelf.similarity import modulation_features
from effects.shelf.texture import (
    LONG_ENOUGH_S,
    MOST_EVENTS,
    is_calm,
    suits,
    take_apart,
    texture_of,
)

MODES = ("auto", "loop", "texture")
PREPARED_VERSION = 1  # of the preparation; a new one prepares every recording again
SKETCH_S = 20.0  # length of the texture by which it is judged whether one suits
TIMEOUT_S = 120  # processor and wall time for one file
MEMORY = 6 << 30
CREDIT_KEYS = ("title", "author", "license", "source", "date", "comment")
LONGEST_NAME = 48


@dataclass(frozen=True)
class Outcome:
    """Result of adding one file.

    Attributes:
        path: the file.
        kind: "added", "unchanged" or "refused".
        name: of the effect, if it is on the shelf.
        reason: why it was refused.
        mode: "loop" or "texture".
        seconds: length of the loop.
    """

    path: Path
    kind: str
    name: str = ""
    reason: str = ""
    mode: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class IntakeReport:
    """Outcomes of all files, in order of path."""

    outcomes: tuple[Outcome, ...]

    def of_kind(self, kind: str) -> tuple[Outcome, ...]:
        """Outcomes of one kind: "added", "unchanged" or "refused"."""
        return tuple(o for o in self.outcomes if o.kind == kind)


@dataclass(frozen=True)
class _Job:
    path: str
    name: str
    mode: str
    digest: str
    folder: str
    cache: str


def add(
    paths: Iterable[Path | str],
    library: Library,
    *,
    mode: str = "auto",
    workers: int | None = None,
    progress: Callable[[int, int, Outcome], None] | None = None,
) -> IntakeReport:
    """Prepare files and folders of recordings.

    Args:
        paths: files, or folders to be walked.
        library: where the loops go.
        mode: "loop", "texture", or "auto" to let a measure choose.
        workers: processes; None takes one for each core.
        progress: called with (done, total, outcome) after each file.

    Returns:
        The outcome of each file; a refusal says why.

    Raises:
        InputError: an unknown mode, or no such file or folder.
    """
    if mode not in MODES:
        raise InputError(f"mode {mode!r}: use one of {', '.join(MODES)}")
    files = [file for path in paths for file in list_sounds(path)]
    outcomes: dict[Path, Outcome] = {}

    def note(outcome: Outcome) -> None:
        outcomes[outcome.path] = outcome
        if progress is not None:
            progress(len(outcomes), len(files), outcome)

    _sweep(library.folder)
    jobs = []
    known = _known_sources(library)
    taken = {*GENERATORS, *(name for name, _ in known.values())}
    for path in files:
        job = _planned(path, mode, library, known, taken)
        if isinstance(job, Outcome):
            note(job)
        else:
            jobs.append(job)
            taken.add(job.name)
            known[job.digest] = (job.name, "")
    for outcome in _run(jobs, workers):
        note(outcome)
    return IntakeReport(tuple(outcomes[path] for path in dict.fromkeys(files)))


def prepare(path: Path | str, name: str, mode: str = "auto") -> Loop:
    """Make a loop or a texture of one recording, at the rate of the shelf.

    Raises:
        InputError: it cannot be read, or nothing can be made of it.
    """
    samples, file_rate = read_sound(path)
    check_usable(samples)  # resampling would hide that it is clipped
    samples = resample(samples, file_rate, PREPARED_RATE)
    loop = _made(samples, name, mode)
    return replace(loop, credit=credits_of(Path(path)))


def credits_of(path: Path) -> dict[str, str]:
    """Title, author, licence and source from a sidecar file, or the tags, or the name.

    A sidecar is `NAME.json` (an object) or `NAME.txt` (lines `key: value`).
    """
    tags, named = read_tags(path), credits_of_name(path)
    found = {
        "title": tags.get("title") or named.get("title", ""),
        "author": tags.get("artist") or named.get("artist", ""),
        "source": named.get("source_url", ""),
        "license": tags.get("license", "") or tags.get("copyright", ""),
        "date": tags.get("date", ""),
        "comment": tags.get("comment", ""),
    }
    found.update(_sidecar(path))
    return {key: found[key][:400] for key in CREDIT_KEYS if found.get(key)}


def _made(samples: Samples, name: str, mode: str) -> Loop:
    rng = stream(Purpose.TEXTURE, name)
    body = prepared_body(samples, PREPARED_RATE)
    loop = None if mode == "texture" else loop_of(body, PREPARED_RATE, name)
    if loop is not None:
        short = loop.seconds < LONG_ENOUGH_S
        if mode == "loop" or not (short and is_calm(body, PREPARED_RATE)):
            return loop
    parts = take_apart(body, PREPARED_RATE)
    if loop is not None:
        if parts.event_share > MOST_EVENTS:
            return loop  # speech, for example: scattered, it would be babble
        sketch = texture_of(parts, PREPARED_RATE, rng, name, SKETCH_S)
        if not suits(body, sketch):
            return loop
    return texture_of(parts, PREPARED_RATE, rng, name)


def _planned(
    path: Path,
    mode: str,
    library: Library,
    known: dict[str, tuple[str, str]],
    taken: set[str],
) -> _Job | Outcome:
    """The job that a file is, or its outcome if there is nothing to do."""
    try:
        digest = _digest(path)
    except OSError as error:
        return Outcome(path, "refused", reason=error.strerror or "cannot be read")
    wanted = f"{mode}-{PREPARED_VERSION}"
    if digest not in known:
        name = _free_name(path.stem, taken)
    elif known[digest][1] == wanted:
        return Outcome(path, "unchanged", known[digest][0])
    elif not known[digest][1]:
        return Outcome(path, "refused", reason=f"is the same as {known[digest][0]}")
    else:
        name = known[digest][0]
    folders = str(library.folder), str(library.cache)
    return _Job(str(path), name, mode, digest, *folders)


def _sweep(folder: Path) -> None:
    """Remove temporary files that a killed run has left."""
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > TIMEOUT_S:
                path.unlink()


def _digest(path: Path) -> str:
    """SHA-256 of a regular file; the reader refuses anything else."""
    if path.is_symlink() or not path.is_file():
        return f"none:{path}"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _known_sources(library: Library) -> dict[str, tuple[str, str]]:
    """Name and preparation of everything added before, by digest of its source."""
    known = {}
    for name in library.added():
        details = library.details(name)
        prepared = f"{details.get('asked')}-{details.get('prepared')}"
        known[str(details.get("source_sha256"))] = (name, prepared)
    return known


def _free_name(stem: str, taken: set[str]) -> str:
    """A short name of letters and digits, of any script, that no effect has."""
    # A vowel sign of Hindi or an accent that is no letter belongs to the one before it.
    kept = "".join(
        c if c.isalnum() or unicodedata.category(c).startswith("M") else " "
        for c in unicodedata.normalize("NFKC", stem).lower()
    )
    plain = "-".join(kept.split())[:LONGEST_NAME].strip("-") or "effect"
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name


def _run(jobs: list[_Job], workers: int | None) -> Iterable[Outcome]:
    """Outcomes of all jobs as they end; a job that kills its process is refused."""
    n_workers = min(len(jobs), workers or os.cpu_count() or 1)
    left = {job.path: job for job in jobs}
    if n_workers:
        try:
            with _pool(n_workers) as pool:
                futures = {pool.submit(_work, job): job for job in jobs}
                for future in as_completed(futures):
                    outcome = future.result()
                    del left[futures[future].path]
                    yield outcome
        except BrokenProcessPool:
            pass
    for job in list(left.values()):  # one of these broke the pool: run each alone
        try:
            with _pool(1) as pool:
                outcome = pool.submit(_work, job).result()
        except BrokenProcessPool:
            reason = "crashes or stalls the reader"
            outcome = Outcome(Path(job.path), "refused", reason=reason)
        yield outcome


def _pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent)


def _work(job: _Job) -> Outcome:
    """In a child process: prepare one file and store it."""
    # A reader that hangs in C would never return to run a Python handler.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(TIMEOUT_S)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    path = Path(job.path)
    try:
        loop = prepare(path, job.name, job.mode)
        report = seam_report(loop)
        library = Library(Path(job.folder), Path(job.cache))
        details = {
            "source": path.name,
            "source_sha256": job.digest,
            "asked": job.mode,
            "prepared": PREPARED_VERSION,
            "seam_is_good": report.is_good,
            "features": modulation_features(loop).round(1).tolist(),
        }
        library.store(loop, details)
    except MemoryError:
        return Outcome(path, "refused", reason="takes too much memory")
    except LatentError as error:
        # Some messages name the file and some do not; the report names it anyway.
        reason = str(error).removeprefix(f"{shown(path)}: ")
        return Outcome(path, "refused", reason=reason)
    except OSError as error:  # of this file alone: the others are still to be done
        return Outcome(path, "refused", reason=error.strerror or "cannot be read")
    finally:
        signal.alarm(0)
    return Outcome(path, "added", loop.name, "", loop.mode, loop.seconds)


def _sidecar(path: Path) -> dict[str, str]:
    for candidate in (path.with_suffix(".json"), path.with_suffix(".txt")):
        try:
            if candidate.is_symlink() or not candidate.is_file():
                continue
            with candidate.open("rb") as file:
                text = file.read(1 << 16).decode("utf-8", "replace")
        except OSError:  # unreadable, or its name is too long where the sound's is not
            continue
        if candidate.suffix == ".json":
            return _from_json(text)
        pairs = (line.partition(":") for line in text.splitlines())
        return {
            key.strip().lower(): value.strip()
            for key, colon, value in pairs
            if colon and value.strip()
        }
    return {}


def _from_json(text: str) -> dict[str, str]:
    try:
        value = decode_json(text, dict[str, Any], "")
    except InputError:
        return {}
    return {str(k).lower(): str(v) for k, v in value.items() if isinstance(v, str)}
