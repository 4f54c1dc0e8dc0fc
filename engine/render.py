"""Offline: the same graph as a live session, turned as fast as it goes."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from effects.errors import InputError, RunError
from effects.levels import Samples
from engine.graph import Graph
from engine.live.metrics import Metrics
from engine.live.mixer import MAX_BLOCK, Mixer
from engine.sound.music import Music

# Ending -> (libsndfile format, subtype); Opus knows 48 kHz and its divisors only.
FORMATS = {
    ".flac": ("FLAC", "PCM_24"),
    ".wav": ("WAV", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
OPUS_RATE = 48_000
_REPORT_EVERY = 16  # blocks between reports of progress

Progress = Callable[[int, int], None]


class Pull:
    """A mixer's source that renders its music when it is asked for."""

    def __init__(self, music: Music) -> None:
        self._music = music
        self._pending = np.zeros((0, 4), np.float32)

    def read_into(self, out: Samples) -> int:
        """Fill `out` with the next music, and with silence after its end."""
        filled = 0
        while filled < len(out):
            if not len(self._pending):
                hop = self._music.next()
                if hop is None:
                    break
                self._pending = hop
            n = min(len(self._pending), len(out) - filled)
            out[filled : filled + n] = self._pending[:n]
            self._pending = self._pending[n:]
            filled += n
        out[filled:] = 0.0
        return filled


def render(
    graph: Graph, write: Callable[[Samples], None], progress: Progress | None = None
) -> Metrics:
    """Render a finite graph block by block into `write`.

    Args:
        graph: with a duration.
        write: takes each block, shape (n, 2), before it is overwritten.
        progress: told samples done and in all.

    Raises:
        ValueError: the graph's music has no end.
    """
    total = graph.music.n_samples
    if total is None:
        raise ValueError("only a stream with an end can be rendered")
    metrics = Metrics()
    mixer = Mixer(
        Pull(graph.music),
        graph.player,
        graph.sample_rate,
        lambda: graph.controls.snapshot,
        metrics,
    )
    block = np.zeros((MAX_BLOCK, 2), np.float32)
    skip = mixer.latency  # the master comes late by this much: cut it off the front
    done = 0
    while done < total:
        if graph.bed is not None:
            graph.bed.prepare(mixer.position)
        mixer.render(block)
        audible = block[skip : skip + total - done]
        skip = max(0, skip - len(block))
        write(audible)
        done += len(audible)
        if progress and (metrics.frames % _REPORT_EVERY == 0 or done == total):
            progress(done, total)
        metrics.frames += 1
    return metrics


def file_format(path: Path) -> tuple[str, str]:
    """Format and subtype of libsndfile for a file's ending.

    Raises:
        InputError: an ending that is not written.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise InputError(f"{path}: cannot write {path.suffix!r}; use {known}") from None


def check_output(path: Path, *, overwrite: bool = True) -> None:
    """Find out early that a file could not be written.

    Raises:
        InputError: the folder is missing or not writable, or the name is a folder.
    """
    file_format(path)
    folder = path.parent
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists already; choose another name")
    if not folder.is_dir():
        raise InputError(f"{path}: there is no folder {folder}; create it first")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass  # a folder may say that it is writable, and refuse
    except OSError:
        raise InputError(f"{path}: the folder {folder} is not writable") from None


def render_to_file(
    graph: Graph,
    path: Path,
    tags: dict[str, str] | None = None,
    progress: Progress | None = None,
) -> Metrics:
    """Render into a file that appears under its name only when it is whole.

    Raises:
        InputError: the path cannot be written.
        RunError: writing failed on the way, as on a full disk.
    """
    import soundfile as sf

    check_output(path)
    container, subtype = file_format(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")
    os.close(handle)
    part = Path(name)
    try:
        with sf.SoundFile(
            part, "w", graph.sample_rate, 2, format=container, subtype=subtype
        ) as file:
            for key, value in (tags or {}).items():
                setattr(file, key, value)
            metrics = render(graph, file.write, progress)
        if sf.info(part).frames != graph.music.n_samples:
            raise RunError(f"{path}: could not be written whole; is the disk full?")
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, path)
    except (sf.LibsndfileError, OSError) as error:
        raise RunError(f"{path}: could not be written ({_reason(error)})") from error
    finally:
        part.unlink(missing_ok=True)
    return metrics


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error).strip()
    # libsndfile says nothing at all, or only its prefix, when the disk is full.
    return "is the disk full?" if not text or text.endswith(":") else text


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
