"""The sleep timer: a session that ends by itself, in a fade to silence."""

from engine.live.fade import FadeKind
from engine.live.session import Session

RETURN_S = 1.0  # in which the level comes back when a fade is taken back
TAIL_S = 0.3  # of silence after the fade, before the end


class SleepTimer:
    """Fades a session to silence and ends it.

    Args:
        session: to end.
        fade_s: seconds of the fade at the end; None fades all the time.
    """

    def __init__(self, session: Session, fade_s: float | None = None) -> None:
        self._session, self._fade_s = session, fade_s
        self._fade_at: tuple[float, float] | None = None  # seconds played, its length
        self._end_at: float | None = None  # seconds played, once it fades

    @property
    def remaining_s(self) -> float:
        """Seconds until the end; 0 when the timer does not run."""
        end_at = self._end_at
        if self._fade_at is not None:
            end_at = sum(self._fade_at)
        return 0.0 if end_at is None else max(0.0, end_at - self._session.seconds)

    def set(self, seconds: float, after: float = 0.0) -> None:
        """Have the session end.

        Args:
            seconds: until then, from `after` on; 0 or less: never.
            after: seconds from now on, as of a rise, in which nothing fades.
        """
        if self._end_at is not None:
            self._end_at = None
            self._session.fade(FadeKind.SLEEP, RETURN_S, 1.0)
        self._fade_at = None
        if seconds <= 0.0:
            return
        fade = seconds if self._fade_s is None else min(self._fade_s, seconds)
        wait = after + seconds - fade
        if wait <= 0.0:
            self._begin(fade)
        else:
            self._fade_at = self._session.seconds + wait, fade

    def poll(self) -> None:
        """The session's thread: begin the fade, or end the session, in its time."""
        now = self._session.seconds
        if self._fade_at is not None and now >= self._fade_at[0]:
            self._begin(self._fade_at[1])
        if self._end_at is not None and now >= self._end_at:
            self._end_at = None
            self._session.stop()

    def _begin(self, fade: float) -> None:
        self._fade_at = None
        self._session.fade(FadeKind.SLEEP, fade, 0.0)
        self._end_at = self._session.seconds + fade + TAIL_S
