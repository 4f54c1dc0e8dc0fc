"""The journal's rows of what the callback did: gains, fades and concealment."""

import base64
import threading
from collections.abc import Mapping

import numpy as np

from engine.control.callbacks import Event, OnEvent
from engine.control.controls import CONTROLS, Snapshot
from engine.live.callback_log import CallbackLog, LogEntry
from engine.live.fade import FadeRequest
from engine.live.loop_crossfade import Concealing
from engine.live.metrics import Metrics
from engine.sound.concealment import ConcealmentRecipe


class ChangeLog:
    """Reports the deeds of the callback, each with its sample, and underruns.

    `report` is to be called before the callback's logs are full.

    Args:
        logs: of the callback's parts.
        metrics: whose underruns are reported.
        initial: controls at the beginning of the session.
        on_event: takes rows for the journal.
    """

    def __init__(
        self,
        logs: tuple[CallbackLog, ...],
        metrics: Metrics,
        initial: Snapshot,
        on_event: OnEvent,
    ) -> None:
        self._logs, self._metrics, self._on_event = logs, metrics, on_event
        self._gains = _gains_in(initial)
        self._recipe: ConcealmentRecipe | None = None  # the last that was reported
        self._n_underruns = 0  # reported so far
        self._lock = threading.Lock()  # between those who have it report

    def report(self, position: int) -> None:
        """Any thread but the callback: report what is new since the last call.

        Args:
            position: that the session has come to.
        """
        with self._lock:
            self._report(position)

    def _report(self, position: int) -> None:
        for log in self._logs:
            entries, lost = log.take()
            if lost:
                self._on_event({"at": position, "lost": lost})
            for entry in entries:
                if (row := self._row(entry)) is not None:
                    self._on_event({"at": entry.at, **row})
        n_new = self._metrics.underruns - self._n_underruns
        if n_new:
            self._n_underruns += n_new
            self._on_event({"at": position, "underrun": n_new})

    def _row(self, entry: LogEntry) -> Event | None:
        deed = entry.deed
        if isinstance(deed, FadeRequest):
            args: list[object] = [deed.seconds, deed.level]
            if deed.start is not None:
                args += [deed.start, deed.eased]
            return {"command": deed.kind.value, "args": args}
        if isinstance(deed, Concealing):
            return {"conceal": self._concealing(deed)}
        assert isinstance(deed, Mapping)
        gains = _gains_in(deed)
        turned = {k: v for k, v in gains.items() if self._gains[k] != v}
        self._gains = gains
        return {"set": turned} if turned else None

    def _concealing(self, deed: Concealing) -> Event:
        row: dict[str, object] = {"music": deed.rises}
        if deed.concealment is None:
            return row
        row["gain"] = deed.concealment.gain
        recipe = deed.concealment.recipe
        if recipe is None:
            return row
        row |= {"position": recipe.position, "clarity": recipe.clarity}
        if recipe is not self._recipe:
            self._recipe = recipe
            powers = np.asarray(recipe.bands, "<f4").tobytes()
            row["bands"] = base64.b64encode(powers).decode("ascii")
        return row


def _gains_in(snapshot: Mapping[str, object]) -> dict[str, object]:
    """Return the controls that the mixer applies."""
    return {k: v for k, v in snapshot.items() if CONTROLS[k].acts == "block"}
