"""The sky in a real browser, of a session that plays: hear, steer, drop a sound."""

import base64
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.compose.likeness import point_of
from engine.osc.client import OscClient
from engine.web.space import Space
from model.inference import TimbreModel
from model.timbre_map import TimbreMap, load_map, spectra_of
from tests.support.browser import CHROMIUM, DESK, PHONE, Browser, Page
from tests.support.playing import Player, playing
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

MAPPED = "document.body?.classList.contains('mapped')"
HEARD = """(() => {
  const begun = AudioBufferSourceNode.prototype.start;
  window.heard = [];
  AudioBufferSourceNode.prototype.start = function (...args) {
    const samples = this.buffer.getChannelData(0);
    let power = 0;
    for (const sample of samples) power += sample * sample;
    window.heard.push([this.buffer.duration, Math.sqrt(power / samples.length)]);
    return begun.apply(this, args);
  };
})()"""  # what the page lets sound: seconds, and amplitude


@pytest.fixture(scope="module")
def model() -> TimbreModel:
    return TimbreModel.load()


@pytest.fixture(scope="module")
def timbre_map(model: TimbreModel) -> TimbreMap:
    return load_map(model)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    home = tmp_path_factory.mktemp("home")
    with playing("--web", 0, "--seed", 7, "--no-effects", home=home) as player:
        yield player


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def opened(
    browser: Browser, session: Player, size: tuple[int, int] = DESK, *, touch: bool
) -> Page:
    page = browser.page(size, touch=touch)
    page.before_load(HEARD)
    page.open(url_of(session))
    page.wait(MAPPED, 60)
    page.wait("document.querySelector('#sky .title').textContent")
    return page


def url_of(session: Player) -> str:
    found = re.search(r"page: (http://\S+)", session.said)
    assert found is not None
    return found[1]


def asked(session: Player, *names: str) -> dict[str, tuple[object, ...]]:
    return dict(OscClient("127.0.0.1", session.osc).ask(names))


def point(session: Player) -> NDArray[np.float32]:
    return np.array(asked(session, "point")["point"], np.float32)


def apart_db(
    model: TimbreModel, z: NDArray[np.float32], other: NDArray[np.float32]
) -> float:
    """How far the sounds of two points are apart, in the 64 bands of the map."""
    spectra = spectra_of(model.decode(np.stack([z, other])), model.axis)
    return float(np.sqrt(np.mean((spectra[0] - spectra[1]) ** 2)))


def far_sound(
    model: TimbreModel, timbre_map: TimbreMap, here: NDArray[np.float32]
) -> int:
    """A sound of the map's inner part that is far from a point."""
    inner = np.flatnonzero(np.abs(timbre_map.places).max(axis=1) < 0.75)
    here_spectrum = spectra_of(model.decode(here[None]), model.axis)
    away = np.square(timbre_map.spectra[inner] - here_spectrum).mean(axis=1)
    return int(inner[np.argsort(away)[int(0.9 * len(inner))]])


def pixel(page: Page, place: NDArray[np.float32]) -> tuple[float, float]:
    """Where a place of the map is on the screen."""
    x, y = (float(value) for value in place)
    found = page.run(
        f"import('/js/sky.js').then(({{ field }}) => field.toScreen([{x}, {y}]))"
    )
    return float(found[0]), float(found[1])


def pixel_at_rest(page: Page, place: NDArray[np.float32]) -> tuple[float, float]:
    """Where a place of the map is once the page has been laid out."""
    before, now = None, pixel(page, place)
    while now != before:
        time.sleep(0.4)
        before, now = now, pixel(page, place)
    return now


def test_a_click_hears_a_sound_in_the_page_alone(
    browser: Browser, session: Player, timbre_map: TimbreMap
) -> None:
    page = opened(browser, session, touch=False)
    before = asked(session, "song/like", "now")
    page.click_at(pixel_at_rest(page, timbre_map.places[2100]))
    page.wait("window.heard.length === 1", 30)
    seconds, amplitude = page.run("window.heard[0]")
    assert seconds == pytest.approx(2.0, abs=0.01)
    assert amplitude > 0.01
    told = page.wait("document.querySelector('.found .words').textContent")
    assert re.fullmatch(r"pitch \S+ k?Hz · brightness \S+ k?Hz · weirdness \S+", told)
    after = asked(session, "song/like", "now")
    assert after["song/like"] == before["song/like"]
    assert after["now"][0] == before["now"][0]
    assert page.errors == []
    page.close()


