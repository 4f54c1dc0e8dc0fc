"""Songs that the corpus takes clips of."""

from pathlib import Path

import numpy as np
import soundfile

from effects.audio.levels import Samples
from model.config import SAMPLE_RATE
from model.corpus.corpus import Corpus
from model.corpus.ingest import IngestReport, add_songs
from model.corpus.sources import find_songs
from tests.support import signals

PAD = [110.0, 165.0, 220.0, 277.0, 441.0, 882.0]


def song(seconds: float, rate: int = SAMPLE_RATE, seed: int = 0) -> Samples:
    """A slowly changing chord over faint noise, stereo."""
    rng = np.random.default_rng(seed)
    frequencies = [hz * 2 ** rng.uniform(-0.4, 0.4) for hz in PAD]
    mono = signals.chord(frequencies, seconds, rate, amplitude=0.08)
    swell = 0.7 + 0.3 * np.sin(np.linspace(0.0, 9.0, len(mono)))[:, None]
    sound = np.repeat(mono * swell, 2, axis=1)
    sound += signals.noise(seconds, rate, rng, amplitude=0.001)
    return sound.astype(np.float32)


def write(path: Path, samples: Samples, rate: int = SAMPLE_RATE) -> Path:
    """Write a song in the format of its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subtype = "OPUS" if path.suffix == ".opus" else None
    container = "OGG" if path.suffix == ".opus" else None
    soundfile.write(path, samples, rate, subtype=subtype, format=container)
    return path


def add(
    folder: Path, corpus: Path, seed: int = 1, clips: int = 3, *, again: bool = False
) -> IngestReport:
    """Add the songs of a folder to a corpus."""
    return add_songs(
        find_songs([folder]).files,
        Corpus.create(corpus),
        clips_per_song=clips,
        seed=seed,
        again=again,
    )
