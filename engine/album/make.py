"""Making the songs of an album in parallel processes, resumed after any interruption.

A song is done when its FLAC is in place, which comes last of all its files; what is
being made lies in the folder `.work`. So a killed run loses at most the songs that
were under way, and the same command goes on.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from effects.audio.levels import Samples
from effects.audio.sound_writer import whole_sound_file
from effects.base.errors import InputError, RunError
from effects.base.whole_file import PREFIX, whole_file
from effects.base.workers import begin_worker
from engine.album.gate import measure, reasons, smoothed, timbres_of
from engine.album.picture import draw_spectrogram
from engine.album.plan import AlbumPlan, song_settings
from engine.album.skim import excerpt, moments, write_skim
from engine.album.state import (
    ASIDE,
    STATE,
    SongRow,
    file_stem,
    read_row,
    read_state,
    write_row,
    write_state,
)
from engine.graph import RENDER_RATE, build
from engine.offline.render import Progress, render
from engine.offline.song_card import card_of
from engine.offline.song_card_file import write_beside
from model.inference import TimbreModel

WORK = ".work"
SKIM = "skim.flac"


@dataclass(frozen=True)
class MadeAlbum:
    """What a run has made.

    Attributes:
        rows: of all songs of the album, in order.
        rendered: seconds of audio that this run made.
        seconds: that it took.
    """

    rows: tuple[SongRow, ...]
    rendered: float
    seconds: float

    @property
    def speed(self) -> float:
        """Real-time factor of this run, all processes together."""
        return self.rendered / max(self.seconds, 1e-3)


def make(
    folder: Path,
    plan: AlbumPlan,
    *,
    workers: int = 2,
    draw: bool = True,
    progress: Progress | None = None,
) -> MadeAlbum:
    """Make the songs of an album that are not there yet, and its skim.

    Args:
        folder: of the album, created if need be.
        plan: checked.
        workers: processes.
        draw: a spectrogram of each song too; needs matplotlib.
        progress: takes songs done and in all.

    Raises:
        InputError: the folder cannot be used, or the model is not the one that its
            songs were made with.
        RunError: a song could not be written, or another run works in this folder.
    """
    started = time.monotonic()
    work = folder / WORK
    _check_ours(folder)
    try:
        work.mkdir(parents=True, exist_ok=True)
        (folder / ASIDE).mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be used ({error.strerror})") from error
    with _alone(folder):
        _remove_unfinished(folder)
        rows = _done_rows(folder, plan)
        missing = [n for n in range(1, plan.songs + 1) if n not in rows]
        plan = _with_model(folder, plan, anything_missing=bool(missing))
        write_state(folder, plan, rows)
        for row in _in_parallel(folder, plan, missing, workers, draw):
            rows[row.number] = row
            write_state(folder, plan, rows)
            if progress:
                progress(len(rows), plan.songs)
        if missing or not (folder / SKIM).exists() or not _has_starts(rows):
            _make_skim(folder, rows)
            write_state(folder, plan, rows)
    return MadeAlbum(
        tuple(rows[n] for n in sorted(rows)),
        60.0 * plan.minutes * len(missing),
        time.monotonic() - started,
    )


def make_song(folder: Path, plan: AlbumPlan, number: int, draw: bool) -> SongRow:
    """Make one song of an album: sound, card, picture, measures, excerpt.

    Args:
        folder: of the album.
        plan: checked.
        number: of the song, from 1.
        draw: whether to draw its spectrogram.

    Raises:
        RunError: a file could not be written.
    """
    started = time.monotonic()
    work, stem = folder / WORK, file_stem(number)
    settings = song_settings(plan, number)
    graph = build(settings)
    card = card_of(settings, graph)
    pure = moments(graph)
    samples = np.empty((graph.music.n_samples or 0, 2), np.float32)
    done = 0
    tags = {"title": card.title, "comment": card.text()}
    part = work / f"{stem}.flac"
    with whole_sound_file(part, RENDER_RATE, tags) as write:

        def keep(block: Samples) -> None:
            nonlocal done
            samples[done : done + len(block)] = block
            done += len(block)
            write(block)

        render(graph, keep)
    timbres = timbres_of(samples)
    measures = measure(samples, timbres, graph.model)
    why = reasons(measures)
    with whole_sound_file(work / f"{stem}-skim.flac", RENDER_RATE) as write:
        write(excerpt(samples, RENDER_RATE, pure))
    with whole_file(work / f"{stem}.npy") as temporary, temporary.open("wb") as file:
        np.save(file, smoothed(timbres))
    row = SongRow(
        number=number,
        status="aside" if why else "done",
        reasons=tuple(why),
        seed=settings.seed,
        title=card.title,
        preset=card.preset,
        key=card.key,
        pattern=card.pattern,
        measures=measures,
    )
    audio = folder / row.file
    write_beside(card, audio)
    if draw:
        title = f"{stem}  {card.preset}  {card.key}  {card.pattern}"
        draw_spectrogram(samples, RENDER_RATE, audio.with_suffix(".png"), title)
    row = replace(row, took_s=round(time.monotonic() - started, 2))
    write_row(work / f"{stem}.json", row)
    os.replace(part, audio)
    return row


def _check_ours(folder: Path) -> None:
    """Refuse a folder in which songs of somebody else might be replaced."""
    if not folder.is_dir() or (folder / STATE).exists() or (folder / WORK).exists():
        return
    if any(folder.iterdir()):
        raise InputError(f"{folder}: holds other files and no album; name a new folder")


def _remove_unfinished(folder: Path) -> None:
    """Remove what a killed run was writing."""
    for place in (folder, folder / ASIDE, folder / WORK):
        for left in place.glob(f"{PREFIX}*"):
            if not left.is_dir():
                left.unlink(missing_ok=True)


def _done_rows(folder: Path, plan: AlbumPlan) -> dict[int, SongRow]:
    rows = {n: row for n in range(1, plan.songs + 1) if (row := _done(folder, n))}
    if (folder / STATE).exists():
        for number, row in read_state(folder)[1].items():
            if number in rows:
                rows[number] = replace(rows[number], skim_s=row.skim_s)
    return rows


def _with_model(folder: Path, plan: AlbumPlan, *, anything_missing: bool) -> AlbumPlan:
    """The plan with its model's hash, if what is missing can be made with that."""
    known = read_state(folder)[0].model_hash if (folder / STATE).exists() else ""
    if not anything_missing:
        return replace(plan, model_hash=known)
    found = TimbreModel.load(None if plan.model is None else Path(plan.model)).hash
    if known not in ("", found):
        raise InputError(
            f"{folder}: its songs were made with model {known[:12]}, but "
            f"{plan.model or 'the bundled one'} is now {found[:12]}; begin a new album"
        )
    return replace(plan, model_hash=found)


