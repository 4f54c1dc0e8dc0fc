"""The recipe of the bundled model's corpus: every clip made here, from nothing.

`make_demo_corpus` writes the corpus; `render_clip` gives the audio of one clip again.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples
from effects.base.errors import InputError, RunError
from effects.base.workers import begin_worker
from model.corpus.corpus import Corpus
from model.corpus.demo import soundfont
from model.corpus.demo.recipe import CLIPS_PER_PATCH, Row, render_patch
from model.spectrum import analyse

N_CLIPS = 40_000
SAME_TIMBRE = 0.01  # 1 dB on average: more than builds of libraries differ by

_Task = tuple[int, int, Path | None]
_Made = tuple[NDArray[np.float32], list[Any]]


def make_demo_corpus(
    folder: Path,
    n_clips: int = N_CLIPS,
    seed: int = 1,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
    font: Path | None = soundfont.FONT,
) -> Corpus:
    """Make, or go on making, the demo corpus.

    Patches are a function of (seed, number), so that the result is the same however
    often the making was interrupted and with however many workers.

    Args:
        folder: of the corpus.
        n_clips: how many clips it is to have.
        seed: of the recipe.
        workers: processes.
        progress: told of clips done and in all.
        font: sound font, or None to do without one.

    Raises:
        InputError: the folder holds another corpus.
        RunError: FluidSynth or the sound font is missing, or the disk is full.
    """
    if font is not None:
        soundfont.SoundFont(font).close()  # fails here rather than in a worker
    corpus = Corpus.create(folder)
    _check_same_recipe(corpus, seed, font)
    first, skip = divmod(len(corpus), CLIPS_PER_PATCH)
    tasks = [(seed, g, font) for g in range(first, -(-n_clips // CLIPS_PER_PATCH))]
    for timbres, rows in _made(tasks, workers):
        stop = n_clips - len(corpus) + skip
        rows = [_whole(row, seed, font) for row in rows[skip:stop]]
        corpus.append(timbres[skip:stop], rows)
        skip = 0
        if progress:
            progress(len(corpus), n_clips)
    return corpus


def render_clip(
    seed: int, number: int, font: Path | None = soundfont.FONT
) -> tuple[Samples, Row]:
    """Audio, shape (n_samples, 2), and row of one clip of the corpus.

    Takes as long as its whole patch, as the sound font's voices leave traces in the
    clips after them.

    Raises:
        RunError: FluidSynth or the sound font is missing.
    """
    group, position = divmod(number, CLIPS_PER_PATCH)
    return render_patch(seed, group, font)[position]


def _made(tasks: list[_Task], workers: int) -> Iterator[_Made]:
    """Timbres and rows of the patches, in order."""
    if workers < 2:
        yield from map(_make, tasks)
        return
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=begin_worker
    )
    try:
        yield from pool.map(_make, tasks)
    except BrokenProcessPool:
        raise RunError(
            "a worker was ended from outside (out of memory?); "
            "the same command goes on, --workers 1 takes less"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _make(task: _Task) -> _Made:
    clips = render_patch(*task)
    return np.stack([analyse(audio) for audio, _ in clips]), [row for _, row in clips]


def _whole(row: Row, seed: int, font: Path | None) -> dict[str, Any]:
    """A row as the manifest has it: with what the whole corpus was made from."""
    return {**row, "seed": seed, "font": font.name if font else None}


def _check_same_recipe(corpus: Corpus, seed: int, font: Path | None) -> None:
    """Make the corpus's last patch again: it must be what the corpus holds.

    So neither another seed nor another recipe or sound font is mixed in.
    """
    if not len(corpus):
        return
    group, last = divmod(len(corpus) - 1, CLIPS_PER_PATCH)
    timbres, rows = _make((seed, group, font))
    expected = _whole(rows[last], seed, font)
    apart = np.abs(timbres[last] - corpus.stored(len(corpus) - 1))
    last_row = {**corpus.rows()[-1]}
    del last_row["id"]
    if last_row != expected or apart.mean() > SAME_TIMBRE:
        raise InputError(
            f"{corpus.folder}: holds another corpus, or one by another recipe, seed or "
            "sound font; choose another folder"
        )
