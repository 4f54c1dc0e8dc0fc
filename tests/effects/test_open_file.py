import os
import socket
import tracemalloc
from pathlib import Path

import pytest

from effects.base.errors import InputError
from effects.base.open_file import open_regular, read_bytes, read_text


def test_a_regular_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffété\n".encode())
    (tmp_path / "link.txt").symlink_to(path)
    assert read_text(tmp_path / "link.txt", 100) == "été\n"
    assert read_bytes(path, path.stat().st_size) == path.read_bytes()
    with open_regular(path) as file:
        assert file.read() == path.read_bytes()


def test_one_byte_too_many_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(bytes(11))
    with pytest.raises(InputError, match=r"a\.txt: over 10 bytes, too many for a card"):
        read_bytes(path, 10, "card")


def test_a_small_file_takes_little_memory_whatever_its_limit(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(bytes(100))
    tracemalloc.start()
    read_bytes(tmp_path / "a.txt", 1 << 30)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize(
    "name",
    ["fifo", "link to fifo", "socket", "/dev/zero", "link to device", "folder"],
)
@pytest.mark.timeout(20)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link to fifo").symlink_to(tmp_path / "fifo")
    (tmp_path / "link to device").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(InputError, match=r"is no regular file|is a folder"):
            read_bytes(tmp_path / name, 100)


def test_a_file_of_proc_is_bounded_although_it_says_that_it_is_empty() -> None:
    with pytest.raises(InputError, match="over 10 bytes"):
        read_bytes(Path("/proc/self/environ"), 10)


@pytest.mark.parametrize("name", ["none", "a\0b", "\ud800", 300 * "x"])
def test_names_of_nothing_are_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        InputError, match=r"no such file|no name|cannot be read"
    ) as told:
        read_text(tmp_path / name, 100)
    assert "\n" not in str(told.value)
    str(told.value).encode(errors="strict" if name != "\ud800" else "backslashreplace")


def test_what_is_not_utf_8_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not a text file in UTF-8"):
        read_text(path, 100)
