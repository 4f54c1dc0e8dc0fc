"""The journal's rows of what the mixer saw: changed gains and underruns."""

from engine.control.callbacks import OnEvent
from engine.control.controls import CONTROLS, Snapshot
from engine.live.metrics import Metrics
from engine.live.mixer import MAX_CHANGES, Mixer


class ChangeLog:
    """Reports the sample at which the mixer saw each changed gain, and underruns.

    One thread calls it, often enough that the mixer keeps all changes until then.

    Args:
        mixer: whose changes are reported.
        metrics: whose underruns are reported.
        initial: controls at the beginning of the session.
        on_event: takes rows for the journal.
    """

    def __init__(
        self,
        mixer: Mixer,
        metrics: Metrics,
        initial: Snapshot,
        on_event: OnEvent,
    ) -> None:
        self._mixer, self._metrics, self._on_event = mixer, metrics, on_event
        self._gains = _gains_in(initial)
        self._n_changes = 0  # reported so far
        self._n_underruns = 0  # reported so far

    def report(self) -> None:
        """Report what is new since the last call."""
        seen = self._mixer.n_changes
        for number in range(max(self._n_changes, seen - MAX_CHANGES), seen):
            at, snapshot = self._mixer.changes[number % MAX_CHANGES]
            gains = _gains_in(snapshot)
            turned = {k: v for k, v in gains.items() if self._gains[k] != v}
            if turned:
                self._gains = gains
                self._on_event({"at": at, "set": turned})
        self._n_changes = seen
        n_new = self._metrics.underruns - self._n_underruns
        if n_new:
            self._n_underruns += n_new
            self._on_event({"at": self._mixer.position, "underrun": n_new})


def _gains_in(snapshot: Snapshot) -> dict[str, object]:
    """Return the controls that the mixer applies."""
    return {k: v for k, v in snapshot.items() if CONTROLS[k].acts == "block"}
