"""The page in a real browser beside a session that plays: heard, touched, and back."""

import io
import random
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from effects.base.paths import cache_dir
from engine.web.access import Access, names_of
from tests.support.browser import CHROMIUM, DESK, PHONE, Browser, Page
from tests.support.osc import Subscriber, oscsend
from tests.support.playing import Player, playing
from tests.support.web import HEAR, Client, fuzzed, page_of, patience, served_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")

GAIN = "/latent/master/gain"
SLIDER = "#c-master-gain"
NAME = "latent.test"  # not localhost: what lies there is no secure origin
LISTEN = "[aria-keyshortcuts=l]"
DRAWER = "#transport [aria-controls=drawer]"
READY = "document.querySelector('.keep') && document.querySelector('#c-master-gain')"


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    home = tmp_path_factory.mktemp("home")
    asked = ["--seed", 7, "--web", 0, "--web-name", NAME]
    with playing(*asked, home=home) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    rule = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
    with Browser(tmp_path_factory.mktemp("browser"), rule) as running:
        yield running


def opened(browser: Browser, url: str, *, phone: bool = False) -> Page:
    page = browser.page(PHONE if phone else DESK, touch=phone)
    page.before_load(HEAR)
    page.open(url)
    page.wait(READY, 30.0)
    return page


def insecure(player: Player) -> str:
    return page_of(player).replace("127.0.0.1", NAME)


@pytest.mark.parametrize("phone", [False, True], ids=["localhost", "phone in the LAN"])
def test_the_page_is_heard_and_a_control_acts(
    player: Player, browser: Browser, phone: bool
) -> None:
    page = opened(browser, insecure(player) if phone else page_of(player), phone=phone)
    press = page.tap if phone else page.click
    assert page.run("isSecureContext") is not phone
    page.run(
        "document.querySelector('[aria-keyshortcuts=l]').addEventListener('click',"
        "() => { const at = performance.now(); const look = () => window.rms?.() > 1e-4"
        "? window.firstSound = performance.now() - at : setTimeout(look, 5); look(); })"
    )
    press(LISTEN)
    first = page.wait("window.firstSound", 20.0)
    assert first < 1000.0 * patience()
    page.wait("window.rms() > 0.003", 10.0)  # what is heard is not silence
    path = page.run("import('/js/listen.js').then(m => m.listening.live.stats.path)")
    assert path == ("scheduled" if phone else "worklet")

    press(DRAWER)
    page.wait("!document.querySelector('#drawer').hidden")
    page.run(
        f"document.querySelector('{SLIDER}').addEventListener('input', (e) => {{"
        "if (Number(e.target.value) > 100) return; window.quiet = 0;"
        "const at = performance.now();"
        "window.movedAt = Date.now(); const look = () => window.rms() < 0.001"
        "? window.quiet = performance.now() - at : setTimeout(look, 5); look(); })"
    )
    heard, told = [], []
    with Subscriber(player.osc) as subscriber:
        for _ in range(3):
            subscriber.empty()
            page.run(f"document.querySelector('{SLIDER}').focus()")
            page.press("Home")
            came = subscriber.wait(GAIN, -60.0)
            heard.append(page.wait("window.quiet", 10.0))
            told.append(1000.0 * came - page.run("window.movedAt"))
            oscsend(player.osc, GAIN, "f", 0)
            page.wait("window.rms() > 0.003", 10.0)
            time.sleep(0.5)  # a slider that was just moved is left alone for a while
    # The best of some: this machine may be busy.
    assert min(heard) < 500.0 * patience(), heard
    assert min(told) < 100.0 * patience(), told

    shown = []
    page.run(
        f"new MutationObserver(() => {{ window.shownAt = Date.now(); }}).observe("
        f"document.querySelector('{SLIDER}').closest('.control').querySelector("
        "'output'), {childList: true, characterData: true, subtree: true})"
    )
    for gain in (-3, -5, -7):
        page.run("window.shownAt = 0")
        begun = time.time()
        oscsend(player.osc, GAIN, "f", gain)
        shown.append(page.wait("window.shownAt") - 1000.0 * begun)
        text = f"\u2212{-gain}\u00a0dB"
        page.wait(
            f"document.querySelector('output[for=c-master-gain]').value === '{text}'"
        )
    assert min(shown) < 100.0 * patience(), shown

    # A double click brings the default back, for everybody.
    with Subscriber(player.osc) as subscriber:
        page.click("label[for=c-master-gain]", times=2)
        subscriber.wait(GAIN, 0.0)
    assert not page.errors
    page.close()


