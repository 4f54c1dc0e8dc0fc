import shlex

import pytest

from engine.recording.cue_sheet import (
    MAX_TRACKS,
    CueTrack,
    cue_frame,
    cue_sheet,
    cue_time,
)


def test_times_count_frames_of_a_compact_disc() -> None:
    assert cue_time(0) == "00:00:00"
    assert cue_time(cue_frame(44_100 * 60 - 441, 44_100)) == "00:59:74"
    assert cue_time(6000 * 75) == "100:00:00"


def test_a_set_of_files_and_one_file_with_many_tracks() -> None:
    tracks = [CueTrack("One", "a.flac"), CueTrack("Two", "b.flac", performer="Us")]
    assert cue_sheet(tracks, title="Album", performer="We", remarks=["made"]) == (
        'REM made\nPERFORMER "We"\nTITLE "Album"\n'
        'FILE "a.flac" WAVE\n  TRACK 01 AUDIO\n    TITLE "One"\n'
        "    INDEX 01 00:00:00\n"
        'FILE "b.flac" WAVE\n  TRACK 02 AUDIO\n    TITLE "Two"\n'
        '    PERFORMER "Us"\n    INDEX 01 00:00:00\n'
    )
    tracks = [CueTrack(f"{n}", "a.flac", n) for n in range(2 * MAX_TRACKS)]
    assert cue_sheet(tracks).count("TRACK") == MAX_TRACKS
    assert cue_sheet(tracks).count("FILE") == 1


@pytest.mark.parametrize("end", ["\n", "\r\n", "\v", "\x85", "\u2028", "\0", "\ud800"])
def test_no_title_makes_a_line_of_its_own(end: str) -> None:
    text = f'fog "thick"{end}FILE "/etc/passwd" WAVE'
    sheet = cue_sheet(
        [CueTrack(text, text, performer=text)],
        title=text,
        performer=text,
        remarks=[text],
    )
    lines = sheet.splitlines()
    assert len(lines) == 8
    assert sum(line.startswith("FILE") for line in lines) == 1
    assert [len(shlex.split(line)) for line in lines[1:]] == [2, 2, 3, 3, 2, 2, 3]
    sheet.encode()
