"""The songs of a journal as chapters of what is rendered from it.

A FLAC file gets them as tags, as a recording does; beside every file that holds more
than one song lies a cue sheet.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from effects.audio.sound_writer import Write, whole_sound_file
from effects.base.whole_file import is_fifo
from engine.offline.journal import JournalEvent
from engine.recording.chapters import Chapter, chapters_of_file, write_cue_sheet
from engine.recording.flac import FILLER
from engine.recording.segment import retag_file


def chapters_between(
    events: Sequence[JournalEvent], start: int, stop: int, scale: float = 1.0
) -> list[Chapter]:
    """The songs of a stretch of a session, at samples of the file that it becomes.

    Args:
        events: of the journal.
        start: first sample of the session.
        stop: one after the last.
        scale: samples of the file for each of the session.
    """
    songs = [
        Chapter(event["at"], title)
        for event in events
        if isinstance(title := event.get("song", {}).get("title"), str) and title
    ]
    found = chapters_of_file(songs, start, stop - start)
    return [Chapter(round(each.sample * scale), each.title) for each in found]


@contextmanager
def chaptered_sound_file(
    path: Path,
    sample_rate: int,
    title: str,
    comment: str,
    chapters: Sequence[Chapter],
) -> Iterator[Write]:
    """A sound file with chapters, which appears when it is whole.

    Args:
        path: as for `whole_sound_file`.
        sample_rate: Hz.
        title: of the whole.
        comment: where it comes from.
        chapters: at samples of the file.

    Raises:
        SoundError, RunError: as for `whole_sound_file`.
    """
    tags = [("TITLE", title), ("COMMENT", comment)]
    for number, chapter in enumerate(chapters, 1):
        tags += chapter.tags(number, sample_rate)
    room = sum(len(name) + len(text.encode()) + 8 for name, text in tags)
    is_flac = path.suffix.lower() == ".flac" and not is_fifo(path)

    def retag(file: Path) -> None:
        if is_flac:
            retag_file(file, tags)

    # libsndfile knows no tags of chapters: the comment keeps the room for them.
    first = {"title": title, "comment": FILLER * room if is_flac else comment}
    with whole_sound_file(path, sample_rate, first, finish=retag) as write:
        yield write
    write_chapters(path, sample_rate, title, chapters)


def write_chapters(
    path: Path, sample_rate: int, title: str, chapters: Sequence[Chapter]
) -> None:
    """Write a cue sheet beside a file of more than one song.

    Args:
        path: of the file.
        sample_rate: Hz.
        title: of the whole.
        chapters: at samples of the file.
    """
    if len(chapters) > 1 and not is_fifo(path):
        write_cue_sheet(path, title, chapters, [], sample_rate)
