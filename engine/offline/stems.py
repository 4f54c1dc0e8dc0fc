"""Stems: the music and the effects of a mix in two files, which sum to it.

The effects stem is the bed as it enters the master, with its gain and fades. The music
stem is the mix less the effects, so what the limiter does is heard in the music.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from effects.audio.levels import Samples, db_to_amplitude
from effects.audio.sound_formats import LOSSLESS, format_of
from effects.audio.sound_writer import Write, check_output, whole_sound_file
from effects.base.errors import InputError
from effects.bed.frames import BATCH
from engine.control.controls import Snapshot
from engine.graph import Graph
from engine.live.metrics import Metrics
from engine.live.mixer import MAX_BLOCK, bed_filter_of
from engine.offline.render import Progress, render


def stem_paths(path: Path) -> tuple[Path, Path]:
    """Paths of the stems of a mix: OUT-music.flac and OUT-effects.flac.

    Raises:
        InputError: the format does not keep samples, so stems could not sum to it.
    """
    if not format_of(path).keeps_samples:
        raise InputError(f"{path}: stems need one of {', '.join(LOSSLESS)}")
    music, effects = (
        path.with_name(f"{path.stem}-{part}{path.suffix}")
        for part in ("music", "effects")
    )
    return music, effects


def render_stems(
    graph: Graph,
    write: Write,
    write_music: Write,
    write_effects: Write,
    progress: Progress | None = None,
) -> Metrics:
    """Render a finite graph with its stems.

    Args:
        graph: with a duration; its controls do not change meanwhile.
        write: takes each block of the mix, shape (n, 2).
        write_music: takes the music of the same samples.
        write_effects: takes their effects.
        progress: takes samples done and in all.
    """
    effects = _BedReader(graph)

    def split(mix: Samples) -> None:
        bed = effects.next(len(mix))
        write(mix)
        write_music(mix - bed)
        write_effects(bed)

    return render(graph, split, progress)


def render_stems_to_files(
    graph: Graph,
    path: Path,
    tags: dict[str, str] | None = None,
    progress: Progress | None = None,
) -> Metrics:
    """Render a mix into `path`, and its stems beside it.

    Raises:
        InputError: a path cannot be written, or the format is lossy.
        RunError: writing failed on the way, as on a full disk.
    """
    with stem_files(path, graph.sample_rate, tags) as writes:
        return render_stems(graph, *writes, progress)


@contextmanager
def stem_files(
    path: Path, sample_rate: int, tags: dict[str, str] | None = None
) -> Iterator[tuple[Write, Write, Write]]:
    """Functions that write the mix into `path`, and music and effects beside it.

    Raises:
        InputError: a path cannot be written, or the format is lossy.
        RunError: writing failed on the way, as on a full disk.
    """
    named, paths = tags or {}, stem_paths(path)
    for stem in paths:
        check_output(stem, sample_rate)
    own = [
        {**named, "title": f"{named.get('title', path.stem)} ({part})"}
        for part in ("music", "effects")
    ]
    with (
        whole_sound_file(path, sample_rate, tags) as write,
        whole_sound_file(paths[0], sample_rate, own[0]) as write_music,
        whole_sound_file(paths[1], sample_rate, own[1]) as write_effects,
    ):
        yield write, write_music, write_effects


class _BedReader:
    """Reads the bed a second time, in the mixer's own blocks.

    It reads a block when the mixer has just read it, because the limiter delays the
    master, and the layers of the bed may have changed when the block is written.
    """

    def __init__(self, graph: Graph) -> None:
        self._bed = graph.ducked_bed(batch=BATCH)
        self._music = graph.music
        self._filter = bed_filter_of(graph.controls.snapshot)
        self._gain = _bed_gain(graph.controls.snapshot)
        self._position = 0
        self._pending = np.zeros((0, 2), np.float32)

    def next(self, n_samples: int) -> Samples:
        block = np.zeros((MAX_BLOCK, 2), np.float32)
        if self._bed is not None:
            room = self._music.band_envelope
            self._bed.mix_into(block, self._position, room, self._filter)
            block *= self._gain
        self._position += MAX_BLOCK
        self._pending = np.concatenate([self._pending, block])
        taken, self._pending = np.split(self._pending, [n_samples])
        return taken


def _bed_gain(snapshot: Snapshot) -> np.float32:
    """Gain of the bed in the mixer, the master's included."""
    if snapshot["master/mute"]:
        return np.float32(0.0)
    gain_db = float(snapshot["master/gain"]), float(snapshot["effects/gain"])
    return np.float32(db_to_amplitude(gain_db[0]) * db_to_amplitude(gain_db[1]))
