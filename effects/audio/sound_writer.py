"""Writing of sound files, whole or not at all; the ending decides the format."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np

from effects.audio.conversion import resample
from effects.audio.fifo_writer import file_into, pcm_into
from effects.audio.levels import Samples
from effects.audio.sound_formats import PCM, TAGS, SoundError, format_of
from effects.base.errors import RunError
from effects.base.one_line import one_line, shown
from effects.base.whole_file import is_fifo, whole_file

BLOCK = 1 << 14  # samples that are handed to libsndfile at a time

# A sixth quicker than what libsndfile takes by itself, and files 0.3 % larger at most.
# With less, the encoder looks for nothing that two channels have in common.
FLAC_EFFORT = 0.5

Write: TypeAlias = Callable[[Samples], None]


def check_output(
    path: Path, sample_rate: int | None = None, *, overwrite: bool = True
) -> None:
    """Check before the work that a sound file can be written.

    Args:
        path: of the file.
        sample_rate: Hz that it is to have; None leaves this unchecked.
        overwrite: whether a file that is there may be replaced.

    Raises:
        SoundError: an unknown ending, a rate that the format cannot hold, a folder
            that is missing or not writable, or a name that is a folder's.
    """
    kind = format_of(path)
    folder = path.parent
    if sample_rate is not None and kind.rate_for(sample_rate) != sample_rate:
        rates = ", ".join(map(str, kind.rates))
        raise SoundError(
            f"{shown(path)}: {kind.name} cannot hold {sample_rate} Hz; use one of "
            f"{rates} Hz, or another format"
        )
    if is_fifo(path):
        return
    if path.is_dir():
        raise SoundError(f"{shown(path)}: is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise SoundError(f"{shown(path)}: exists already; choose another name")
    if not folder.is_dir():
        raise SoundError(
            f"{shown(path)}: there is no folder {shown(folder)}; create it first"
        )
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass  # a folder may say that it is writable, and refuse
    except OSError as error:
        raise SoundError(
            f"{shown(path)}: the folder {shown(folder)} is not writable "
            f"({error.strerror})"
        ) from None


@contextmanager
def whole_sound_file(
    path: Path,
    sample_rate: int,
    tags: Mapping[str, str] | None = None,
    *,
    channels: int = 2,
    subtype: str | None = None,
    finish: Callable[[Path], object] | None = None,
) -> Iterator[Write]:
    """A function that writes blocks into what becomes `path` when all went well.

    It takes blocks of shape (n, channels), float32 or an integer type; NaN and
    infinite samples become silence.

    Args:
        path: of the file, replaced if it is there; its ending is in `WRITTEN`. A FIFO
            is written into, without an ending as s16le.
        sample_rate: Hz.
        tags: by the names of `TAGS`; others, and empty ones, are left out.
        channels: of the file.
        subtype: encoding as in libsndfile, e.g. "PCM_16"; None takes the format's.
        finish: called with the whole file before it gets its name.

    Raises:
        SoundError: the path cannot be written, or not at this rate.
        RunError: writing failed on the way, as on a full disk.
    """
    import soundfile

    check_output(path, sample_rate)
    kind = format_of(path)
    if kind is PCM:
        with pcm_into(path) as write_pcm:
            yield write_pcm
        return
    written = 0
    with file_into(path) if is_fifo(path) else whole_file(path) as temporary:
        try:
            with soundfile.SoundFile(
                temporary,
                "w",
                samplerate=sample_rate,
                channels=channels,
                format=kind.container,
                subtype=subtype or kind.subtype,
                compression_level=FLAC_EFFORT if kind.container == "FLAC" else None,
            ) as file:
                for name, text in (tags or {}).items():
                    if name in TAGS and text:
                        setattr(file, name, text)

                def write(block: Samples) -> None:
                    nonlocal written
                    file.write(_finite(block))
                    written += len(block)

                yield write
            # On a full disk libsndfile may close the file without a word.
            if soundfile.info(temporary).frames < written:
                raise RunError(f"{shown(path)}: not written whole; is the disk full?")
            if finish is not None:
                finish(temporary)
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise RunError(
                f"{shown(path)}: cannot be written ({_reason(error)})"
            ) from error


def write_sound(
    path: Path | str,
    samples: Samples,
    sample_rate: int,
    subtype: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a sound file, whole or not at all.

    NaN and infinite samples become silence. What the format cannot hold at this rate
    is resampled to its best one.

    Args:
        path: its ending is in `WRITTEN`.
        samples: shape (n_samples, channels).
        sample_rate: Hz.
        subtype: as for `whole_sound_file`.
        tags: as for `whole_sound_file`.

    Raises:
        SoundError: the path cannot be written.
        RunError: writing failed on the way, as on a full disk.
    """
    path = Path(path)
    rate = format_of(path).rate_for(sample_rate)
    samples = resample(samples, sample_rate, rate)
    channels = samples.shape[1]
    with whole_sound_file(
        path, rate, tags, channels=channels, subtype=subtype
    ) as write:
        for start in range(0, len(samples), BLOCK):
            write(samples[start : start + BLOCK])


def _finite(block: Samples) -> Samples:
    if block.dtype.kind != "f" or np.all(np.isfinite(block)):
        return block
    return np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)


def _reason(error: Exception) -> str:
    # libsndfile says nothing at all, or only its prefix, when the disk is full.
    text = one_line(str(getattr(error, "error_string", "") or error)).strip(". ")
    return "is the disk full?" if not text or text.endswith(":") else text
