"""Chapters: where songs begin in a recording."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from effects.base.errors import RunError
from effects.base.whole_file import write_whole
from engine.live.tap import Gap
from engine.recording.cue_sheet import CueTrack, cue_frame, cue_sheet

MAX_CHAPTERS = 400  # an hour of songs of 9 s; more would not fit the tags


@dataclass(frozen=True)
class Chapter:
    """A song begins here.

    Attributes:
        sample: of the session, or of a file.
        title: of the song.
    """

    sample: int
    title: str

    def tags(self, number: int, sample_rate: int) -> list[tuple[str, str]]:
        """Chapter tags as players of Vorbis comments know them.

        Args:
            number: of the chapter, from 1.
            sample_rate: Hz.
        """
        milliseconds = 1000 * self.sample // sample_rate
        seconds, rest = divmod(milliseconds, 1000)
        time = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        name = f"CHAPTER{number:03d}"
        return [(name, f"{time}.{rest:03d}"), (f"{name}NAME", self.title)]


def chapters_of_file(
    chapters: Iterable[Chapter], first: int, n_samples: int
) -> list[Chapter]:
    """Chapters of one file, at its own samples; a song that goes on begins it.

    Args:
        chapters: of the session.
        first: sample of the session that the file begins with.
        n_samples: length of the file.
    """
    ordered = sorted(chapters, key=lambda chapter: chapter.sample)
    before = [chapter for chapter in ordered if chapter.sample <= first][-1:]
    end = first + n_samples
    inside = [chapter for chapter in ordered if first < chapter.sample < end]
    found = [Chapter(max(0, c.sample - first), c.title) for c in before + inside]
    return found[:MAX_CHAPTERS]


def write_cue_sheet(
    audio: Path,
    title: str,
    chapters: Sequence[Chapter],
    gaps: Sequence[Gap],
    sample_rate: int,
) -> None:
    """Write a cue sheet beside a recording, which does not fail if that cannot be done.

    Args:
        audio: the FLAC file.
        title: of the whole.
        chapters: at samples of the file.
        gaps: at samples of the session, noted as remarks.
        sample_rate: Hz.
    """
    tracks = [
        CueTrack(chapter.title, audio.name, cue_frame(chapter.sample, sample_rate))
        for chapter in chapters or [Chapter(0, title)]
    ]
    remarks = [f"LATENT_GAP sample {gap.at} length {gap.n_samples}" for gap in gaps]
    with suppress(RunError):
        write_whole(
            audio.with_suffix(".cue"),
            cue_sheet(tracks, title=title, remarks=remarks),
        )
