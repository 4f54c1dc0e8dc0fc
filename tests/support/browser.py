"""A real browser, headless Chromium, driven by its DevTools protocol.

What is clicked, tapped and typed goes through the browser's own input, so a page takes
it for a person's: sound may start, and a touch is a touch.
"""

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium")
START_S = 30.0
ANSWER_S = 30.0
PHONE = (360, 740)
DESK = (1600, 900)


class PageError(AssertionError):
    """Something went wrong in the page."""


class Browser:
    """A headless Chromium with a profile of its own, until it is closed.

    Args:
        profile: folder for its files.
        flags: further ones of its command line.
    """

    def __init__(self, profile: Path, *flags: str) -> None:
        assert CHROMIUM is not None
        self._profile = profile
        self.process = subprocess.Popen(
            [
                CHROMIUM,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
                "--remote-debugging-port=0",
                "--force-device-scale-factor=1",
                f"--user-data-dir={profile}",
                *flags,
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._pages: list[Page] = []
        self._port = self._found_port()

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser."""
        for page in self._pages:
            page.end()
        self.process.kill()
        self.process.wait()

    def page(
        self,
        size: tuple[int, int] = DESK,
        *,
        touch: bool = False,
        light: bool = False,
        still: bool = False,
    ) -> "Page":
        """Open an empty page.

        Args:
            size: of its window, in pixels.
            touch: whether it is a phone's.
            light: whether the light theme is preferred.
            still: whether reduced motion is preferred.
        """
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}/json/new", method="PUT"
        )
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            url = json.load(answer)["webSocketDebuggerUrl"]
        page = Page(url, size, touch=touch, light=light, still=still)
        self._pages.append(page)
        return page

    def _found_port(self) -> int:
        path = self._profile / "DevToolsActivePort"
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if path.exists() and (text := path.read_text()).count("\n"):
                return int(text.split()[0])
            time.sleep(0.05)
        raise TimeoutError("Chromium did not start")


class Page:
    """One tab."""

    def __init__(
        self, url: str, size: tuple[int, int], *, touch: bool, light: bool, still: bool
    ) -> None:
        self._stack = ExitStack()
        opened = connect(url, max_size=1 << 28, max_queue=None)
        self._socket: ClientConnection = self._stack.enter_context(opened)
        self._number = 0
        self.errors: list[str] = []  # exceptions and errors of the console
        self.requests: list[str] = []  # URLs
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(size, touch=touch)
        features = {
            "prefers-color-scheme": "light" if light else "dark",
            "prefers-reduced-motion": "reduce" if still else "no-preference",
        }
        if touch:
            self.call("Emulation.setTouchEmulationEnabled", enabled=True)
            features |= {"hover": "none", "pointer": "coarse"}
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": k, "value": v} for k, v in features.items()],
        )

    def close(self) -> None:
        """Close the tab."""
        self.call("Page.close")
        self.end()

    def end(self) -> None:
        """Let go of the tab."""
        self._stack.close()

    def resize(self, size: tuple[int, int], *, touch: bool = False) -> None:
        """Give the window another size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=1,
            mobile=touch,
        )

    def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol."""
        self._number += 1
        number = self._number
        self._socket.send(
            json.dumps({"id": number, "method": method, "params": params})
        )
        while True:
            message = json.loads(self._socket.recv(timeout=ANSWER_S))
            if message.get("id") == number:
                if "error" in message:
                    raise PageError(f"{method}: {message['error']}")
                return message["result"]
            self._note(message)

    def before_load(self, script: str) -> None:
        """Run a script in every document before its own."""
        self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    def open(self, url: str) -> None:
        """Load a page and wait until it is whole."""
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== ''")

    def run(self, script: str) -> Any:
        """Return what an expression comes to; promises are waited for.

        Raises:
            PageError: it threw.
        """
        answer = self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=False,
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            raise PageError(f"{script:.200}: {text}")
        return answer["result"].get("value")

    def wait(self, script: str, timeout: float = 15.0) -> Any:
        """Wait until an expression is true; returns what it comes to.

        Raises:
            PageError: it is not, by then.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                value = self.run(script)
                if value or value == {}:  # an element comes as an empty object
                    return value
            except PageError as error:
                if "context" not in str(error):  # a document that goes
                    raise
            time.sleep(0.02)
        raise PageError(f"never true: {script:.300} {self.errors[-3:]}")

    def place(self, selector: str) -> tuple[float, float]:
        """Where the middle of an element is, scrolled into view."""
        found = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        return float(found[0]), float(found[1])

    def click(self, selector: str, times: int = 1) -> None:
        """Click the middle of an element with the mouse."""
        self.click_at(self.place(selector), times)

    def click_at(self, at: tuple[float, float], times: int = 1) -> None:
        """Click at a place of the window."""
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self._mouse(kind, at, count)

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        """Drag with the mouse, in some steps."""
        self._mouse("mousePressed", start, 1)
        for k in range(1, 11):
            x, y = (a + (b - a) * k / 10 for a, b in zip(start, stop, strict=True))
            self._mouse("mouseMoved", (x, y), 1)
        self._mouse("mouseReleased", stop, 1)

    def tap(self, selector: str) -> None:
        """Tap the middle of an element with a finger."""
        x, y = self.place(selector)
        self.touch([(x, y)])

    def touch(self, places: Sequence[tuple[float, float]]) -> None:
        """Put a finger down, move it over places, and lift it."""
        for k, (x, y) in enumerate(places):
            kind = "touchMove" if k else "touchStart"
            point = [{"x": x, "y": y}]
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=point)
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def pinch(self, middle: tuple[float, float], apart: Sequence[float]) -> None:
        """Put two fingers down side by side and move them, so many pixels apart."""
        x, y = middle
        for k, distance in enumerate(apart):
            ends = (x - distance / 2, x + distance / 2)
            points = [{"x": end, "y": y, "id": i} for i, end in enumerate(ends)]
            kind = "touchMove" if k else "touchStart"
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def wheel(self, at: tuple[float, float], pixels: float) -> None:
        """Turn the wheel at a place; down is positive."""
        self.call(
            "Input.dispatchMouseEvent",
            type="mouseWheel",
            x=at[0],
            y=at[1],
            deltaX=0,
            deltaY=pixels,
        )

    def press(self, key: str, code: str = "", text: str | None = None) -> None:
        """Press and release a key, as `ArrowRight`, `n` or a space."""
        printed = (key if len(key) == 1 else "") if text is None else text
        common = {"key": key, "code": code or key}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=printed, **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Type a text into what has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        """Write a picture of the window."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def _mouse(self, kind: str, at: tuple[float, float], count: int) -> None:
        self.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=at[0],
            y=at[1],
            button="left",
            buttons=0 if kind == "mouseReleased" else 1,
            clickCount=count,
        )

    def _note(self, message: Any) -> None:
        method, params = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
            self.errors.append(str(text))
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(
                " ".join(
                    str(a.get("value", a.get("description"))) for a in params["args"]
                )
            )
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
