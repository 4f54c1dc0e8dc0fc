"""Songs of a journal as chapters, read back by ffmpeg."""

import json
import os
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.offline.chaptered import chaptered_sound_file, chapters_between
from engine.offline.journal import JournalEvent
from engine.recording.chapters import Chapter

RATE = 48_000
SONGS: list[JournalEvent] = [
    {"at": 0, "song": {"index": 0, "title": "Linen Ledge"}},
    {"at": 100, "underrun": 3},
    {"at": 3 * RATE, "song": {"index": 1, "title": "Möwe = 2"}},
    {"at": 9 * RATE, "song": {"index": 2}},
    {"at": 10 * RATE, "song": {"index": 3, "title": "Late"}},
]


def probed(path: Path) -> list[tuple[float, str]]:
    """Chapters that ffmpeg finds."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_chapters", str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    return [
        (float(each["start_time"]), each["tags"]["title"])
        for each in json.loads(done.stdout)["chapters"]
    ]


def write(path: Path, chapters: list[Chapter], seconds: int = 4) -> np.ndarray:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, (seconds * RATE, 2))
    with chaptered_sound_file(path, RATE, "Evening", "from here", chapters) as write:
        write(samples.astype(np.float32))
    return samples


def test_songs_lie_where_they_are_in_the_file() -> None:
    assert chapters_between(SONGS, 2 * RATE, 8 * RATE) == [
        Chapter(0, "Linen Ledge"),
        Chapter(RATE, "Möwe = 2"),
    ]
    assert chapters_between(SONGS, 4 * RATE, 12 * RATE, 0.5) == [
        Chapter(0, "Möwe = 2"),
        Chapter(3 * RATE, "Late"),
    ]


@pytest.mark.parametrize("number", [0, 1, 2, 300])
def test_a_flac_has_its_chapters_as_tags(number: int, tmp_path: Path) -> None:
    file = tmp_path / "part.flac"
    chapters = [Chapter(i * 480, f"Song {i} of Möwen") for i in range(number)]
    samples = write(file, chapters)
    assert probed(file) == [
        (i / 100, chapter.title) for i, chapter in enumerate(chapters)
    ]
    with soundfile.SoundFile(file) as sound:
        assert (sound.title, sound.comment) == ("Evening", "from here")
        np.testing.assert_allclose(sound.read(), samples, atol=2e-7)
    assert subprocess.run(["flac", "-t", "-s", str(file)]).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == (
        {"part.flac", "part.cue"} if number > 1 else {"part.flac"}
    )


@pytest.mark.parametrize("ending", ["wav", "opus", "mp3"])
def test_other_formats_have_a_cue_sheet(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"part.{ending}"
    write(file, [Chapter(0, "A"), Chapter(RATE, "B")])
    with soundfile.SoundFile(file) as sound:
        assert (sound.title, sound.comment) == ("Evening", "from here")
    lines = file.with_suffix(".cue").read_text().splitlines()
    assert f'FILE "part.{ending}" ' in "".join(lines)
    assert [line.strip() for line in lines if "INDEX 01" in line] == [
        "INDEX 01 00:00:00",
        "INDEX 01 00:01:00",
    ]


def test_a_fifo_gets_the_sound_alone(tmp_path: Path) -> None:
    fifo, taken = tmp_path / "pipe.flac", tmp_path / "taken.flac"
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: taken.write_bytes(fifo.read_bytes()))
    reader.start()
    write(fifo, [Chapter(0, "A"), Chapter(RATE, "B")])
    reader.join(20.0)
    with soundfile.SoundFile(taken) as sound:
        assert sound.comment == "from here"
    assert {path.name for path in tmp_path.iterdir()} == {fifo.name, taken.name}
