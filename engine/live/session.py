"""A live session: the parts of the real-time path, started and taken down in order.

Threads: the caller's (start, watch, stop); the producer's; PortAudio's or, while
there is no device, the pacer's, in which the mixer runs; the bed keeper's, which loads
loops ahead of their time. They share the ring, immutable snapshots of controls, and
counters that one side writes.
"""

import gc
import sys
import threading
from collections.abc import Callable

from effects.base.errors import InputError, RunError, what_lacks
from effects.base.memory import give_back_now
from engine.control.callbacks import OnEvent, Say
from engine.control.controls import CONTROLS
from engine.graph import Graph
from engine.live.bed_keeper import BedKeeper
from engine.live.change_log import ChangeLog
from engine.live.clock import REAL_CLOCK, Clock
from engine.live.device_watch import DeviceChoice, DeviceWatch
from engine.live.fade import FadeKind, FadeRequest
from engine.live.metrics import Metrics
from engine.live.mixer import MAX_BLOCK, MasterSink, Mixer
from engine.live.music_ring import MusicRing
from engine.live.producer import REFILL_S, Producer
from engine.live.ring_reader import RingReader
from engine.sound.music import Now
from engine.sound.synthesis import N_LAYERS

STALL_S = 10.0  # of the producer, which nobody hears
AHEAD_S = STALL_S + REFILL_S  # how far it renders ahead
PRIME_S = 3.0
STOP_FADE_S = 0.15
FADE_LEAD_S = 0.1  # at most, until the callback begins a fade
POLL_S = 0.1
GIVE_BACK_EVERY_S = 60.0  # of memory that is free
SWITCH_INTERVAL_S = 0.0005  # between threads of Python
FIRST_BED_S = 2.0  # of the bed are loaded before the music starts, the rest beside it


