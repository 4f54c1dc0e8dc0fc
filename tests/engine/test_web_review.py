"""Albums in a real browser: by keys alone, by touch alone, and what is made of that."""

import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.album.review import Review, Verdict
from tests.support.albums import planted_album
from tests.support.browser import CHROMIUM, PHONE, Browser, Page
from tests.support.command import ROOT, environment, latent

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

COUNTS = "document.querySelector('.review .counts').textContent"
PLAYING = "document.querySelector('.review .keys :nth-child(2)').textContent"
PLACE = "document.querySelector('.review .about').textContent.split(' ')[0]"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An album of twelve songs, two of them set aside."""
    made = tmp_path / "night"
    planted_album(made, songs=12, seconds=2.0, aside=2)
    return made


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The page of `latent album review DIR --web`, at this address."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "engine.cli.main", "album", "review"),
            *(str(folder), "--web", "0"),
        ],
        cwd=ROOT,
        env=environment(folder.parent),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"http://\S+", line):
                yield found[0]
                break
        else:
            raise AssertionError("no page was served")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stderr.close()


@contextmanager
def reviewing(folder: Path, *, touch: bool = False) -> Iterator[Page]:
    """A browser's page on an album."""
    profile = folder.parent / "profile"
    with served(folder) as url, Browser(profile) as browser:
        page = browser.page(PHONE, touch=True) if touch else browser.page()
        page.open(url)
        page.wait(
            "document.querySelector('.tools button')?.textContent === 'Albums'", 60
        )
        page.wait("!document.querySelector('.tools button').hidden", 60)
        yield page
    shutil.rmtree(profile, ignore_errors=True)


def finished(folder: Path) -> dict[str, str]:
    """Titles by song of what `latent album finish` makes."""
    done = latent("album", "finish", folder, "--json", home=folder.parent)
    assert done.returncode == 0, done.stderr
    return {t["song"]: t["title"] for t in json.loads(done.stdout)["tracks"]}


def test_an_album_is_reviewed_by_keys_alone(folder: Path) -> None:
    with reviewing(folder) as page:
        page.press("a")
        page.wait("document.querySelectorAll('.review .songs li').length === 12", 30)
        page.press("p")
        page.wait("document.querySelector('.review .time').textContent[3] > '0'", 30)
        page.press("p")
        page.wait(f"{PLAYING} === 'Play'")
        for song, key in enumerate("kckkc", 1):
            page.wait(f"{PLACE} === '{song}'")
            page.press(key)
        page.wait(f"{PLACE} === '6' && {COUNTS} === '3 kept, 2 cut, 7 open'")
        page.press("n")
        page.wait("document.activeElement.tagName === 'INPUT'")
        page.type("Still Water")
        page.press("Enter", text="\r")
        page.wait(f"{COUNTS} === '4 kept, 2 cut, 6 open'")
        page.press("ArrowDown")
        page.wait(f"{PLACE} === '7'")
        page.press("k")
        page.wait(f"{COUNTS} === '5 kept, 2 cut, 5 open'")
        page.press("u")
        page.wait(f"{COUNTS} === '4 kept, 2 cut, 6 open' && {PLACE} === '7'")
        page.press("q")
        page.wait("!document.querySelector('.review').open")
        assert [error for error in page.errors if "404" not in error] == []
    titles = finished(folder)
    assert set(titles) == {"001.flac", "003.flac", "004.flac", "006.flac"}
    assert titles["006.flac"] == "Still Water"


def test_an_album_is_reviewed_by_touch_alone(folder: Path) -> None:
    def key(name: str) -> str:
        names = ["Back", "Play", "Next", "Keep", "Cut", "Name", "Undo"]
        return f".review .keys :nth-child({names.index(name) + 1})"

    with reviewing(folder, touch=True) as page:
        page.tap(".tools button")
        page.wait("document.querySelectorAll('.review .songs li').length === 12", 30)
        page.wait(
            "document.querySelector('.review .time').textContent.endsWith('0:02')", 30
        )
        x, y = page.place(".review .picture")
        page.touch([(x, y)])
        page.wait("document.querySelector('.review .picture').ariaValueNow === '1'")
        page.tap(key("Keep"))
        page.wait(f"{PLACE} === '2'")
        page.tap(key("Cut"))
        page.wait(f"{PLACE} === '3'")
        page.tap(key("Name"))
        page.wait("document.activeElement.tagName === 'INPUT'")
        page.type("By hand")
        page.tap(".review form button")
        page.wait(f"{COUNTS} === '2 kept, 1 cut, 9 open'")
        page.tap(".review .songs li:nth-child(12) button")
        page.wait(f"{PLACE} === '12'")
        page.tap(key("Keep"))
        page.wait(f"{COUNTS} === '3 kept, 1 cut, 8 open'")
        wide = "document.documentElement.scrollWidth <= innerWidth"
        assert page.run(wide), "nothing beyond the screen's edge"
    titles = finished(folder)
    assert set(titles) == {"001.flac", "003.flac", "aside/012.flac"}
    assert titles["003.flac"] == "By hand"


def test_nothing_of_a_request_becomes_a_path_or_a_decision(folder: Path) -> None:
    (folder.parent / "secret.flac").write_bytes(b"secret")
    with served(folder) as url:
        with urllib.request.urlopen(f"{url}api/albums") as answer:
            (album,) = json.load(answer)["albums"]
        base = f"{url}api/albums/{album['id']}"

        def status(path: str, body: bytes | None = None) -> int:
            try:
                with urllib.request.urlopen(urllib.request.Request(path, body)) as told:
                    return int(told.status)
            except urllib.error.HTTPError as error:
                return error.code

        for path in (
            f"{url}api/albums/..%2f..%2fsecret",
            f"{base}/songs/99",
            f"{base}/songs/99.flac",
            f"{base}/songs/..%2f..%2fsecret.flac",
            f"{base}/songs/1.png",
        ):
            assert status(path) in (400, 404), path
        for body in (
            b"",
            b"{}",
            b"[]",
            b'{"song": 1}',
            b'{"song": 99, "kept": true}',
            b'{"song": 1, "name": ""}',
            b'{"song": 1, "name": "' + b"x" * 200 + b'"}',
            b'{"song": 1, "kept": true, "path": "/etc"}',
            b"x" * 10_000,
        ):
            assert status(base, body) in (400, 413), body
        assert status(base, b'{"song": 1, "kept": false}') == 200
        request = urllib.request.Request(f"{base}/songs/1.flac")
        request.add_header("Range", "bytes=0-3")
        with urllib.request.urlopen(request) as told:
            assert (told.status, told.read()) == (206, b"fLaC")
    assert Review(folder).verdict(1) == Verdict(False)
    assert Review(folder).counts() == (0, 1, 11)
