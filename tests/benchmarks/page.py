"""The page in a real browser: what is heard, told and shown how soon, and its cost.

Run as `bin/bench page [N]`: N changes of each kind, 20 by default, from a desk and from
a phone at an insecure origin. A real `latent play --web` without a device, headless
Chromium without a GPU. Figures of time are what a user meets on a machine as busy as
this one; the load is printed with them.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil
from rich.console import Console
from rich.table import Table

from tests.support.browser import DESK, PHONE, Browser, Page
from tests.support.osc import Subscriber, oscsend
from tests.support.playing import Player, playing
from tests.support.web import HEAR, page_of

NAME = "latent.example"  # not this machine's: its origin is insecure
GAIN = "/latent/master/gain"
SLIDER = "#c-master-gain"
LISTEN = "[aria-keyshortcuts=l]"
REST_S = 10.0  # of processor time
MAPPED = "document.body?.classList.contains('mapped')"
WATCH = f"""(() => {{
  const slider = document.querySelector('{SLIDER}');
  slider.addEventListener('input', () => {{
    if (Number(slider.value) > 100) return;
    const at = performance.now();
    [window.movedAt, window.quiet] = [Date.now(), 0];
    const look = () => window.rms() < 0.001
      ? window.quiet = performance.now() - at : setTimeout(look, 5);
    look();
  }});
  const shown = slider.closest('.control').querySelector('output');
  new MutationObserver(() => {{ window.shownAt = Date.now(); }}).observe(
    shown, {{childList: true, characterData: true, subtree: true}});
  document.querySelector('{LISTEN}').addEventListener('click', () => {{
    const at = performance.now();
    const look = () => window.rms?.() > 1e-4
      ? window.firstSound = performance.now() - at : setTimeout(look, 5);
    look();
  }});
}})()"""


def opened(browser: Browser, url: str, *, phone: bool) -> Page:
    """The page, with its map and its controls."""
    page = browser.page(PHONE if phone else DESK, touch=phone)
    page.before_load(HEAR)
    page.open(url)
    page.wait(f"{MAPPED} && document.querySelector('{SLIDER}')", 60.0)
    return page


def delays(
    page: Page, player: Player, n: int, *, phone: bool
) -> dict[str, list[float]]:
    """Milliseconds of everything that somebody waits for."""
    page.run(WATCH)
    (page.tap if phone else page.click)(LISTEN)
    found = {"first sound": [page.wait("window.firstSound", 20.0)]}
    page.wait("window.rms() > 0.003", 20.0)
    page.press("c")
    heard, told, shown = [], [], []
    with Subscriber(player.osc) as subscriber:
        for k in range(n):
            subscriber.empty()
            page.run(f"document.querySelector('{SLIDER}').focus()")
            page.press("Home")
            came = subscriber.wait(GAIN, -60.0)
            told.append(1000.0 * came - page.run("window.movedAt"))
            heard.append(page.wait("window.quiet", 20.0))
            time.sleep(0.5)  # a slider that was just moved is left alone for a while
            page.run("window.shownAt = 0")
            begun = time.time()
            oscsend(player.osc, GAIN, "f", -(k % 5))
            shown.append(page.wait("window.shownAt") - 1000.0 * begun)
            page.wait("window.rms() > 0.001", 20.0)
    return found | {"heard in the page": heard, "told over OSC": told, "shown": shown}


def processor(browser: Browser) -> float:
    """Percent of a core that the browser's pages take."""
    root = psutil.Process(browser.process.pid)

    def spent() -> float:
        return sum(
            sum(each.cpu_times()[:2])
            for each in root.children(recursive=True)
            if "--type=renderer" in each.cmdline()
        )

    before = spent()
    time.sleep(REST_S)
    return 100.0 * (spent() - before) / REST_S


def worker_mb(player: Player) -> float:
    """Memory of the page's process, shared pages in proportion."""
    for each in psutil.Process(player.process.pid).children(recursive=True):
        if "engine.web.worker" in each.cmdline():
            return float(each.memory_full_info().pss) / 2**20
    raise RuntimeError("no process serves the page")


@contextmanager
def stage(folder: Path) -> Iterator[tuple[Player, Browser]]:
    """A session with its page, and a browser."""
    asked = ("--web", 0, "--web-name", NAME, "--seed", 7, "--no-effects")
    rule = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
    with (
        playing(*asked, home=folder / "home") as player,
        Browser(folder / "browser", rule) as browser,
    ):
        yield player, browser


def main(n: int, console: Console) -> None:
    """Measure and print."""
    delay = Table("ms", "desk", "phone, insecure origin", title="median and most")
    cost = Table("cost", "measured")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        stage(Path(folder)) as (player, browser),
    ):
        url = page_of(player)
        time.sleep(3.0)
        cost.add_row("page's process, no page yet", f"{worker_mb(player):.0f} MB")
        columns = []
        for phone in (False, True):
            where = url.replace("127.0.0.1", NAME) if phone else url
            page = opened(browser, where, phone=phone)
            columns.append(delays(page, player, n, phone=phone))
            listening = worker_mb(player)
            page.close()
        for name in columns[0]:
            delay.add_row(name, *(shown_ms(column[name]) for column in columns))
        cost.add_row("the same, with the map and a listener", f"{listening:.0f} MB")
        for row in costs(opened(browser, url, phone=False), browser):
            cost.add_row(*row)
    console.print(delay, cost)
    console.print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def costs(page: Page, browser: Browser) -> Iterator[tuple[str, str]]:
    """Weight, first paint, and what a page takes while it is seen and while not."""
    weight = page.run(
        "performance.getEntriesByType('resource').filter((e) => "
        "!e.name.includes('/api/')).reduce((sum, e) => sum + e.transferSize, "
        "performance.getEntriesByType('navigation')[0].transferSize)"
    )
    yield "weight of the page", f"{weight / 1000:.0f} kB"
    paint = page.run(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    yield "first paint", f"{paint:.0f} ms"
    yield "processor, seen", f"{processor(browser):.1f} %"
    page.run(
        "(() => { Object.defineProperty(document, 'hidden', {value: true});"
        "document.dispatchEvent(new Event('visibilitychange')); })()"
    )
    yield "processor, hidden", f"{processor(browser):.1f} %"


def shown_ms(found: Sequence[float]) -> str:
    """Median and most, or the only one."""
    if len(found) == 1:
        return f"{found[0]:.0f}"
    return f"{statistics.median(found):.0f} and {max(found):.0f}"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, Console())