class Session:
    """Plays a graph on a device until it ends or is told to.

    Args:
        graph: what sounds.
        choice: of the device; None plays to nobody, in real time.
        say: takes one line for the user.
        on_event: takes rows for the journal: every change, with its sample.
        clock: that its threads live by.
    """

    def __init__(
        self,
        graph: Graph,
        choice: DeviceChoice | None,
        say: Say,
        on_event: OnEvent = lambda event: None,
        clock: Clock = REAL_CLOCK,
    ) -> None:
        self.graph, self._clock = graph, clock
        self.metrics = Metrics()
        rate, controls = graph.sample_rate, graph.controls
        capacity = round((AHEAD_S + 2 * CONTROLS["hop"].high) * rate)
        self.ring = MusicRing(capacity, N_LAYERS)
        reader = RingReader(self.ring, rate, self.metrics, MAX_BLOCK)
        self.producer = Producer(
            graph.music, self.ring, reader, controls, self.metrics, on_event, clock
        )
        self.mixer = Mixer(
            reader, graph.ducked_bed(), rate, lambda: controls.snapshot, self.metrics
        )
        self.device = DeviceWatch(
            choice,
            self.mixer.render,
            lambda: self.mixer.position,
            rate,
            self.metrics,
            say,
            on_event,
        )
        self._bed = (
            BedKeeper(graph.bed, controls, self.mixer, rate, say, on_event, clock)
            if graph.bed is not None
            else None
        )
        logs = (reader.log, self.mixer.log)
        self._changes = ChangeLog(logs, self.metrics, controls.snapshot, on_event)
        self._on_event, self._say = on_event, say
        self._told_silences = 0
        self._gave_back_at = clock.now()
        self._stopping = threading.Event()
        self._switch_interval = sys.getswitchinterval()
        controls.on_change = self.producer.wake

    def start(self) -> None:
        """Fill the ring, open the device, and begin.

        Raises:
            RunError: there is no device, or it cannot be opened.
            InputError: no device of that name.
        """
        try:
            self._start()
        except BaseException:
            self.device.close()
            self._release_interpreter()
            raise

    def run(self, poll: Callable[[], None] = lambda: None) -> None:
        """Watch until the music has ended or `stop` was called; then take down.

        Args:
            poll: called some ten times a second, for a display.

        Raises:
            RunError: a part of the session died and could not be revived.
        """
        try:
            while (
                not self._clock.wait(self._stopping, POLL_S) and not self._has_ended()
            ):
                self.report_changes()
                self._give_memory_back()
                poll()
                self._tell_silence()
                if (failure := self.producer.failure) is not None:
                    why = what_lacks(failure) or repr(failure)
                    raise RunError(f"the producer failed: {why}")
                self.device.poll()
        finally:
            self._take_down()
            self._release_interpreter()

    def report_changes(self) -> None:
        """Any thread: give the journal what the callback did so far."""
        self._changes.report(self.mixer.position)

    def stop(self) -> None:
        """Any thread: end with a short fade."""
        self._stopping.set()

    def fade(self, kind: FadeKind, seconds: float, level: float) -> None:
        """Any thread: move one of the fades to amplitude `level` in so long."""
        self.mixer.fades[kind].ask(FadeRequest(kind, seconds, level))

    def rise(self, seconds: float) -> None:
        """Before `start`: begin in silence, and come up to full level in so long.

        The amplitude follows a parabola: loudness grows about evenly with the square
        of the time, and along a line most of it would be there too soon.
        """
        kind = FadeKind.SLEEP
        self.mixer.fades[kind].ask(FadeRequest(kind, seconds, 1.0, 0.0, eased=True))

    def command_bed(self, name: str, *args: object) -> None:
        """Any thread: change the effects; see `Bed.command`. Heard once loaded.

        Raises:
            InputError: no such effect, or there is no bed.
        """
        if self._bed is None:
            raise InputError("there are no effects in this session")
        self._bed.command(name, *args)

    @property
    def chosen_effects(self) -> str:
        """The effects that were asked for, as a mix; empty: they follow the order."""
        return "" if self._bed is None else self._bed.chosen

    def now(self) -> Now | None:
        """Return where the music that is being mixed stands; None before it begins."""
        position = self.mixer.position
        made = reversed(tuple(self.producer.positions))
        return next((now for now in made if now.position <= position), None)

    def add_tap(self, tap: MasterSink) -> None:
        """Send the master to `tap` as well, from the next block on."""
        self.mixer.taps = (*self.mixer.taps, tap)

    def remove_tap(self, tap: MasterSink) -> None:
        """Send nothing more to `tap`."""
        self.mixer.taps = tuple(t for t in self.mixer.taps if t is not tap)

    @property
    def headroom_s(self) -> float:
        """Seconds of music ahead in the ring."""
        return self.ring.available / self.graph.sample_rate

    @property
    def seconds(self) -> float:
        """Seconds played so far."""
        return self.mixer.position / self.graph.sample_rate

    def _start(self) -> None:
        self.device.prepare()
        self._steady_interpreter()
        if self._bed is not None:
            self._bed.begin(FIRST_BED_S)
        self.producer.prime(PRIME_S)
        give_back_now()  # before there is a callback that it could delay
        self.device.open()
        self.producer.start()
        if self._bed is not None:
            self._bed.start()
        self.device.start()

    def _give_memory_back(self) -> None:
        """Return what hours of small arrays leave in between, some 20 MB an hour.

        It takes some milliseconds, in which another thread that needs memory may wait:
        the device has 20 ms in its ring, and its own buffer besides.
        """
        now = self._clock.now()
        if now - self._gave_back_at >= GIVE_BACK_EVERY_S:
            self._gave_back_at = now
            give_back_now()

    def _tell_silence(self) -> None:
        if self.metrics.silences > self._told_silences:
            self._told_silences = self.metrics.silences
            self._say("the music was silent: a sound of the model is; next song")

    def _has_ended(self) -> bool:
        total = self.graph.music.n_samples
        if total is None:
            return False
        # A device drops the samples that it holds when it is stopped: silence after
        # the end pushes them out.
        tail_s = self.device.latency_s + 0.1
        tail = self.mixer.latency + round(tail_s * self.graph.sample_rate)
        return self.mixer.position >= total + tail

    def _take_down(self) -> None:
        if self.device.is_open:
            self._fade_out()
        self.device.close()
        if self._bed is not None:
            self._bed.stop()
        self.report_changes()
        self._on_event({"at": self.mixer.position, "command": "end", "args": []})
        self._stopping.set()
        self.producer.stop()

    def _fade_out(self) -> None:
        """Fade to silence, and wait until the device has played that."""
        lasts = FADE_LEAD_S + STOP_FADE_S + self.device.latency_s + 0.05
        silent_at = self.mixer.position + round(lasts * self.graph.sample_rate)
        self.fade(FadeKind.MAIN, STOP_FADE_S, 0.0)
        deadline = self._clock.now() + lasts + 0.5
        while self.mixer.position < silent_at and self._clock.now() < deadline:
            self._clock.sleep(0.01)

    def _steady_interpreter(self) -> None:
        """Make pauses of the callback fewer and shorter: see DESIGN.md, real time."""
        self._switch_interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        gc.freeze()  # without a collection: 20 ms, and there is nothing to collect

    def _release_interpreter(self) -> None:
        """Undo that: whoever played goes on, and what is frozen is never freed."""
        sys.setswitchinterval(self._switch_interval)
        gc.unfreeze()
