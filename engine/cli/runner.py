"""An app under signals and, on a terminal, with the view."""

import contextlib
import os
import signal
import sys
import time
from datetime import datetime
from types import FrameType

import click

from engine.app.app import App
from engine.app.options import AppOptions
from engine.cli.signals import END_SIGNALS, Stopped, hand_over
from engine.cli.view import View, terminal
from engine.graph import Graph

CLOCK_S = 10.0  # between looks at the clock while waiting


def _nothing() -> None:
    """What is done in each round of the session when nothing is shown."""


def say(line: str) -> None:
    """Print a line for the user, if there is anybody to read it.

    The reader of a pipe may have gone, the disk of a log be full: the music goes on.
    """
    with contextlib.suppress(OSError, ValueError):
        click.echo(f"latent: {line}", err=True)


def wait_until(then: datetime) -> bool:
    """Wait for a time of day; returns False when a signal ended the waiting.

    The clock is read again and again, since it may be set, or the machine sleep.
    """
    say(f"waiting until {then:%H:%M:%S}; Ctrl-C ends")
    try:
        while (left := (then - datetime.now()).total_seconds()) > 0.0:
            time.sleep(min(left, CLOCK_S))
    except Stopped:
        return False
    return True


class Runner:
    """Runs an app in the foreground until it ends.

    Lines for the user go to the view while it is shown. Once it plays, a first signal
    ends the music softly and a second one the process; before that, the first one
    raises, as in every command.

    Args:
        graph: what sounds.
        options: of the app.
        plain: print lines, also on a terminal.
    """

    def __init__(self, graph: Graph, options: AppOptions, *, plain: bool) -> None:
        self._shown: View | None = None  # once there is one
        self._app = App(graph, options, self._say)
        self._view = self._shown = View(self._app.commands, graph.controls, say)
        self._with_view = terminal() and not plain

    def run(self) -> None:
        """Play; returns when it has ended.

        Raises:
            LatentError: see `App.run`.
        """
        poll = self._view.begin if self._with_view else _nothing
        with self._view:
            self._app.run(poll, self._end_softly_on_signals)
        if self._view.hangs:
            os._exit(0)  # all files are closed, and no line can be printed
        say(self._summary())

    def _say(self, line: str) -> None:
        if self._shown is not None and self._shown.is_shown:
            self._shown.say(line)
            if sys.stderr.isatty():
                return
        say(line)

    def _end_softly_on_signals(self) -> None:
        for number in END_SIGNALS:
            signal.signal(number, self._stop)
        if (missed := hand_over()) is not None:
            self._stop(missed, None)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        signal.signal(number, self._end_at_once)
        self._app.session.stop()

    def _end_at_once(self, number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._view.give_back()
        os.kill(os.getpid(), number)

    def _summary(self) -> str:
        session, metrics = self._app.session, self._app.session.metrics
        line = (
            f"played {session.seconds:.1f} s, {metrics.underruns} underruns, "
            f"{metrics.device_xruns} device xruns"
        )
        if n := metrics.device_losses:
            line += f", {n} device losses ({session.device.away_s:.1f} s without one)"
        if (radio := self._app.radio) is not None:
            counts = radio.counts
            line += f", {counts.served} listeners" if radio.port else ""
            line += f", {counts.slow} too slow" if counts.slow else ""
            if lost := counts.dropped + counts.lost:
                line += f", {lost / session.graph.sample_rate:.1f} s not streamed"
        if n := metrics.errors:
            line += f", {n} errors in the mixer"
        if n := metrics.bad_frames:
            line += f", {n} frames that were not finite"
        if n := metrics.silences:
            line += f", {n} songs left, since they were silent"
        return line
