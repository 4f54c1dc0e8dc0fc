"""Sounds that libsndfile does not read, decoded by ffmpeg where that is installed.

What a file is, its first bytes say, not its ending. ffmpeg runs as a child that may
open this one file and nothing else, and is told the container: lists and streams of the
network, which name other places, are no containers of this table.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from effects.audio.sound_formats import SoundError, UnsupportedError
from effects.base.one_line import one_line, shown

LONGEST_S = 4 * 3600.0  # 5 GB of samples at 44.1 kHz
TIMEOUT_S = 900.0

# Name of the container, and of ffmpeg's demuxer, by the bytes at an offset.
_KINDS = (
    (4, b"ftyp", "MP4", "mov"),
    (0, b"\x1aE\xdf\xa3", "Matroska", "matroska"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "Windows Media", "asf"),
    (0, b"wvpk", "WavPack", "wv"),
    (0, b"MAC ", "Monkey's Audio", "ape"),
    (0, b"caff", "CAF", "caf"),
    (0, b".snd", "AU", "au"),
    (0, b"DSD ", "DSD", "dsf"),
    (0, b"FRM8", "DSD", "iff"),
    (0, b"riff", "Wave64", "w64"),
    (28, b"\x7fFLAC", "FLAC in Ogg", "ogg"),
    (28, b"Speex", "Speex", "ogg"),
    (0, b"\xff\xf1", "AAC", "aac"),
    (0, b"\xff\xf9", "AAC", "aac"),
)


def foreign_kind(head: bytes) -> tuple[str, str] | None:
    """Name of a container and of ffmpeg's demuxer, by a file's first bytes.

    >>> foreign_kind(b"....ftypM4A ")
    ('MP4', 'mov')
    """
    if head[:3] == b"ID3" and len(head) >= 10:  # ADTS with a tag in front
        return None
    for offset, magic, name, demuxer in _KINDS:
        if head[offset : offset + len(magic)] == magic:
            return name, demuxer
    return None


@contextmanager
def decoded(
    path: Path, kind: tuple[str, str], max_seconds: float | None = None
) -> Iterator[Path]:
    """A temporary WAV file of 32-bit floats with the first sound track of a file.

    Args:
        path: of the file.
        kind: as `foreign_kind` gives it.
        max_seconds: what lies beyond is not decoded; 4 hours at most.

    Raises:
        UnsupportedError: ffmpeg is not installed.
        SoundError: it finds no sound in the file.
    """
    name, demuxer = kind
    program = shutil.which("ffmpeg")
    if program is None:
        raise UnsupportedError(
            f"{shown(path)}: {name} is read by ffmpeg, which is not installed; "
            "install it (apt install ffmpeg), or convert the file to FLAC"
        )
    seconds = min(LONGEST_S, max_seconds or LONGEST_S)
    with tempfile.TemporaryDirectory(prefix="latent-") as folder:
        to = Path(folder, "decoded.wav")
        command = [program, "-nostdin", "-v", "error", "-threads", "1"]
        command += ["-protocol_whitelist", "file", "-f", demuxer]
        command += ["-i", f"file:{path.absolute()}", "-map", "0:a:0", "-vn", "-sn"]
        command += ["-t", f"{seconds:.3f}", "-c:a", "pcm_f32le", "-rf64", "auto"]
        command += ["-ar", "88200"] if name == "DSD" else []
        command += ["-f", "wav", f"file:{to}"]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise SoundError(f"{shown(path)}: ffmpeg did not end") from None
        if done.returncode or not to.is_file():
            said = done.stderr.decode(errors="replace").strip().splitlines()
            why = one_line(said[-1]) if said else f"code {done.returncode}"
            if not to.is_file() or to.stat().st_size < 1_000:
                raise SoundError(f"{shown(path)}: broken {name} (ffmpeg: {why})")
        yield to
