"""The list of albums for the page: the latest first, those that are still there."""

import shutil
from pathlib import Path

import pytest

from effects.base.paths import state_dir
from engine.album.known import KNOWN, MOST, known_albums, remember_album
from tests.support.albums import planted_album


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENT_HOME", str(tmp_path / "home"))


def made(folder: Path) -> Path:
    planted_album(folder, songs=1)
    remember_album(folder)
    return folder


def test_the_latest_comes_first_and_each_once(tmp_path: Path) -> None:
    assert known_albums() == {}
    first, second = made(tmp_path / "first"), made(tmp_path / "sec ond")
    assert list(known_albums().values()) == [second, first]
    remember_album(first)
    assert list(known_albums().values()) == [first, second]
    assert (state_dir() / KNOWN).stat().st_mode & 0o077 == 0


def test_what_is_gone_is_not_listed(tmp_path: Path) -> None:
    first, second = made(tmp_path / "first"), made(tmp_path / "second")
    shutil.rmtree(second)
    assert list(known_albums().values()) == [first]


def test_the_list_stays_short(tmp_path: Path) -> None:
    for number in range(MOST + 3):
        remember_album(tmp_path / f"album {number}")
    listed = (state_dir() / KNOWN).read_text().splitlines()
    assert len(listed) == MOST
    assert listed[0].endswith(f"album {MOST + 2}")


def test_a_name_that_is_no_line_is_left_out(tmp_path: Path) -> None:
    first = made(tmp_path / "first")
    made(tmp_path / "two\nlines")
    assert list(known_albums().values()) == [first]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"relative/path\n", b"x" * 200_000])
def test_a_list_that_is_none_lists_nothing(content: bytes) -> None:
    state_dir().mkdir(parents=True)
    (state_dir() / KNOWN).write_bytes(content)
    assert known_albums() == {}
