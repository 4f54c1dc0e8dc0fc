"""Where songs begin in a recording: chapters in its tags, and a cue sheet beside it."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.live.tap import Gap

MAX_CHAPTERS = 400  # an hour of songs of 9 s; more would not fit the tags
MAX_TRACKS = 99  # of a cue sheet
CUE_FRAMES = 75  # in a second


@dataclass(frozen=True)
class Mark:
    """A song begins here."""

    sample: int  # of the session, or of a file
    title: str

    def tags(self, number: int, sample_rate: int) -> list[tuple[str, str]]:
        """Chapter tags as players of Vorbis comments know them."""
        milliseconds = 1000 * self.sample // sample_rate
        seconds, rest = divmod(milliseconds, 1000)
        time = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        name = f"CHAPTER{number:03d}"
        return [(name, f"{time}.{rest:03d}"), (f"{name}NAME", self.title)]


def chapters(marks: Iterable[Mark], first: int, n_samples: int) -> list[Mark]:
    """Marks of one file, at its own samples; a song that goes on begins it.

    Args:
        marks: of the session.
        first: sample of the session that the file begins with.
        n_samples: length of the file.
    """
    ordered = sorted(marks, key=lambda mark: mark.sample)
    before = [mark for mark in ordered if mark.sample <= first][-1:]
    inside = [mark for mark in ordered if first < mark.sample < first + n_samples]
    found = [Mark(max(0, mark.sample - first), mark.title) for mark in before + inside]
    return found[:MAX_CHAPTERS]


def cue_sheet(
    name: str, title: str, marks: Sequence[Mark], gaps: Sequence[Gap], sample_rate: int
) -> str:
    """Text of a cue sheet.

    Args:
        name: of the FLAC file beside it.
        title: of the whole.
        marks: at samples of the file; only 99 fit.
        gaps: at samples of the session, told as remarks.
        sample_rate: Hz.
    """
    lines = [f"TITLE {_quoted(title)}", f"FILE {_quoted(name)} WAVE"]
    lines[:0] = [
        f"REM LATENT_GAP sample {gap.at} length {gap.n_samples}" for gap in gaps
    ]
    shown = [*marks[:MAX_TRACKS]] or [Mark(0, title)]
    for number, mark in enumerate(shown, 1):
        frames = mark.sample * CUE_FRAMES // sample_rate
        minutes, rest = divmod(frames, 60 * CUE_FRAMES)
        time = f"{minutes:02d}:{rest // CUE_FRAMES:02d}:{rest % CUE_FRAMES:02d}"
        lines += [
            f"  TRACK {number:02d} AUDIO",
            f"    TITLE {_quoted(mark.title)}",
            f"    INDEX 01 {time}",
        ]
    return "\n".join(lines) + "\n"


def write_cue(path: Path, text: str) -> None:
    """Write it whole or not at all; a recording does not fail for its cue sheet."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)


def _quoted(text: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text)
    return '"' + printable.replace('"', "'") + '"'
