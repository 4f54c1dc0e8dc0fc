"""A page that stays open: what it draws keeps up, and nothing of it grows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import CHROMIUM, Browser, Page
from tests.support.playing import Player, playing
from tests.support.web import page_of, patience

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

MAPPED = "document.body?.classList.contains('mapped')"
FRAME_MS = 8.0  # half of a frame at 60 a second
HOVER = """(async () => {
  const surface = document.querySelector('.surface');
  const took = [];
  for (let k = 0; k < 180; k++) {
    const at = {clientX: innerWidth * (0.5 + 0.3 * Math.sin(k / 17)),
                clientY: innerHeight * (0.45 + 0.2 * Math.cos(k / 13))};
    const begun = performance.now();
    surface.dispatchEvent(new PointerEvent('pointermove', at));
    took.push(performance.now() - begun);
    await new Promise(requestAnimationFrame);
  }
  return took.sort((a, b) => a - b)[90];
})()"""  # ms that one move of the hand takes, the middle of many
ZOOM = """import('/js/sky.js').then(async ({ sky, field }) => {
  const took = [];
  for (let k = 0; k < 60; k++) {
    field.zoomAt(innerWidth / 3, innerHeight / 2, k < 30 ? 1.08 : 1 / 1.08);
    const begun = performance.now();
    sky.paint();
    sky.stars.getContext('2d').getImageData(0, 0, 1, 1); // until it is painted
    took.push(performance.now() - begun);
    await new Promise(requestAnimationFrame);
  }
  return took.sort((a, b) => a - b)[30];
})"""
SONGS = """(async () => {
  const { session } = await import('/js/session.js');
  const frame = (kind, size) => {
    const bytes = new Uint8Array(size).map(() => 60 + 150 * Math.random());
    bytes[0] = kind;
    return bytes;
  };
  for (let song = 0; song < NUMBER; song++) {
    const number = 1000 + song + Math.floor(1e6 * Math.random());
    session.tell('/latent/now', [number, `Song ${number}`, 'ABAC', 'A', 0]);
    session.tell('/latent/song/title', [`Song ${number}`]);
    session.tell('/latent/song/pattern', ['ABABABECD']);
    for (let half = 0; half < 600; half++) {
      const column = frame(2, 99);
      [column[1], column[2]] = [half & 255, half >> 8];
      session.takeBinary(column);
      for (let k = 0; k < 3; k++) session.takeBinary(frame(1, 99));
      session.tell('/page/head', [2 * Math.random() - 1, 2 * Math.random() - 1]);
      session.tell('/latent/song/progress', [half / 600]);
      session.tell('/latent/song/seconds', [half / 2]);
      session.tell('/latent/song/symbol', ['ABCDE'[half % 5]]);
      session.tell('/latent/song/place', [1 + half % 9]);
      session.tell('/latent/meter/lufs', [-20 - Math.random(), -20]);
      if (half % 40 === 39) await new Promise(requestAnimationFrame);
    }
  }
})()"""  # songs of five minutes each, as fast as the page takes them


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    home = tmp_path_factory.mktemp("home")
    with playing("--web", 0, "--seed", 7, "--no-effects", home=home) as running:
        yield running


@pytest.fixture
def page(player: Player, tmp_path: Path) -> Iterator[Page]:
    with Browser(tmp_path) as browser:
        opened = browser.page()
        opened.open(page_of(player))
        opened.wait(MAPPED, 60.0)
        yield opened


def held(page: Page) -> tuple[float, int]:
    """MB of the page's objects, and its nodes, once what is not used has gone."""
    for _ in range(2):
        page.call("HeapProfiler.collectGarbage")
    used = page.call("Runtime.getHeapUsage")["usedSize"] / 1e6
    return float(used), int(page.call("Memory.getDOMCounters")["nodes"])


def test_five_thousand_sounds_follow_the_hand(page: Page) -> None:
    n = page.run("import('/js/sky.js').then(({ field }) => field.n)")
    assert n == 5000
    assert page.run(HOVER) < FRAME_MS * patience()
    # Painted in software, at 1,600 pixels by 900, and read back.
    assert page.run(ZOOM) < 2.0 * FRAME_MS * patience()


def test_an_hour_of_songs_leaves_nothing_behind(page: Page) -> None:
    page.run(SONGS.replace("NUMBER", "3"))
    before, nodes_before = held(page)
    for _ in range(4):
        page.run(SONGS.replace("NUMBER", "3"))
    after, nodes_after = held(page)
    assert after - before < 0.25
    assert abs(nodes_after - nodes_before) < 50
    assert page.errors == []
