"""A live session in simulated time: all but the sound device, always the same.

Producer, ring, mixer, bed, fades, commands, recorder and journal are the real ones. The
device asks for blocks of any length in simulated time. What takes time on a real
machine (to make music, to load a loop) takes simulated time that the caller decides.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from effects.audio.levels import Samples
from effects.shelf.library import Library
from effects.shelf.loops import Loop
from engine.app.session_commands import SessionCommands
from engine.control.callbacks import Event
from engine.graph import Graph, build
from engine.live.metrics import Metrics
from engine.live.session import Session
from engine.offline.edits import edits_of
from engine.offline.journal import JournalEvent
from engine.offline.replay import replay
from engine.osc.handler import OscHandler
from tests.support.simulated_clock import SimulatedClock

SENDER = ("127.0.0.1", 9000)
_T = TypeVar("_T")

MOST_WAITING_S = 20.0  # in a tap, before simulated time waits for its reader


class SimulatedDevice:
    """Asks for blocks in simulated time; stands in the place of a `DeviceWatch`.

    Args:
        session: whose mixer is asked.
        clock: of the session.
        cut: gives the length of the next block, in samples.
        rest: called after each block, in real time.
        second_s: that it takes for a second's samples.
    """

    latency_s, load, away_s, name = 0.0, 0.0, 0.0, "simulated"

    def __init__(
        self,
        session: Session,
        clock: SimulatedClock,
        cut: Callable[[], int],
        rest: Callable[[], None],
        second_s: float = 1.0,
    ) -> None:
        self._mixer, self._metrics = session.mixer, session.metrics
        self._rate, self._clock = session.graph.sample_rate, clock
        self._cut, self._rest, self._second_s = cut, rest, second_s
        self._thread = clock.thread(self._run, "device")
        self._closing = False
        self.is_open = False

    def prepare(self) -> None:
        """There is nothing to prepare."""

    def open(self) -> None:
        """There is nothing to open."""

    def start(self) -> None:
        """Begin to ask for blocks."""
        self.is_open = True
        self._thread.start()

    def poll(self) -> None:
        """It never goes away."""

    def close(self) -> None:
        """Ask for nothing more."""
        self._closing = True
        if self.is_open:
            self._thread.join()
        self.is_open = False

    def _run(self) -> None:
        block = np.zeros((1 << 15, 2), np.float32)
        while not self._closing:
            n = self._cut()
            self._mixer.render(block[:n])
            self._metrics.blocks += 1
            self._metrics.block = n
            self._rest()
            self._clock.sleep(self._second_s * n / self._rate)


@dataclass
class Kept:
    """A tap that keeps all."""

    blocks: list[Samples] = field(default_factory=list)

    def write(self, samples: Samples) -> bool:
        """Keep a block."""
        self.blocks.append(samples.copy())
        return True


@dataclass(frozen=True)
class Pace:
    """How long things take, in simulated seconds; each is asked anew every time.

    Attributes:
        slab_s: to make a slab of music.
        loop_s: to load a loop.
        cut: length of the next block, in samples.
        forget_every: loads; that loop has to be made again.
        device_s: what the device takes for a second's samples: its clock is another.
    """

    slab_s: Callable[[], float] = lambda: 0.02
    loop_s: Callable[[], float] = lambda: 0.0
    cut: Callable[[], int] = lambda: 960
    forget_every: int = 9
    device_s: float = 1.0


@dataclass
class SimulatedSession:
    """A session that is played in simulated time, from beginning to end.

    Args:
        graph: what sounds.
        pace: how long things take.
        recordings: folder of what is recorded.
        act: what is done from outside, in a thread of the simulation.
    """

    graph: Graph
    pace: Pace
    recordings: Path
    act: "Callable[[SimulatedSession], None]"

    def __post_init__(self) -> None:
        """Build the session around the graph."""
        self.clock = SimulatedClock()
        self.events: list[JournalEvent] = []
        self.keep_events = True
        self.on_event: Callable[[Event], None] = lambda event: None
        self.said: list[str] = []
        _slow(self.graph, self.pace, self.clock)
        self.session = Session(
            self.graph, None, self.said.append, self._on_event, self.clock
        )
        self.session.device = SimulatedDevice(  # type: ignore[assignment]
            self.session, self.clock, self.pace.cut, self._rest, self.pace.device_s
        )
        self.commands = SessionCommands(
            self.session,
            self.recordings,
            lambda seconds: None,
            self.said.append,
            self._on_event,
            self.session.report_changes,
        )
        self.osc = OscHandler(self.graph.controls, self.commands)

    @property
    def metrics(self) -> Metrics:
        """Counters of the session."""
        return self.session.metrics

    def play(self) -> None:
        """Play until it has ended or was stopped."""
        self.clock.thread(lambda: self.act(self), "act").start()
        self.session.start()
        self.session.run(self.commands.poll)
        self.commands.close()
        self.clock.let_all_end()

    def send(self, packet: bytes) -> None:
        """Within `act`: an OSC packet."""
        self.osc.handle(packet, SENDER, self.clock.now())

    def sleep(self, seconds: float) -> None:
        """Within `act`: let time pass."""
        self.clock.sleep(seconds)

    def _on_event(self, event: Event) -> None:
        self.on_event(event)
        if self.keep_events:
            self.events.append(dict(event))  # type: ignore[arg-type]

    def _rest(self) -> None:
        """Let a recorder, which lives by the machine's time, keep up."""
        recorder = self.commands._recorder
        most = MOST_WAITING_S * self.graph.sample_rate
        while recorder is not None and recorder.tap.available > most:
            if not recorder.state().active:
                return
            time.sleep(0.01)


def replayed(session: SimulatedSession, n_samples: int) -> Samples:
    """The first samples of a session, rendered again from its events."""
    out: list[Samples] = []
    graph, edits = build(session.graph.settings), edits_of(session.events)
    replay(graph, edits, 0, n_samples, lambda block: out.append(block.copy()))
    return np.concatenate(out)


def _slow(graph: Graph, pace: Pace, clock: SimulatedClock) -> None:
    """Have the making of music and the loading of loops take simulated time."""
    make = graph.music.next

    def make_slowly() -> Samples | None:
        made = make()
        clock.sleep(pace.slab_s())
        return made

    graph.music.next = make_slowly  # type: ignore[method-assign]
    if graph.bed is None:
        return
    graph.bed._library = _SlowShelf(graph.bed._library, pace, clock)  # type: ignore[assignment]


class _SlowShelf:
    """A library of effects whose loops may take time to be made."""

    def __init__(self, library: Library, pace: Pace, clock: SimulatedClock) -> None:
        self._library, self._pace, self._clock = library, pace, clock
        self._takes_s: dict[str, float] = {}  # what is not there yet
        self._loads = 0

    def is_there(self, name: str, sample_rate: int) -> bool:
        """Whether a loop can be loaded at once."""
        return self._time_of(name) == 0.0

    def load(self, name: str, sample_rate: int) -> Loop:
        """A loop, in its time; then it may be forgotten."""
        loop = self._library.load(name, sample_rate)
        self._clock.sleep(self._time_of(name))
        self._loads += 1
        is_forgotten = self._loads % self._pace.forget_every == 0
        self._takes_s[name] = self._pace.loop_s() if is_forgotten else 0.0
        return loop

    def _time_of(self, name: str) -> float:
        return self._takes_s.setdefault(name, self._pace.loop_s())

    def __getattr__(self, name: str) -> object:
        return getattr(self._library, name)


def chosen(rng: random.Random, values: Sequence[_T]) -> Callable[[], _T]:
    """One of these values at a time."""
    return lambda: rng.choice(values)
