"""A live session: what `latent play` starts, keeps alive and takes down.

Threads: the caller's (start, watch, stop); the producer's; PortAudio's or, while
there is no device, the pacer's, in which the mixer runs; the bed's, which loads loops
ahead of their time. They share the ring, immutable snapshots of controls, and
counters that one side writes.
"""

import gc
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from effects.errors import InputError, LatentError, RunError
from engine.graph import Graph
from engine.live.feed import Feed
from engine.live.metrics import Metrics
from engine.live.mixer import MAX_BLOCK, Mixer, Tap
from engine.live.output import Device, Output, choose, list_devices
from engine.live.pacer import Pacer
from engine.live.producer import Producer
from engine.live.ring import RingBuffer
from engine.sound.synthesis import N_LAYERS

AHEAD_S = 10.0  # how far the producer renders ahead: hides a stall of as much
PRIME_S = 3.0
DEAD_AFTER_S = 1.0  # without a callback, a device counts as gone
RETRY_S = (0.5, 5.0)  # first and longest wait before a device is tried again
STOP_FADE_S = 0.15
POLL_S = 0.05
BED_EVERY_S = 1.0

Say = Callable[[str], None]
Event = Mapping[str, object]


@dataclass(frozen=True)
class DeviceChoice:
    """Which device is asked for, and whether to wait when there is none."""

    name: str | None = None
    wait: bool = False


