"""A clock of simulated time, by which a whole session runs fast and always the same.

The session's threads are real, but only one of them runs at a time: a thread goes on
until it waits, and then the one whose time has come first does. Time passes only while
all of them wait. What decides is the order of times and of starts, never the machine.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

LONGEST_END_S = 600.0  # simulated, that a thread may take to end


@dataclass(eq=False)
class _Turn:
    """A thread's place in the simulation."""

    number: int
    until: float  # simulated time at which it goes on, whatever happens
    event: threading.Event | None = None  # or that lets it go on sooner
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    is_over: bool = False


class SimulatedClock:
    """Simulated time for `engine.live`; see `engine.live.clock.Clock`.

    The thread that makes the clock is its first. A thread that raises ends the
    simulation: the first thread gets the exception when it waits next.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._turns: dict[int, _Turn] = {}
        self._count = 0
        self._failure: BaseException | None = None
        self._first = self._enter()

    def now(self) -> float:
        """Simulated seconds so far."""
        return self._now

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let others run until an event is set, for so long at most."""
        if not event.is_set():
            self._pass_on(self._now + max(0.0, seconds), event)
        return event.is_set()

    def sleep(self, seconds: float) -> None:
        """Let others run for so long."""
        self._pass_on(self._now + max(0.0, seconds), None)

    def thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        """A thread of the simulation, not started yet."""
        return _SimulatedThread(self, target, name)

    def let_all_end(self) -> None:
        """Let time pass until the other threads have ended.

        A thread that still waited would hold on to its session for good.

        Raises:
            RuntimeError: one of them does not end.
        """
        limit = self._now + LONGEST_END_S
        while len(self._turns) > 1:
            if self._now >= limit:
                raise RuntimeError(f"{len(self._turns) - 1} threads do not end")
            self.sleep(0.1)

    def _enter(self) -> _Turn:
        """Take the calling thread in."""
        turn = _Turn(self._count, self._now)
        self._count += 1
        self._turns[threading.get_ident()] = turn
        return turn

    def _pass_on(self, until: float, event: threading.Event | None) -> None:
        mine = self._turns[threading.get_ident()]
        mine.until, mine.event = until, event
        chosen = self._next()
        if chosen is not mine:
            chosen.go.release()
            mine.go.acquire()
        if mine is self._first and self._failure is not None:
            raise RuntimeError("a thread of the simulation failed") from self._failure

    def _next(self) -> _Turn:
        """The thread whose time comes first; time goes on to it."""
        waiting = [turn for turn in self._turns.values() if not turn.is_over]
        chosen = min(waiting, key=self._order)
        self._now = max(self._now, self._order(chosen)[0])
        return chosen

    def _order(self, turn: _Turn) -> tuple[float, int]:
        if turn is self._first and self._failure is not None:
            return (self._now, -1)
        is_woken = turn.event is not None and turn.event.is_set()
        return (self._now if is_woken else max(turn.until, self._now), turn.number)

    def _run(self, turn: _Turn, target: Callable[[], None]) -> None:
        """The body of a simulated thread."""
        self._turns[threading.get_ident()] = turn
        turn.go.acquire()
        try:
            target()
        except BaseException as error:  # told by the first thread
            self._failure = error
        turn.is_over = True
        self._turns.pop(threading.get_ident(), None)
        self._next().go.release()


class _SimulatedThread(threading.Thread):
    """A thread that runs when the simulation lets it, and is waited for in its time."""

    def __init__(
        self, clock: SimulatedClock, target: Callable[[], None], name: str
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._clock, self._body = clock, target
        self._turn: _Turn | None = None

    def start(self) -> None:
        clock = self._clock
        self._turn = _Turn(clock._count, clock._now)
        clock._count += 1
        entered = threading.Event()
        self._entered = entered
        super().start()
        entered.wait()

    def run(self) -> None:
        turn = self._turn
        assert turn is not None
        self._clock._turns[threading.get_ident()] = turn
        self._entered.set()
        self._clock._run(turn, self._body)

    def is_alive(self) -> bool:
        return self._turn is not None and not self._turn.is_over

    def join(self, timeout: float | None = None) -> None:
        deadline = self._clock.now() + (1e9 if timeout is None else timeout)
        while self.is_alive() and self._clock.now() < deadline:
            self._clock.sleep(0.001)
