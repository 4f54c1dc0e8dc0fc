"""The view of `latent play` on a terminal: a picture of the session, and its keys.

Threads: one draws four times a second, one waits for keys; they use the same status and
commands as OSC. The main thread starts and ends them, and restores the terminal. A
terminal that accepts no more output may stop the drawing, never the music or the end.
"""

import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self, TextIO

from effects.base.errors import LatentError
from engine.cli.keys import Keys, in_foreground, keys
from engine.control.commands import Actions
from engine.control.controls import Controls

REFRESH_S = 0.25
KEY_POLL_S = 0.1
CLOSE_S = 1.0
KEEP_S = 600.0
VOLUME_STEP_DB = 1.0
QUIT_FADE_MIN = 2.0 / 60.0
MAX_NEWS = 20  # lines that are printed again when the view is closed
RESTORE = b"\x1b[?25h\x1b[?1049l"  # the cursor, and the screen as it was


def terminal() -> bool:
    """Whether stdout is a terminal with this process in the foreground."""
    return os.environ.get("TERM", "dumb") != "dumb" and _is_ours(sys.stdout)


def _is_ours(stream: TextIO | None) -> bool:
    try:
        return stream is not None and in_foreground(stream.fileno())
    except (OSError, ValueError):  # closed
        return False


class View:
    """Shows a session and takes its keys, from `begin` to the end of the `with`.

    Args:
        session: whose status is shown, and which the keys command.
        controls: the values to show and set.
        tell: prints a line once the view is closed.
    """

    def __init__(
        self, session: Actions, controls: Controls, tell: Callable[[str], None]
    ) -> None:
        self._session, self._controls, self._tell = session, controls, tell
        self._news: deque[str] = deque(maxlen=MAX_NEWS)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open = ExitStack()
        self._leaving = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_shown(self) -> bool:
        """Whether the view is on the screen."""
        return bool(self._threads) and not self._stopping.is_set()

    @property
    def hangs(self) -> bool:
        """Once closed: whether the terminal accepts no output.

        The process must then print nothing and leave by `os._exit`, or it would wait
        for the thread that draws.
        """
        return any(thread.is_alive() for thread in self._threads)

    def say(self, line: str) -> None:
        """Any thread: show a line; it is printed again when the view is closed."""
        self._news.append(line)

    def begin(self) -> None:
        """Main thread: take over the terminal, once."""
        if self._threads:
            return
        self._threads.append(threading.Thread(target=self._draw, name="view"))
        if _is_ours(sys.stdin):
            hit = self._open.enter_context(keys())
            waiter = threading.Thread(target=self._wait, args=(hit,), name="keys")
            self._threads.append(waiter)
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def close(self) -> None:
        """Main thread: restore the terminal, and print the last lines."""
        was_shown = self.is_shown
        self._stopping.set()
        for thread in self._threads:
            thread.join(CLOSE_S)
        if self.hangs:
            self.give_back()
            return
        self._open.close()
        if was_shown and sys.stderr.isatty():
            for line in self._news:
                self._tell(line)

    def give_back(self) -> None:
        """Main thread, before a sudden end: restore the terminal without waiting."""
        self._stopping.set()
        with suppress(OSError, ValueError):
            self._open.close()
            handle = sys.stdout.fileno()
            if self._threads and select.select([], [handle], [], 0.2)[1]:
                os.write(handle, RESTORE)

    # The threads.

    def _draw(self) -> None:
        from rich.console import Console
        from rich.live import Live

        from engine.cli.screen import ScreenState, draw

        console = Console()
        live = Live(
            console=console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        try:
            with live:
                while True:
                    if _is_ours(sys.stdout):
                        state = ScreenState(
                            self._session.status(),
                            self._controls.snapshot,
                            self._news[-1] if self._news else "",
                            plain=not console.encoding.startswith("utf"),
                        )
                        live.update(draw(state), refresh=True)
                    if self._stopping.wait(REFRESH_S):
                        return
        except OSError:  # the terminal is gone; the music goes on
            self._stopping.set()

    def _wait(self, hit: Keys) -> None:
        while not self._stopping.is_set():
            if not _is_ours(sys.stdin):  # reading would stop a background job
                self._stopping.wait(KEY_POLL_S)
                continue
            try:
                hit.renew()
                self._act(hit.next(KEY_POLL_S))
            except LatentError as error:
                self.say(str(error))
            except OSError:
                return

    def _act(self, key: str) -> None:
        session = self._session
        if key == "n":
            session.command("next")
        elif key == "e":
            session.command("effects/next")
        elif key == " ":
            session.command("play" if session.status().is_paused else "pause")
        elif key == "h":
            self._controls.set("hold", not self._controls.snapshot["hold"])
        elif key == "r":
            is_recording = session.status().recording is not None
            session.command("record/stop" if is_recording else "record/start")
        elif key == "k":
            session.command("keep", KEEP_S)
        elif key in ("+", "=", "-", "_"):
            step = VOLUME_STEP_DB if key in "+=" else -VOLUME_STEP_DB
            gain = float(self._controls.snapshot["master/gain"])
            self._controls.set("master/gain", gain + step)
        elif key == "q":
            self._quit()

    def _quit(self) -> None:
        """End with a fade; a second time, end at once."""
        if self._leaving:
            self._session.command("stop")
            return
        self._leaving = True
        self._session.command("sleep", QUIT_FADE_MIN)
