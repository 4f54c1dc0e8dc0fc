"""A live session: what `latent play` starts, keeps alive and takes down.

Threads: the caller's (start, watch, stop); the producer's; PortAudio's or, while
there is no device, the pacer's, in which the mixer runs; the bed's, which loads loops
ahead of their time. They share the ring, immutable snapshots of controls, and
counters that one side writes.
"""

import gc
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from effects.base.errors import InputError, LatentError, RunError
from engine.control.controls import CONTROLS, Snapshot
from engine.graph import Graph
from engine.live.metrics import Metrics
from engine.live.mixer import MAX_BLOCK, MAX_CHANGES, MasterSink, Mixer
from engine.live.output import Output, choose, list_devices
from engine.live.pacer import Pacer
from engine.live.producer import Producer
from engine.live.ring import RingBuffer
from engine.live.ring_reader import RingReader
from engine.sound.bed import Bed, When
from engine.sound.music import Now
from engine.sound.synthesis import N_LAYERS

AHEAD_S = 10.0  # how far the producer renders ahead: hides a stall of as much
PRIME_S = 3.0
DEAD_AFTER_S = 1.0  # without a callback, a device counts as gone
RETRY_S = (0.5, 1.0)  # first and longest wait before a device is tried again
STOP_FADE_S = 0.15
FADE_LEAD_S = 0.1  # a fade is begun so far ahead of the mixer
BED_LEAD_S = 0.5  # likewise a change of effects, whose loop may have to be loaded
POLL_S = 0.05
BED_EVERY_S = 1.0
FIRST_BED_S = 2.0  # of the bed are made before the music starts, the rest beside it

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
        reader = RingReader(self.ring, rate, self.metrics, MAX_BLOCK)
        self.producer = Producer(
            graph.music, self.ring, reader, graph.controls, self.metrics, on_event
        )
        self.mixer = Mixer(
            reader,
            graph.player,
            rate,
            lambda: graph.controls.snapshot,
            self.metrics,
        )
        self._choice, self._say, self._on_event = choice, say, on_event
        self._changes_told = 0
        self._underruns_told = 0
        self._gains = _gains_in(graph.controls.snapshot)
        self._output: Output | Pacer | None = None
        self._stopping = threading.Event()
        self._bed_wanted = threading.Event()
        self._bed_commands: queue.SimpleQueue[tuple[str, tuple[object, ...]]]
        self._bed_commands = queue.SimpleQueue()
        self._bed_changed_at = 0
        self._bed_thread = threading.Thread(
            target=self._keep_bed, name="bed", daemon=True
        )
        self._clean = True
        self._lost_at: float | None = None  # monotonic, while there is no device
        graph.controls.on_change = self.producer.wake

    def start(self) -> None:
        """Prime the ring, open the device, and begin.

        Raises:
            RunError: there is no device, or it cannot be opened.
            InputError: no device of that name.
        """
        self._steady_interpreter()
        if self.graph.bed is not None:
            self.graph.bed.prepare(0, FIRST_BED_S)
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
                self._tell_changes()
                poll()
                if self.producer.failure is not None:
                    raise RunError(f"the producer failed: {self.producer.failure!r}")
                now = time.monotonic()
                if self.metrics.blocks != beat:
                    beat, beat_at = self.metrics.blocks, now
                elif now - beat_at > DEAD_AFTER_S:
                    self._lose_device(beat_at)
                    beat_at, retry_at, wait = now, now + RETRY_S[0], RETRY_S[0]
                if self._is_waiting() and now >= retry_at:
                    if self._regain_device():
                        beat_at = time.monotonic()
                    else:
                        wait = min(2.0 * wait, RETRY_S[1])
                        retry_at = time.monotonic() + wait
        finally:
            self._take_down()

    def fade(self, kind: str, seconds: float, level: float) -> None:
        """Any thread: move the master to amplitude `level`, `fade` or `night`."""
        at = self.mixer.position + round(FADE_LEAD_S * self.graph.sample_rate)
        fade = self.mixer.fade if kind == "fade" else self.mixer.night
        fade.begin(at, seconds, level)
        self._on_event({"at": at, "command": kind, "args": [seconds, level]})

    def rise(self, seconds: float) -> None:
        """Before `start`: begin in silence, and come up to full level in so long.

        Slowly at first: loudness grows about evenly with the square of the time, and
        with the time itself all would be there too soon.
        """
        self.mixer.night.begin(0, seconds, 1.0, 0.0, True)
        args = [seconds, 1.0, 0.0, True]
        self._on_event({"at": 0, "command": "night", "args": args})

    def command_bed(self, name: str, *args: object) -> None:
        """Any thread: another effect; see `Bed.command`. Heard when it is loaded.

        Raises:
            InputError: no such effect, or there is no bed.
        """
        if self.graph.bed is None:
            raise InputError("there are no effects in this session")
        self.graph.bed.check(name, args)
        self._bed_commands.put((name, args))
        self._bed_wanted.set()

    def now(self) -> Now | None:
        """Where the music that is being mixed stands."""
        position = self.mixer.position
        past = [
            mark for mark in tuple(self.producer.positions) if mark.position <= position
        ]
        return past[-1] if past else None

    def stop(self) -> None:
        """Any thread: end with a short fade."""
        self._stopping.set()

    def add_tap(self, tap: MasterSink) -> None:
        """From the next block on, the master goes to `tap`, too."""
        self.mixer.taps = (*self.mixer.taps, tap)

    def remove_tap(self, tap: MasterSink) -> None:
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

    @property
    def device_name(self) -> str:
        """The device that is played on, or "none"."""
        output = self._output
        return output.device.name if isinstance(output, Output) else "none"

    @property
    def away_s(self) -> float:
        """Seconds without a device so far, although one was asked for."""
        since, known = self._lost_at, self.metrics.away_s
        return known if since is None else known + time.monotonic() - since

    @property
    def load(self) -> float:
        """Share of the time that the callback takes, as PortAudio measures it."""
        output = self._output
        return output.load if isinstance(output, Output) else 0.0

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

    def _tell_changes(self) -> None:
        """Write down at which sample the mixer saw each turned gain, and underruns."""
        seen = self.mixer.n_changes
        for number in range(max(self._changes_told, seen - MAX_CHANGES), seen):
            at, snapshot = self.mixer.changes[number % MAX_CHANGES]
            gains = _gains_in(snapshot)
            turned = {k: v for k, v in gains.items() if self._gains[k] != v}
            if turned:
                self._gains = gains
                self._on_event({"at": at, "set": turned})
        self._changes_told = seen
        if self.metrics.underruns != self._underruns_told:
            n = self.metrics.underruns - self._underruns_told
            self._underruns_told += n
            self._on_event({"at": self.mixer.position, "underrun": n})

    def _keep_bed(self) -> None:
        while self.graph.bed is not None and not self._stopping.is_set():
            self._bed_wanted.wait(BED_EVERY_S)
            self._bed_wanted.clear()
            try:
                self._change_bed(self.graph.bed)
                self.graph.bed.prepare(self.mixer.position)
            except LatentError as error:
                self._say(f"effects: {error}")

    def _change_bed(self, bed: Bed) -> None:
        """Do what was asked of the bed, a little ahead, and write it down."""
        while not self._bed_commands.empty():
            name, args = self._bed_commands.get_nowait()
            # Its loops may take seconds to be made: only then is it decided when.
            bed.rehearse(self._bed_change_at(), name, args)
            row = {"command": name, "args": list(args)}
            self._do_ahead(partial(bed.try_command, name, args), row)
            bed.prepare(self.mixer.position)
        if turned := bed.turned(self.graph.controls.snapshot):
            bed.rehearse_turn(self._bed_change_at(), turned)
            self._do_ahead(partial(bed.try_turn, turned), {"set": dict(turned)})

    def _do_ahead(self, attempt: Callable[[When], bool], row: Event) -> None:
        """Attempt it at a sample ahead, until it was early enough for that."""
        lead_s = BED_LEAD_S
        while not self._stopping.is_set():
            self._bed_changed_at = at = self._bed_change_at(lead_s)
            if attempt(When(self.mixer.position, at, self._stopping.is_set)):
                self._on_event({"at": at, **row})
                return
            lead_s *= 2.0

    def _bed_change_at(self, lead_s: float = BED_LEAD_S) -> int:
        at = self.mixer.position + round(lead_s * self.graph.sample_rate)
        return max(at, self._bed_changed_at)

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
            self._lost_at = time.monotonic()
            return self._pacer()

    def _open(self, *, again: bool = False) -> Output:
        assert self._choice is not None
        device = choose(list_devices(refresh=again), self._choice.name)
        rate = self.graph.sample_rate
        return Output(device, rate, self.mixer.render, self.metrics, fade_in=again)

    def _pacer(self) -> Pacer:
        return Pacer(self.graph.sample_rate, self.mixer.render, self.metrics)

    def _is_waiting(self) -> bool:
        return self._choice is not None and isinstance(self._output, Pacer)

    def _lose_device(self, since: float) -> None:
        if not isinstance(self._output, Output):
            return
        name = self._output.device.name
        self._lost_at = since
        self.metrics.device_losses += 1
        self._say(f"the device {name!r} is gone; playing on without it")
        self._on_event({"at": self.mixer.position, "device": {"lost": name}})
        self._clean = self._output.close() and self._clean
        self._output = self._pacer()
        self._output.start()

    def _regain_device(self) -> bool:
        pacer = self._output
        try:
            output = self._open(again=True)
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
        self.metrics.away_s, self._lost_at = self.away_s, None
        name = output.device.name
        back = " again" if self.metrics.device_losses else ""
        self._say(f"playing on {name!r}{back}")
        away = round(self.metrics.away_s, 1)
        row = {"found": name, "losses": self.metrics.device_losses, "away_s": away}
        self._on_event({"at": self.mixer.position, "device": row})
        return True

    def _take_down(self) -> None:
        if self._output is not None:
            self._fade_away()
            self._clean = self._output.close() and self._clean
        self._tell_changes()
        self._on_event({"at": self.mixer.position, "command": "end", "args": []})
        self._stopping.set()
        self._bed_wanted.set()
        self.producer.stop()
        if self._bed_thread.is_alive():
            self._bed_thread.join(2.0)

    def _fade_away(self) -> None:
        latency = self._output.latency_s if self._output else 0.0
        lasts = FADE_LEAD_S + STOP_FADE_S + latency + 0.05
        silent_at = self.mixer.position + round(lasts * self.graph.sample_rate)
        self.fade("fade", STOP_FADE_S, 0.0)
        deadline = time.monotonic() + lasts + 0.5
        while self.mixer.position < silent_at and time.monotonic() < deadline:
            time.sleep(0.01)


def _gains_in(snapshot: Snapshot) -> dict[str, object]:
    """The controls that the mixer turns."""
    return {k: v for k, v in snapshot.items() if CONTROLS[k].acts == "block"}
