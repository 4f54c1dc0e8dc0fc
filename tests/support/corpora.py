"""Corpora that are planted, with clips that can be heard and others that cannot."""

import io
from pathlib import Path

import numpy as np
import soundfile as sf

from model.config import AXIS, SAMPLE_RATE
from model.corpus.corpus import Corpus
from model.corpus.transients import LIMITS

TEST_NAMES = tuple(vars(LIMITS))


def planted_corpus(folder: Path, n: int, *, heard: int = 0, seed: int = 0) -> Corpus:
    """A corpus of `n` clips in songs of three, with scores within their limits.

    Args:
        folder: to make it in.
        n: clips.
        heard: the first of them that have audio: a tone of 220 + 5 * id Hz, 2 s long.
        seed: of timbres and scores.
    """
    rng = np.random.default_rng(seed)
    corpus = Corpus.create(folder)
    for start in range(0, n, 5_000):
        size = min(5_000, n - start)
        timbres = rng.uniform(0.2, 0.8, (size, AXIS.n_bands)).astype(np.float32)
        rows = [
            {
                "group": f"song-{k // 3}",
                "title": f"Song {k // 3}",
                "source": "song",
                "licence": "CC0-1.0",
                "start_s": 2.5 * (k % 3),
                "scores": {name: float(rng.uniform(0.0, 4.0)) for name in TEST_NAMES},
            }
            for k in range(start, start + size)
        ]
        n_heard = min(max(heard - start, 0), size)
        if n_heard:
            sounds = [tone(220.0 + 5.0 * k) for k in range(start, start + n_heard)]
            corpus.append(timbres[:n_heard], rows[:n_heard], audio=sounds)
        if n_heard < size:
            corpus.append(timbres[n_heard:], rows[n_heard:])
    return corpus


def tone(hertz: float) -> bytes:
    """Two seconds of a tone, as a FLAC file."""
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    wave = 0.3 * np.sin(2.0 * np.pi * hertz * time)
    file = io.BytesIO()
    sf.write(file, wave.astype(np.float32), SAMPLE_RATE, format="FLAC")
    return file.getvalue()
