"""Curation in a real browser: by keys and swipes, with sound, without losing any."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from model.corpus.corpus import VERDICTS_FILE, Corpus
from model.corpus.curation.curation import Curation
from tests.support.browser import CHROMIUM, PHONE, Browser, Page
from tests.support.command import ROOT, environment
from tests.support.corpora import planted_corpus

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

CLIP = "Number(document.body.dataset.clip)"


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The page of `latent corpus curate`, at this address, and its process."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "engine.cli.main", "corpus", "curate"),
            *("--corpus", str(folder), "--web", "0"),
        ],
        cwd=ROOT,
        env=environment(folder.parent),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"http://\S+", line):
                yield found[0], process
                break
        else:
            raise AssertionError("no page was served")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(20)
        process.stderr.close()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def curating(folder: Path, *, touch: bool = False) -> Iterator[Page]:
    """A browser's page on a corpus."""
    with served(folder) as (url, _), Browser(folder.parent / "profile") as browser:
        page = browser.page(PHONE, touch=True) if touch else browser.page()
        begin(page, url)
        yield page
        assert not page.errors


def begin(page: Page, url: str) -> None:
    page.before_load(
        "window.heard = []; const play = AudioBufferSourceNode.prototype.start;"
        "AudioBufferSourceNode.prototype.start = function (...given) {"
        "  heard.push([this.loop, this.buffer.duration]);"
        "  return play.apply(this, given); };"
    )
    page.open(url)
    page.wait("document.getElementById('start').open")
    page.click("#start button")
    page.wait(f"{CLIP} >= 0 && !document.getElementById('start').open")


def press(page: Page, key: str) -> int:
    """Press a key and wait for the next clip; returns the one that was shown."""
    shown = int(page.run(CLIP))
    page.press(key)
    page.wait(f"{CLIP} !== {shown} || document.body.dataset.clip === ''")
    return shown


def verdicts(folder: Path) -> dict[int, tuple[str, str]]:
    found = Corpus.open(folder).verdicts()
    return {clip: (each.verdict, each.reason) for clip, each in found.items()}


def test_keys_decide_and_undo_and_each_clip_is_heard_in_a_loop(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    planted_corpus(folder, 30, heard=30)
    with curating(folder) as page:
        page.wait("heard.length > 0 && heard[0][0]")
        assert page.run("heard[0][1]") == pytest.approx(1.97, abs=0.01)
        kept = press(page, "ArrowRight")
        rejected = press(page, "ArrowLeft")
        voice = press(page, "2")
        undone = press(page, "ArrowRight")
        press(page, "u")
        assert page.run(CLIP) == undone
        page.wait("heard.length >= 5")
        # The picture shows one tone: few rows of it are bright.
        rows = page.run(
            "(() => { const c = document.getElementById('picture');"
            "const x = c.width / 2, d = c.getContext('2d')"
            "  .getImageData(x, 0, 1, c.height).data;"
            "return Array.from({length: c.height}, (_, k) => d[4 * k + 3]); })()"
        )
        assert 0 < np.count_nonzero(np.array(rows) > 200) < 0.2 * len(rows)
    assert verdicts(folder) == {
        kept: ("keep", ""),
        rejected: ("reject", ""),
        voice: ("reject", "voice"),
    }


def test_a_swipe_decides_and_a_short_one_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    planted_corpus(folder, 30, heard=30)
    with curating(folder, touch=True) as page:
        shown = int(page.run(CLIP))
        x, y = page.place("#card")
        page.touch([(x, y), (x + 20, y), (x + 40, y)])
        assert int(page.run(CLIP)) == shown
        page.touch([(x - 60, y), (x, y), (x + 60, y), (x + 100, y)])
        page.wait(f"{CLIP} !== {shown}")
        second = int(page.run(CLIP))
        page.touch([(x + 60, y), (x, y), (x - 60, y), (x - 100, y)])
        page.wait(f"{CLIP} !== {second}")
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert verdicts(folder) == {shown: ("keep", ""), second: ("reject", "")}


def test_what_cannot_be_heard_or_is_not_there_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    planted_corpus(folder, 6)
    with served(folder) as (url, _), Browser(tmp_path / "profile") as browser:
        page = browser.page()
        begin(page, url)
        page.wait("document.getElementById('notice').textContent.includes('not kept')")
        for _ in range(6):
            press(page, "ArrowRight")
        page.wait("document.getElementById('title').textContent.includes('decided')")
    assert len(verdicts(folder)) == 6


def test_two_windows_and_a_kill_lose_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    planted_corpus(folder, 90, heard=6)
    with Browser(tmp_path / "profile") as browser:
        with served(folder) as (url, process):
            pages = [browser.page(), browser.page()]
            for page in pages:
                begin(page, url)
            for number in range(20):
                press(pages[number % 2], "ArrowRight" if number % 3 else "ArrowLeft")
            process.kill()
        before = verdicts(folder)
        assert len(before) >= 10  # each may show what the other has decided
        pages[0].press("ArrowRight")
        pages[0].wait("document.getElementById('notice').textContent.includes('safe')")
        with served(folder) as (url, _):
            page = browser.page()
            begin(page, url)
            assert page.run(CLIP) == Curation(folder).upcoming(1)[0]
            press(page, "ArrowRight")
    assert len(verdicts(folder)) == len(before) + 1


def asked(url: str, body: object = None, **headers: str) -> int:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_requests_from_elsewhere_and_nonsense_change_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    planted_corpus(folder, 6, heard=3)
    with served(folder) as (url, _):
        api = f"{url}api/curation"
        assert asked(api) == 200
        assert asked(f"{api}/clips/0") == 200
        assert asked(f"{api}/clips/99") == 400
        assert asked(f"{api}/clips/..%2Fmanifest.jsonl") == 404
        assert asked(f"{api}/songs/0") == 400
        keep = {"clip": 1, "verdict": "keep"}
        assert asked(api, keep, Origin="http://elsewhere.example") == 403
        assert asked(api, keep, Host="elsewhere.example") == 421
        nonsense: list[object] = [1, [], {"clip": 1}, {**keep, "clip": 77}]
        for body in [*nonsense, {**keep, "path": "/"}]:
            assert asked(api, body) == 400
        assert asked(api, {"verdict": "keep" * 1_000}) == 413
        assert not (folder / VERDICTS_FILE).exists()
        assert asked(api, keep) == 200
    assert verdicts(folder) == {1: ("keep", "")}


def test_200_decisions_on_45000_clips_are_fluent(tmp_path: Path) -> None:
    """What the server works for a decision; the time it takes is the machine's, too."""
    folder = tmp_path / "corpus"
    planted_corpus(folder, 45_000, heard=60)
    with (
        served(folder) as (url, process),
        Browser(tmp_path / "profile") as browser,
    ):
        page = browser.page()
        begin(page, url)
        page.wait("document.getElementById('about').textContent !== ''")
        program = psutil.Process(process.pid)
        while len(program.threads()) > 1 and program.cpu_percent(0.5) > 20.0:
            pass  # until all clips are encoded
        before = sum(program.cpu_times()[:2])
        for number in range(200):
            press(page, "ArrowLeft" if number % 5 == 0 else "ArrowRight")
        worked = sum(program.cpu_times()[:2]) - before
    assert len(verdicts(folder)) == 200
    assert worked / 200 < 0.050


def test_an_interrupt_ends_it_with_what_was_decided(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    planted_corpus(folder, 6)
    with served(folder) as (_, process):
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out = process.communicate(timeout=30)[0]
    assert "0 kept, 0 rejected, 6 open" in out
