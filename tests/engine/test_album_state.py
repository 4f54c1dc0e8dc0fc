"""Files of an album that somebody else may have written."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from effects.base.errors import InputError
from engine.album.finish import finish
from engine.album.review import DECISIONS, Review, Verdict
from engine.album.state import STATE, read_state
from tests.support.albums import planted_album
from tests.support.command import latent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    planted_album(tmp_path / "night", songs=2, seconds=0.6)
    return tmp_path / "night"


def test_what_was_written_is_read(folder: Path) -> None:
    plan, rows = read_state(folder)
    assert (plan.songs, plan.presets) == (2, ("dark",))
    assert [rows[n].file for n in (1, 2)] == ["001.flac", "002.flac"]
    assert rows[1].tonic == "A"


def change(*path: str | int, to: object) -> Callable[[dict[str, Any]], None]:
    def do(state: dict[str, Any]) -> None:
        place: Any = state
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return do


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (change("version", to=1), "format 1, .* reads format 2; .* older version"),
        (change("version", to=3), "format 3, .* reads format 2; .* newer version"),
        (change("version", to="2"), "version: expected int"),
        (change("format", to="x"), "not an album of Latent"),
        (change("plan", to=[]), "plan: expected object"),
        (change("plan", "seed", to="x"), "seed: expected int, got str"),
        (change("plan", "minutes", to=1e9), "minutes: expected float <= 20"),
        (change("plan", "presets", to=["dark"] * 1000), "presets: expected array"),
        (change("songs", 0, "number", to=0), "number: expected int >= 1"),
        (change("songs", 0, "status", to="../x"), "status"),
        (change("songs", 0, "key", to=""), "key: expected str"),
        (change("songs", 0, "key", to="H dorian"), "key: expected str"),
        (change("songs", 0, "seed", to=9**400), "seed: expected int"),
        (change("songs", 0, "measures", to={}), "missing required field"),
        (change("songs", 0, "reasons", to="x"), "reasons: expected array"),
        (change("songs", to=[1]), "expected object, got int"),
    ],
)
def test_a_damaged_album_is_one_line(
    folder: Path, damage: Callable[[dict[str, Any]], None], why: str
) -> None:
    state = json.loads((folder / STATE).read_text())
    damage(state)
    (folder / STATE).write_text(json.dumps(state))
    for command in (read_state, Review, finish):
        with pytest.raises(InputError, match=rf"album\.json: .*{why}") as told:
            command(folder)
        assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b'{"x":' + 100_000 * b"[", b" " * (9 << 20)]
)
def test_what_is_no_album_is_one_line(folder: Path, content: bytes) -> None:
    (folder / STATE).write_bytes(content)
    with pytest.raises(InputError, match=r"album\.json: "):
        read_state(folder)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", [STATE, DECISIONS, "001.flac", ".work/001.npy"])
def test_a_fifo_in_an_album_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    done = latent("album", "finish", folder, home=folder.parent)
    assert done.returncode == (0 if name.endswith("npy") else 2), done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("channels", "rate", "seconds"), [(8, 44_100, 1), (2, 48_000, 1), (1, 44_100, 1)]
)
def test_a_song_of_another_kind_is_refused(
    folder: Path, channels: int, rate: int, seconds: int
) -> None:
    silence = np.zeros((seconds * rate, channels), np.float32)
    soundfile.write(folder / "002.flac", silence, rate)
    with pytest.raises(InputError, match=r"002\.flac: .* channels at .* have 2 at"):
        finish(folder)
    assert not (folder / "album").exists()


@pytest.mark.parametrize("spectra", [b"", b"\x93NUMPY", "text", "object", "nan"])
def test_damaged_spectra_are_one_line(folder: Path, spectra: bytes | str) -> None:
    path = folder / ".work" / "001.npy"
    if isinstance(spectra, bytes):
        path.write_bytes(spectra)
    elif spectra == "nan":
        np.save(path, np.full((3, 3), np.nan, np.float32))
    else:
        np.save(path, np.array([spectra], object if spectra == "object" else "U9"))
    with pytest.raises(InputError, match=r"001\.npy: is damaged"):
        finish(folder)


def test_decisions_that_are_no_decisions_are_passed_over(folder: Path) -> None:
    Review(folder).keep(1)
    with (folder / DECISIONS).open("ab") as file:
        file.write(b'{"song": "2", "kept": true}\n{"song": 2, "kept": "yes"}\n')
        file.write(b'{"song": 2, "name": ' + 100_000 * b"[" + b"\n")
        file.write(b'{"song": 2, "name": "a\\u001b[2Jb"}\n[]\n')
    review = Review(folder)
    assert review.verdict(1) == Verdict(True)
    assert review.verdict(2) == Verdict(True, "a[2Jb"), "nothing that moves a cursor"


def test_no_title_makes_a_line_of_its_own(folder: Path) -> None:
    artist = "Nobody\nFILE x WAVE\u2028#EXTINF:1,y"
    finish(folder, title='Night\r\nTITLE "x"', artist=artist)
    (cue,) = (folder / "album").glob("*.cue")
    (playlist,) = (folder / "album").glob("*.m3u8")
    lines = cue.read_text().splitlines()
    assert sum(line.startswith(("FILE", "TITLE", "PERFORMER")) for line in lines) == 4
    assert len(playlist.read_text().splitlines()) == 5