class Session:
    """Plays a graph on a device until it ends or is told to.

    Args:
        graph: what sounds.
        choice: on which device; None plays to nobody, in real time.
        say: takes one line for the user.
        on_event: told of every change of plan and its sample, for the journal.
    """

    def __init__(
        self,
        graph: Graph,
        choice: DeviceChoice | None,
        say: Say,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self.graph = graph
        self.metrics = Metrics()
        rate = graph.sample_rate
        longest_hop = 2.0
        capacity = round((AHEAD_S + 2 * longest_hop) * rate)
        self.ring = RingBuffer(capacity, N_LAYERS)
        feed = Feed(self.ring, rate, self.metrics, MAX_BLOCK)
        self.producer = Producer(
            graph.music, self.ring, feed, graph.controls, self.metrics, on_event
        )
        self.mixer = Mixer(
            feed,
            graph.player,
            rate,
            lambda: graph.controls.snapshot,
            self.metrics,
        )
        self._choice, self._say = choice, say
        self._output: Output | Pacer | None = None
        self._stopping = threading.Event()
        self._bed_thread = threading.Thread(
            target=self._keep_bed, name="bed", daemon=True
        )
        self._clean = True

    def start(self) -> None:
        """Prime the ring, open the device, and begin.

        Raises:
            RunError: there is no device, or it cannot be opened.
            InputError: no device of that name.
        """
        self._steady_interpreter()
        if self.graph.bed is not None:
            self.graph.bed.prepare(0)
        self.producer.prime(PRIME_S)
        self._output = self._open_first()
        self.producer.start()
        self._bed_thread.start()
        self._output.start()

    def run(self, poll: Callable[[], None] = lambda: None) -> None:
        """Watch until the music has ended or `stop` was called; then take down.

        Args:
            poll: called some twenty times a second, for a display.

        Raises:
            RunError: a part of the session died and could not be revived.
        """
        beat, beat_at, retry_at, wait = -1, time.monotonic(), 0.0, RETRY_S[0]
        try:
            while not self._stopping.wait(POLL_S) and not self._ended():
                poll()
                if self.producer.failure is not None:
                    raise RunError(f"the producer failed: {self.producer.failure!r}")
                now = time.monotonic()
                if self.metrics.blocks != beat:
                    beat, beat_at = self.metrics.blocks, now
                elif now - beat_at > DEAD_AFTER_S:
                    self._lose_device()
                    beat_at, retry_at, wait = now, now + RETRY_S[0], RETRY_S[0]
                if self._is_waiting() and now >= retry_at:
                    if self._regain_device():
                        beat_at = time.monotonic()
                    else:
                        wait = min(2.0 * wait, RETRY_S[1])
                        retry_at = time.monotonic() + wait
        finally:
            self._take_down()

    def stop(self) -> None:
        """Any thread: end with a short fade."""
        self._stopping.set()

    def add_tap(self, tap: Tap) -> None:
        """From the next block on, the master goes to `tap`, too."""
        self.mixer.taps = (*self.mixer.taps, tap)

    def remove_tap(self, tap: Tap) -> None:
        """The reverse of `add_tap`."""
        self.mixer.taps = tuple(t for t in self.mixer.taps if t is not tap)

    @property
    def closed_cleanly(self) -> bool:
        """False when PortAudio hangs: the process must then leave by `os._exit`."""
        return self._clean

    @property
    def headroom_s(self) -> float:
        """Seconds of music ahead in the ring."""
        return self.ring.available / self.graph.sample_rate

    @property
    def seconds(self) -> float:
        """Seconds played so far."""
        return self.mixer.position / self.graph.sample_rate

    def _steady_interpreter(self) -> None:
        """Fewer and shorter pauses for the callback: see DESIGN.md, real time."""
        sys.setswitchinterval(0.0005)
        gc.collect()
        gc.freeze()

    def _ended(self) -> bool:
        total = self.graph.music.n_samples
        if total is None:
            return False
        # The device drops what it holds when stopped: let silence push the end out.
        latency = self._output.latency_s if self._output else 0.0
        tail = self.mixer.latency + round((latency + 0.1) * self.graph.sample_rate)
        return self.mixer.position >= total + tail

    def _keep_bed(self) -> None:
        while self.graph.bed is not None and not self._stopping.wait(BED_EVERY_S):
            try:
                self.graph.bed.prepare(self.mixer.position)
            except LatentError as error:
                self._say(f"effects: {error}")

    # Devices.

    def _open_first(self) -> Output | Pacer:
        if self._choice is None:
            return self._pacer()
        try:
            return self._open()
        except InputError:
            raise
        except RunError as error:
            if not self._choice.wait:
                raise
            self._say(f"{error}; waiting for one")
            return self._pacer()

    def _open(self, *, refresh: bool = False) -> Output:
        assert self._choice is not None
        device = choose(list_devices(refresh=refresh), self._choice.name)
        return self._output_on(device)

    def _output_on(self, device: Device) -> Output:
        rate = self.graph.sample_rate
        return Output(device, rate, self.mixer.render, self.metrics)

    def _pacer(self) -> Pacer:
        return Pacer(self.graph.sample_rate, self.mixer.render, self.metrics)

    def _is_waiting(self) -> bool:
        return self._choice is not None and isinstance(self._output, Pacer)

    def _lose_device(self) -> None:
        if not isinstance(self._output, Output):
            return
        name = self._output.device.name
        self._say(f"the device {name!r} is gone; playing on without it")
        self._clean = self._output.close() and self._clean
        self._output = self._pacer()
        self._output.start()

    def _regain_device(self) -> bool:
        pacer = self._output
        try:
            output = self._open(refresh=True)
        except LatentError:
            return False
        assert pacer is not None
        pacer.close()
        try:
            output.start()
        except RunError:
            output.close()
            self._output = self._pacer()
            self._output.start()
            return False
        self._output = output
        self._say(f"playing on {output.device.name!r} again")
        return True

    def _take_down(self) -> None:
        if self._output is not None:
            self._fade_away()
            self._clean = self._output.close() and self._clean
        self._stopping.set()
        self.producer.stop()
        if self._bed_thread.is_alive():
            self._bed_thread.join(2.0)

    def _fade_away(self) -> None:
        rate = self.graph.sample_rate
        start = self.mixer.position + MAX_BLOCK // 4
        self.mixer.fade.begin(start, STOP_FADE_S, 0.0)
        latency = self._output.latency_s if self._output else 0.0
        silent_at = start + round((STOP_FADE_S + latency + 0.05) * rate)
        deadline = time.monotonic() + STOP_FADE_S + latency + 0.5
        while self.mixer.position < silent_at and time.monotonic() < deadline:
            time.sleep(0.01)