def test_every_control_is_what_it_is(player: Player, browser: Browser) -> None:
    page = opened(browser, page_of(player))
    page.press("c")
    page.wait("!document.querySelector('#drawer').hidden")
    kinds = page.run(
        "import('/js/session.js').then(({session}) => session.controls.map((row) => {"
        "const at = document.getElementById('c-' + row.name.replaceAll('/', '-'));"
        "return [row.type, at.tagName, at.type, at.getAttribute('role'),"
        "!!document.querySelector(`label[for=${at.id}]`), at.options?.length || 0,"
        "row.choices.length]; }))"
    )
    wanted = {
        "f": ["INPUT", "range", None],
        "T": ["INPUT", "checkbox", "switch"],
        "s": ["SELECT", "select-one", None],
    }
    for kind, *found, has_label, n_options, n_choices in kinds:
        assert found == wanted[kind]
        assert has_label
        assert n_options == n_choices
    oscsend(player.osc, "/latent/width", "f", 0.5)
    # By keys alone: a switch, a choice, a number.
    with Subscriber(player.osc) as subscriber:
        for at, key, address, value in (
            ("#c-master-mute", " ", "/latent/master/mute", True),
            ("#c-master-mute", " ", "/latent/master/mute", False),
            ("#c-width", "Delete", "/latent/width", 1.0),
        ):
            page.run(f"document.querySelector('{at}').focus()")
            page.press(key, "Space" if key == " " else key)
            subscriber.wait(address, value)
    page.press("Escape")
    page.wait("document.querySelector('#drawer').hidden")
    assert page.run("document.activeElement.getAttribute('aria-controls')") == "drawer"
    page.close()


def test_a_preset_is_saved_and_loaded(player: Player, browser: Browser) -> None:
    page = opened(browser, page_of(player))
    page.press("c")
    with Subscriber(player.osc) as subscriber:
        oscsend(player.osc, "/latent/width", "f", 0.25)
        subscriber.wait("/latent/width", 0.25)
        page.click("#preset-name")
        page.type("An evening")
        page.press("Enter", "Enter", "\r")
        page.wait(
            "[...document.querySelector('#preset').options]"
            ".some((each) => each.value === 'An evening')"
        )
        oscsend(player.osc, "/latent/width", "f", 1.5)
        subscriber.wait("/latent/width", 1.5)
        page.wait("document.querySelector('#preset').value === 'An evening'")
        page.click(".presets .acts")
        subscriber.wait("/latent/width", 0.25)
        oscsend(player.osc, "/latent/width", "f", 1.0)
    page.close()


def test_a_link_to_a_song_plays_it(player: Player, browser: Browser) -> None:
    page = opened(browser, page_of(player))
    page.press("+")
    page.wait(
        "document.querySelector('[aria-keyshortcuts=\"+\"]').ariaPressed === 'true'"
    )
    oscsend(player.osc, "/latent/song/minutes", "f", 0.5)
    card = page.run(
        "import('/js/session.js').then(({session}) => "
        "session.value('/latent/song/card')[0])"
    )
    assert '"song": 0' in card
    page.run(f"location.hash = 'card=' + btoa({card!r})")
    page.wait("document.querySelector('#song button')")
    page.click("#song button")
    page.wait(
        "document.querySelector('#song audio')?.currentTime > 0.5", 60.0 * patience()
    )
    assert not page.errors
    page.close()


