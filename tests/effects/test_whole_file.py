"""A file appears whole or not at all, whatever goes wrong on the way."""

import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from effects.base.errors import RunError
from effects.base.whole_file import whole_file, write_whole


def test_what_stood_there_stays_until_the_new_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, "old")
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_whole(path, b"old")
    with suppress(KeyError), whole_file(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    full = Path("/dev/full")
    with (
        pytest.raises(RunError, match="No space left"),
        whole_file(tmp_path / "a.txt"),
    ):
        full.write_bytes(b"x")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("place", ["missing/a.txt", "a" * 300, "folder"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        write_whole(tmp_path / place, "x")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_link_at_the_place_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("mine")
    link.symlink_to(victim)
    write_whole(link, "new")
    assert victim.read_text() == "mine"
    assert not link.is_symlink()


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
def test_permissions_follow_the_umask_or_are_the_owners(
    tmp_path: Path, private: bool, mode: int
) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "a", "x", durable=True, private=private)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RunError, match="is no file"):
        write_whole(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()
    assert len(list(tmp_path.iterdir())) == 1