def _has_starts(rows: Mapping[int, SongRow]) -> bool:
    return all(row.skim_s is not None for row in rows.values() if not row.is_aside)


def _done(folder: Path, number: int) -> SongRow | None:
    """The row of a song that is done, or None."""
    try:
        row = read_row(folder / WORK / f"{file_stem(number)}.json")
    except InputError:
        return None
    is_there = row.number == number and (folder / row.file).is_file()
    return row if is_there else None


def _in_parallel(
    folder: Path, plan: AlbumPlan, numbers: list[int], workers: int, draw: bool
) -> Iterator[SongRow]:
    """Rows of songs as they are done, in any order."""
    if not numbers:
        return
    if workers == 1 or len(numbers) == 1:
        yield from (make_song(folder, plan, number, draw) for number in numbers)
        return
    # Idle threads of numerical libraries would take the other workers' time.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    pool = ProcessPoolExecutor(
        min(workers, len(numbers)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=begin_worker,
    )
    futures: list[Future[SongRow]] = []
    try:
        for number in numbers:
            futures.append(pool.submit(make_song, folder, plan, number, draw))
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        raise RunError(
            f"{folder}: a worker was ended from outside (out of memory?); "
            "the same command goes on, --workers 1 takes less"
        ) from None
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _make_skim(folder: Path, rows: dict[int, SongRow]) -> None:
    """Join the excerpts of all songs that passed the gate; note where each is."""
    passed = [rows[n] for n in sorted(rows) if not rows[n].is_aside]
    skim = folder / SKIM
    if not passed:
        skim.unlink(missing_ok=True)
        return
    excerpts = [
        (row.file, folder / WORK / f"{file_stem(row.number)}-skim.flac")
        for row in passed
    ]
    starts = write_skim(excerpts, skim, RENDER_RATE)
    for row, start in zip(passed, starts, strict=True):
        rows[row.number] = replace(row, skim_s=round(start / RENDER_RATE, 3))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder; the lock ends with its process."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / WORK / "lock", timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise RunError(f"{folder}: another run makes this album already") from None
    except OSError as error:
        raise RunError(f"{folder}: cannot be locked ({error.strerror})") from None
    try:
        yield
    finally:
        lock.release()
