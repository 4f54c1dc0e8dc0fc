"""Lines for the user about what came over OSC, at a bounded rate."""

from engine.control.callbacks import Say
from engine.osc.request import OscRequest

EVERY_S = 10.0  # between two lines of one reason
MAX_REASONS = 64


class Reports:
    """Tells the user what went wrong; one reason at most every ten seconds.

    Args:
        say: takes a line for the user.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._told: dict[str, tuple[float, int]] = {}  # reason -> when, how many since

    def tell(self, reason: str, request: OscRequest) -> None:
        """Tell of a request, or count it when the reason was told of late."""
        told_at, n_since = self._told.get(reason, (float("-inf"), 0))
        if request.now - told_at < EVERY_S:
            self._told[reason] = (told_at, n_since + 1)
            return
        if len(self._told) > MAX_REASONS:
            self._told.clear()
        self._told[reason] = (request.now, 0)
        since = f", {n_since} more since" if n_since else ""
        where = f" {ascii(request.address)[:80]}" if request.address else ""
        self._say(f"OSC: {reason}{where}, from {request.sender[0]}{since}")