@pytest.mark.parametrize("touch", [False, True], ids=["mouse", "finger"])
def test_a_drag_steers_the_music_to_a_sound(
    browser: Browser,
    session: Player,
    model: TimbreModel,
    timbre_map: TimbreMap,
    touch: bool,
) -> None:
    page = opened(browser, session, PHONE if touch else DESK, touch=touch)
    start, number = point(session), asked(session, "now")["now"][0]
    goal = far_sound(model, timbre_map, start)
    begin, end = (
        (0.5 * page.run("innerWidth"), 0.5 * page.run("innerHeight")),
        pixel_at_rest(page, timbre_map.places[goal]),
    )
    if touch:
        steps = np.linspace(begin, end, 8)
        page.touch([(float(x), float(y)) for x, y in steps])
    else:
        page.drag(begin, end)
    wait_until(lambda: asked(session, "song/like")["song/like"] != ("",))
    wait_until(lambda: asked(session, "now")["now"][0] != number)
    meant = point_of(str(asked(session, "song/like")["song/like"][0]), 32)
    time.sleep(8.0)  # one song has given way to the other
    now = point(session)
    assert apart_db(model, meant, timbre_map.z[goal]) < 6.0, "a star beside it at most"
    assert apart_db(model, now, meant) < 0.6 * apart_db(model, start, meant)
    page.wait("!document.querySelector('.tools').children[1].hidden")
    OscClient("127.0.0.1", session.osc).send("like")
    page.close()


def test_keys_alone_hear_a_sound_and_steer_to_it(
    browser: Browser, session: Player
) -> None:
    page = opened(browser, session, touch=False)
    page.run("document.querySelector('#sky .surface').focus()")
    words = "document.querySelector('.found .words').textContent"
    page.press("Enter", text="\r")
    page.wait("window.heard.length === 1", 30)
    first = page.wait(words)
    page.press("ArrowLeft")
    page.wait(f"{words} !== {json.dumps(first)}")
    page.press("g")
    wait_until(lambda: asked(session, "song/like")["song/like"] != ("",))
    page.press("f")
    page.wait("document.body.classList.contains('bare')")
    hidden = "!document.querySelector('#sky .head').checkVisibility()"
    assert page.run(hidden), "nothing but the sky"
    page.press("Escape")
    page.wait("!document.body.classList.contains('bare')")
    OscClient("127.0.0.1", session.osc).send("like")
    page.close()


ZOOM = "import('/js/sky.js').then(({ field }) => field.zoom)"


def test_the_map_comes_nearer_by_wheel_and_keys(
    browser: Browser, session: Player, timbre_map: TimbreMap
) -> None:
    page = opened(browser, session, touch=False)
    wait_until(lambda: asked(session, "song/like")["song/like"] == ("",))
    number = 2100
    at = pixel_at_rest(page, timbre_map.places[number])
    page.wheel(at, -300)
    zoom = page.wait(f"{ZOOM}.then((zoom) => zoom > 1.5 && zoom)")
    assert pixel(page, timbre_map.places[number]) == pytest.approx(at, abs=2.0)
    page.click_at(at)  # what is seen there is what is heard
    page.wait("window.heard.length === 1", 30)
    page.press("z")
    page.wait(f"{ZOOM}.then((now) => now > 1.2 * {zoom})")
    page.press("0")
    page.wait(f"{ZOOM}.then((zoom) => zoom === 1)")
    assert pixel(page, timbre_map.places[number]) == pytest.approx(at, abs=0.5)
    hidden = "[...document.querySelectorAll('.tools button')].at(-1).hidden"
    assert page.run(hidden)
    assert asked(session, "song/like")["song/like"] == ("",)
    assert page.errors == []
    page.close()


