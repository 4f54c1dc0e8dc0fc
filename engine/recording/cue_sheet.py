"""Cue sheets: which tracks an audio file, or a set of files, holds, and where.

The format is CDRWIN's, as players read it. It knows no way to write a double quote or
a line break within a title, so these are replaced.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FRAMES_PER_S = 75  # of a compact disc; times in a cue sheet count these
MAX_TRACKS = 99


@dataclass(frozen=True)
class CueTrack:
    """One track of a cue sheet.

    Attributes:
        title: of the track.
        file: name of the audio file that it is in, beside the cue sheet.
        frame: of the file at which it begins, 75 a second.
        performer: of the track; not written when empty.
    """

    title: str
    file: str
    frame: int = 0
    performer: str = ""


def cue_frame(sample: int, sample_rate: int) -> int:
    """The frame that a sample lies in.

    >>> cue_frame(44_100, 44_100), cue_frame(44_099, 44_100)
    (75, 74)
    """
    return sample * FRAMES_PER_S // sample_rate


def cue_time(frame: int) -> str:
    """Minutes, seconds and frames, as cue sheets have them.

    >>> cue_time(61 * 75 + 37)
    '01:01:37'
    """
    minutes, rest = divmod(frame, 60 * FRAMES_PER_S)
    return f"{minutes:02d}:{rest // FRAMES_PER_S:02d}:{rest % FRAMES_PER_S:02d}"


def cue_sheet(
    tracks: Sequence[CueTrack],
    *,
    title: str = "",
    performer: str = "",
    remarks: Sequence[str] = (),
) -> str:
    """The text of a cue sheet.

    Args:
        tracks: in order; more than 99 do not fit and are left out.
        title: of the whole; not written when empty.
        performer: of the whole; not written when empty.
        remarks: lines for people, which come first.
    """
    lines = [f"REM {printable(remark)}" for remark in remarks]
    if performer:
        lines.append(f"PERFORMER {_quoted(performer)}")
    if title:
        lines.append(f"TITLE {_quoted(title)}")
    file = ""
    for number, track in enumerate(tracks[:MAX_TRACKS], 1):
        if track.file != file:
            file = track.file
            lines.append(f"FILE {_quoted(file)} WAVE")
        lines += [f"  TRACK {number:02d} AUDIO", f"    TITLE {_quoted(track.title)}"]
        if track.performer:
            lines.append(f"    PERFORMER {_quoted(track.performer)}")
        lines.append(f"    INDEX 01 {cue_time(track.frame)}")
    return "\n".join(lines) + "\n"


def printable(text: str) -> str:
    r"""A text in which a space stands for each character that cannot be shown.

    >>> printable("a\nb\u2028c")
    'a b c'
    """
    return "".join(c if c.isprintable() else " " for c in text)


def _quoted(text: str) -> str:
    return '"' + printable(text).replace('"', "'") + '"'