def test_the_page_is_light_and_quick(player: Player, browser: Browser) -> None:
    page = opened(browser, page_of(player))
    weight = page.run(
        "performance.getEntriesByType('resource').filter((e) => "
        "!e.name.includes('/api/')).reduce((sum, e) => sum + e.transferSize, "
        "performance.getEntriesByType('navigation')[0].transferSize)"
    )
    assert 20_000 < weight < 300_000
    paint = page.run(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    assert paint < 1000.0 * patience()
    origin = page_of(player)
    assert all(url.startswith((origin, "data:", "blob:")) for url in page.requests)
    page.close()


def test_a_question_mark_shows_what_the_keys_do(
    player: Player, browser: Browser
) -> None:
    page = opened(browser, page_of(player))
    page.press("?")
    page.wait("document.querySelector('dl.keys')?.checkVisibility()")
    told = page.run("document.querySelector('dl.keys').innerText")
    # Every key that a part of the page names is there.
    named = page.run(
        "[...document.querySelectorAll('[aria-keyshortcuts]:not(dialog *)')]"
        ".map((e) => e.getAttribute('aria-keyshortcuts'))"
    )
    for key in {*named} - {"Escape"}:
        assert key.replace("-", "\u2212") in told.split(), key
    assert page.run("document.activeElement.textContent") == "Keys"
    page.close()


def test_nothing_overflows_at_any_width(player: Player, browser: Browser) -> None:
    page = opened(browser, page_of(player))
    page.press("c")
    for width in (320, 360, 820, 1600):
        page.resize((width, 720))
        assert page.run("document.documentElement.scrollWidth") <= width
        assert page.run(
            "[...document.querySelectorAll('#transport button')].every((each) => {"
            "const at = each.getBoundingClientRect();"
            "return !at.width || "
            "(at.left >= 0 && at.right <= innerWidth && at.height >= 44); })"
        )
    page.close()


@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
@pytest.mark.parametrize("size", [PHONE, (820, 1180), DESK], ids=lambda size: size[0])
def test_axe_finds_no_violation(
    player: Player, browser: Browser, axe: str, size: tuple[int, int], light: bool
) -> None:
    page = browser.page(size, light=light, still=True, touch=size == PHONE)
    page.open(page_of(player))
    page.wait(READY, 30.0)
    page.run(axe)
    for press in ("", "c"):
        if press:
            page.press(press)
            page.run(
                "document.querySelectorAll('details').forEach((e) => e.open = true)"
            )
        found = page.run(
            "axe.run({resultTypes: ['violations']}).then((r) => r.violations.map("
            "(v) => v.id + ': ' + "
            "v.nodes.map((n) => n.html.slice(0, 120)).join(' | ')))"
        )
        assert found == []
    page.close()


def test_without_the_token_nothing_is_offered_that_would_be_refused(
    browser: Browser,
) -> None:
    token = "x" * 22
    seen = (
        "[...document.querySelectorAll('#transport button, .keep, .presets, .only')]"
        ".filter((e) => e.checkVisibility()).map((e) => e.ariaLabel || e.className)"
    )
    with served_page(Access(token, names_of())) as served:
        page = opened(browser, f"{served.url}/")
        page.wait("document.body.classList.contains('listening')")
        page.press("c")
        page.wait("!document.querySelector('#drawer').hidden")
        assert page.run(seen) == ["Listen here", "Close the controls", "text only"]
        assert page.run("document.querySelector('#c-master-gain').disabled")
        page.close()
        page = opened(browser, f"{served.url}/#token={token}")
        page.wait("!document.body.classList.contains('listening')")
        page.press("c")
        page.wait("!document.querySelector('#drawer').hidden")
        found = page.run(seen)
        assert {"Pause", "Next song", "keep", "Presets"} <= set(found)
        assert "text only" not in found
        page.close()


def test_fuzzed_messages_leave_the_music_alone(player: Player) -> None:
    """10,000 of them, from five connections at once."""
    rng = random.Random(9)
    url = page_of(player).replace("http", "ws") + "/ws"

    def state() -> tuple[list[Any], list[Any]]:
        with Client(url) as client:
            _, (hello,) = client.wait("/page/hello")
        values = [row["value"] for row in hello["controls"]]
        return values, hello["readings"]["/latent/status"]

    values, status = state()
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(url)) for _ in range(5)]
        for k in range(10_000):
            clients[k % 5].send_raw(fuzzed(rng))
        for client in clients:
            client.send("/latent/hop")
            client.wait("/latent/hop", timeout=60.0)
    end = time.monotonic() + 20.0 * patience()
    after, (playing_state, uptime, underruns, *_) = state()
    while uptime <= status[1] and time.monotonic() < end:
        after, (playing_state, uptime, underruns, *_) = state()
    assert after == values
    assert playing_state == "playing"
    assert uptime > status[1]
    assert underruns == status[2]


def test_the_page_comes_back_with_the_session(tmp_path: Path, browser: Browser) -> None:
    asked = ["--seed", 7, "--preset", "dark"]
    with playing(*asked, "--web", 0, home=tmp_path) as first:
        url = page_of(first)
        page = opened(browser, url)
        page.click(LISTEN)
        page.wait("window.rms?.() > 1e-4", 20.0)
        first.kill()
    page.wait("document.body.classList.contains('away')", 10.0)
    with playing(*asked, "--web", url.rpartition(":")[2], home=tmp_path):
        page.wait("!document.body.classList.contains('away')", 20.0)
        page.wait("window.rms() > 1e-4", 20.0)
        page.run("window.stayed = true")
    page.close()


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core, by npm, kept in the cache."""
    kept = cache_dir() / "tests" / "axe.min.js"
    if not kept.is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("needs npm")
        kept.parent.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            [npm, "pack", "axe-core@4", "--silent"],
            cwd=kept.parent,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if packed.returncode:
            pytest.skip("npm cannot be reached")
        archive = kept.parent / packed.stdout.split()[-1]
        with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as tar:
            script = tar.extractfile("package/axe.min.js")
            assert script is not None
            kept.write_bytes(script.read())
        archive.unlink()
    return kept.read_text()