def test_two_fingers_zoom_and_steer_nothing(
    browser: Browser, session: Player, timbre_map: TimbreMap
) -> None:
    page = opened(browser, session, PHONE, touch=True)
    wait_until(lambda: asked(session, "song/like")["song/like"] == ("",))
    middle = (180.0, 400.0)
    page.pinch(middle, [60, 90, 120, 180])
    assert page.run(ZOOM) == pytest.approx(3.0, rel=0.05)
    page.pinch(middle, [180, 120, 60, 20])
    page.wait(f"{ZOOM}.then((zoom) => zoom === 1)")
    assert asked(session, "song/like")["song/like"] == ("",)
    assert page.run("window.heard.length") == 0
    page.tap(".tools button:nth-child(3)")
    tools = "document.querySelector('.tools').textContent"
    page.wait(f"{tools}.includes('Colour: brightness')")  # a tap clicks later
    assert "kHz" in page.run(tools)
    assert page.errors == []
    page.close()


def test_a_sound_file_is_placed_and_started_from(
    browser: Browser, session: Player, model: TimbreModel, timbre_map: TimbreMap
) -> None:
    page = opened(browser, session, touch=False)
    start = point(session)
    # Two sounds 17 dB apart, so that one is far from wherever the music just is.
    goal = max((1815, 2091), key=lambda n: apart_db(model, timbre_map.z[n], start))
    space = Space(model)
    sound = space.sound(goal)
    assert sound is not None
    content = base64.b64encode(space.audition(sound["like"])).decode()
    page.run(
        "(() => { const bytes = Uint8Array.from(atob("
        f"'{content}'), (c) => c.charCodeAt(0));"
        "const data = new DataTransfer();"
        "data.items.add(new File([bytes], 'bell.flac'));"
        "dispatchEvent(new DragEvent('drop', {dataTransfer: data})); })()"
    )
    told = page.wait("document.querySelector('.found .words').textContent", 60)
    assert told == "bell.flac lies here."
    page.click(".found button:nth-last-child(2)")
    page.wait("window.heard.length === 1", 30)
    page.click(".found button:last-child")
    wait_until(lambda: asked(session, "song/like")["song/like"] != ("",))
    meant = point_of(str(asked(session, "song/like")["song/like"][0]), 32)
    assert apart_db(model, meant, timbre_map.z[goal]) < 6.0
    time.sleep(8.0)
    assert apart_db(model, point(session), meant) < 0.6 * apart_db(model, start, meant)
    OscClient("127.0.0.1", session.osc).send("like")
    page.close()


def test_what_is_no_sound_is_refused_and_the_music_is_unharmed(session: Player) -> None:
    url = url_of(session)

    def status(path: str, body: bytes | None = None) -> tuple[int, str]:
        request = urllib.request.Request(f"{url}{path}", body)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    for body in (b"", b"not a sound", b"fLaC" + bytes(1000), b"RIFF" * 500):
        code, text = status("api/space/hear", body)
        assert code == 400
        assert "/tmp" not in text
    for path in ("sounds/5000", "place/nowhere", "audition/" + "A" * 40):
        assert status(f"api/space/{path}")[0] in (400, 404)
    document = json.loads(status("api/space")[1])
    assert document["points"] == 5000
    assert asked(session, "playing")["playing"] == (True,)


def test_a_hidden_page_is_sent_nothing_and_draws_nothing(
    browser: Browser, session: Player
) -> None:
    page = opened(browser, session, touch=False)
    page.wait("(window.frames_seen = 0, true)")
    page.run(
        "import('/js/session.js').then(({ session }) => "
        "session.onSpectrum(() => { window.frames_seen += 1; }))"
    )
    page.wait("window.frames_seen > 5", 30)
    other = browser.page()  # in front of it
    page.run(
        "(() => { Object.defineProperty(document, 'hidden', {value: true});"
        "document.dispatchEvent(new Event('visibilitychange'));"
        "window.frames_seen = 0; })()"
    )
    time.sleep(1.0)
    seen = page.run("window.frames_seen")
    time.sleep(2.0)
    assert page.run("window.frames_seen") == seen
    other.close()
    page.close()
