"""The producer: keeps the ring full, and renders its unheard part again on a change.

Threads: the producer thread alone owns the `Music` and writes the ring. `command` and
`wake` may be called from any thread. A change of plan holds from just ahead of the
reader on. It is offered to the reader as soon as its first samples are made, with a
sample that the reader has not come to; if it comes by before it sees the offer, a later
sample is taken. The producer may be late by as much as the ring holds; for longer
delays it keeps a concealment loop of the ring's last sound.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples, db_to_amplitude, peak_of
from effects.base.errors import InputError
from engine.control.callbacks import OnEvent
from engine.control.controls import CONTROLS, Controls, Snapshot
from engine.live.clock import REAL_CLOCK, Clock
from engine.live.loop_crossfade import grid_of, starved_of
from engine.live.metrics import Metrics
from engine.live.music_ring import MusicRing, Splice
from engine.live.ring_reader import RingReader
from engine.sound.concealment_loop import unlikeness
from engine.sound.music import Music, Now
from engine.sound.splice import SPLICE_S, splice
from engine.sound.synthesis import N_LAYERS
from model.spectrum import loudness

REFILL_S = 3.0  # are made at once: the caches are cold for the first hop only
SPARE_HOPS = 2.0  # rendered with a splice, in times that a hop takes to make
HOP_DECAY = 0.9  # of the longest time to make a hop, from one hop to the next
MAX_SPARE_S = 1.0
GUARD_S = 0.01  # from the reader's next block to a splice that is offered
ANSWER_EVERY_S = 0.002  # between looks for the reader's answer
REPLAN_EVERY_S = 0.05  # changes that come faster are made together
ENOUGH_S = 2.5  # are made of a new plan before the next change, however many wait
BEHIND_S = 1.0  # of music that nobody will hear; farther behind, it is left out
LEAD_HOPS = 5.0  # from the reader to where a late producer begins, in times of a hop
MAX_LEAD_S = 2.0
CONCEALMENT_EVERY_S = 60.0  # at most: a loop takes as long as some three hops
CONCEALMENT_MOST = 4.0  # gain of a loop that was made in a softer place
CONCEALMENT_LIKE_DB = 4.0  # a loop that differs by less is not made again
SILENT = 1e-4  # peak, -80 dBFS: no music is so soft for long
SILENT_S = 6.0  # of silence: less than the ring holds, so the next song covers most
MOST_SILENT_S = 900.0  # that is waited where the next songs are silent, too
POSITIONS = 256  # kept of the hops: more than the ring holds


def planned(snapshot: Snapshot) -> dict[str, object]:
    """Return the controls whose change means that music must be rendered again."""
    return {
        name: value
        for name, value in snapshot.items()
        if CONTROLS[name].acts in ("plan", "song")
    }


class Producer:
    """Renders music ahead into a ring.

    Args:
        music: the stream; from `start` on it belongs to the producer thread.
        ring: of layers, as long as the look-ahead is to be.
        reader: of the ring; gets the concealment.
        controls: whose changes are followed.
        metrics: `frames` to `silences` are counted here.
        on_event: takes a row for the journal of every change, with its samples.
        clock: of the session.

    Raises:
        ValueError: the ring holds no two hops.
    """

    def __init__(
        self,
        music: Music,
        ring: MusicRing,
        reader: RingReader,
        controls: Controls,
        metrics: Metrics,
        on_event: OnEvent,
        clock: Clock = REAL_CLOCK,
    ) -> None:
        self.failure: BaseException | None = None
        self.positions: deque[Now] = deque(
            maxlen=POSITIONS
        )  # of the music, where each hop begins
        self._music, self._ring, self._reader = music, ring, reader
        self._controls, self._metrics, self._on_event = controls, metrics, on_event
        self._clock = clock
        # Space is left for a hop that begins just before, and one after a splice.
        self._ahead = ring.capacity - 2 * round(CONTROLS["hop"].high * self._rate)
        self._enough = round(ENOUGH_S * self._rate)
        self._refill = min(round(REFILL_S * self._rate), self._ahead // 2)
        self._rests = False  # since the ring was full
        if self._ahead <= 0:
            raise ValueError(f"a ring of {ring.capacity} samples holds no two hops")
        self._plan = planned(controls.snapshot)
        self._commands: queue.SimpleQueue[tuple[str, tuple[object, ...]]]
        self._commands = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._heard = 0  # sample of the last splice
        self._changed_at = -REPLAN_EVERY_S  # monotonic time of the last change
        self._since_change = self._enough  # samples made since then
        self._concealed: NDArray[np.float64] | None = None  # band powers of the loop
        self._concealed_at = 0.0  # monotonic time at which the loop was made
        self._hop_s = 0.0  # longest time that a hop took lately
        self._silent = 0  # samples since the music was heard last
        self._silent_s = SILENT_S  # of them until the next song is gone over to
        self._thread = clock.thread(self._run, "producer")

    def prime(self, seconds: float) -> None:
        """Fill the ring with the first seconds, before the thread is started."""
        wanted = round(seconds * self._rate)
        while self._ring.written < wanted and self._produce():
            pass

    def start(self) -> None:
        """Start the producer thread."""
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread; returns when it has ended or the time is over."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def command(self, name: str, *args: object) -> None:
        """Any thread: give the music a command; see `Music.command`."""
        self._commands.put((name, args))
        self._wake.set()

    def wake(self) -> None:
        """Any thread: have the controls compared with what is rendered."""
        self._wake.set()

    def _run(self) -> None:
        try:
            self._renew_concealment()  # here, so that the first sound does not wait
            while not self._stopping.is_set():
                self._step()
        except BaseException as error:  # the session reports it; the ring plays out
            self.failure = error

    def _step(self) -> None:
        if self._may_change() and self._take_changes():
            return
        if self._is_behind():
            self._replan(
                lambda at: self._music.command(at, "resume"),
                {"command": "resume", "args": []},
            )
        elif not self._produce():
            self._music.compose_ahead()
            self._keep_concealment()
            waits = self._has_changes()
            self._clock.wait(self._wake, REPLAN_EVERY_S if waits else self._idle_s())
            self._wake.clear()

    def _idle_s(self) -> float:
        """Until the ring may lack so much that it is filled, in seconds, at most."""
        most = 0.1 * self._ahead / self._rate
        if self._ring.finished:
            return most
        left = self._refill - (self._ahead - self._ring.available)
        return min(most, max(REPLAN_EVERY_S, left / self._rate))

    @property
    def _rate(self) -> int:
        return self._music.sample_rate

    def _may_change(self) -> bool:
        """Whether enough of the last change is made, and it was not just now."""
        if self._clock.now() - self._changed_at < REPLAN_EVERY_S:
            return False
        ahead = self._ring.written - self._ring.read
        is_enough = max(ahead, self._since_change) >= self._enough
        return is_enough or self._ring.finished

    def _is_behind(self) -> bool:
        late = self._ring.read - self._ring.written
        return late > BEHIND_S * self._rate and not self._ring.finished

    def _next_hop(self) -> Samples | None:
        started = self._clock.now()
        hop = self._music.next()
        self._hop_s = max(self._clock.now() - started, HOP_DECAY * self._hop_s)
        return hop

    def _produce(self) -> bool:
        """Render one hop ahead; False when the ring is full or nothing more comes.

        A ring that was full is left alone until it lacks `REFILL_S`.
        """
        lacks = self._ahead - self._ring.available
        self._rests = lacks <= (self._refill if self._rests else 0)
        if self._rests:
            return False
        hop = self._next_hop()
        if hop is None:
            self._ring.finished = True
            return False
        self._metrics.frames += 1
        self.positions.append(self._music.now(self._ring.written))
        self._metrics.bad_frames = self._music.bad_frames
        written = self._ring.write(hop, self._music.band_envelope)
        self._since_change += len(hop)
        self._level_concealment()
        self._leave_silence(hop)
        return written

    def _leave_silence(self, hop: Samples) -> None:
        """Go over to the next song where this one is silent: a model may be so."""
        if peak_of(hop) > SILENT:
            self._silent, self._silent_s = 0, SILENT_S
            return
        self._silent += len(hop)
        if self._silent >= self._silent_s * self._rate:
            self._silent = 0
            self._silent_s = min(2.0 * self._silent_s, MOST_SILENT_S)
            self._metrics.silences += 1
            self.command("next")

    def _keep_concealment(self) -> None:
        """Make the loop again if the music has moved on and nothing else waits."""
        if self._ring.finished or self._has_changes():
            return  # after the end nothing is late
        if self._clock.now() < self._concealed_at + CONCEALMENT_EVERY_S:
            return
        made, ending = self._concealed, self._music.ending
        if made is None or unlikeness(made, ending) > CONCEALMENT_LIKE_DB:
            self._renew_concealment()
        else:
            self._level_concealment()

    def _renew_concealment(self) -> None:
        self._concealed = self._music.ending
        self._reader.concealment = self._music.concealment()
        self._concealed_at = self._clock.now()

    def _level_concealment(self) -> None:
        """Make the loop as loud as the sound at the ring's end."""
        if self._concealed is None:
            return
        more = loudness(self._music.ending) - loudness(self._concealed)
        gain = min(db_to_amplitude(float(more)), CONCEALMENT_MOST)
        self._reader.concealment = replace(self._reader.concealment, gain=gain)

    def _take_changes(self) -> bool:
        """Replan for a waiting command or changed controls; False if there are none."""
        try:
            name, args = self._commands.get_nowait()
        except queue.Empty:
            return self._take_controls()
        try:
            self._replan(
                lambda at: self._music.command(at, name, args),
                {"command": name, "args": list(args)},
            )
        except InputError:  # refused before anything was changed
            return False
        return True

    def _take_controls(self) -> bool:
        snapshot = self._controls.snapshot
        plan = planned(snapshot)
        if plan == self._plan:
            return False
        changed = {k: v for k, v in plan.items() if self._plan[k] != v}
        self._plan = plan
        self._replan(lambda at: self._music.replan(at, snapshot), {"set": changed})
        return True

    def _has_changes(self) -> bool:
        waiting = not self._commands.empty()
        return waiting or planned(self._controls.snapshot) != self._plan

    def _replan(self, change: Callable[[int], None], row: Mapping[str, object]) -> None:
        """Change the music from just ahead of the reader on, and offer it to it.

        While the first samples of the new plan are made, the reader goes on; they are
        spliced in from a sample that it has not come to when it sees them.

        Args:
            change: makes the change in the music, from the sample that it is given.
            row: for the journal, which gets that sample as `at`, and as `heard` the
                one at which the change is spliced in. It is written as soon as that
                is certain, ahead of the reader, in case the process is killed.
        """
        end, before = self._ring.written, self._music.band_envelope
        at = max(self._heard, self._ring.read + self._guard)
        if at > end:  # nothing is left to splice into: leave time to make the first
            at += self._lead
        change(at)
        event: dict[str, object] = {"at": at, "heard": at, **row}
        new = np.zeros((0, N_LAYERS), np.float32)
        while True:
            new, heard = self._until_heard(new, at, end)
            if heard > at + len(new) + BEHIND_S * self._rate:
                at = heard + self._lead  # slower than the reader: leave that out
                self._music.command(at, "resume")
                event["resumed"] = at
                new = new[:0]
                continue
            glide = min(round(SPLICE_S * self._rate), max(0, end - heard))
            first = new[heard - at :]
            if glide:
                first = splice(self._ring.peek(heard, glide), first, self._rate)
            envelope = self._music.band_envelope.joined(before, heard, glide)
            offer = Splice(heard, first, envelope, self._has_ended)
            if self._ring.offer(offer, self._wait_for_answer):
                break
            if self._stopping.is_set():
                return
        self._music.band_envelope = envelope
        self._heard = heard
        event["heard"] = heard
        if glide < round(SPLICE_S * self._rate):
            event["glide"] = glide
        self._on_event(event)
        self._metrics.replans += 1
        self._changed_at = self._clock.now()
        self._since_change = len(first)
        while self.positions and self.positions[-1].position >= heard:
            self.positions.pop()
        self.positions.append(self._music.now(heard))

    def _wait_for_answer(self) -> bool:
        return not self._clock.wait(self._stopping, ANSWER_EVERY_S)

    @property
    def _has_ended(self) -> bool:
        total = self._music.n_samples
        return total is not None and self._music.position >= total

    @property
    def _guard(self) -> int:
        """Samples that the reader may take at any moment, and a few more."""
        return round(GUARD_S * self._rate) + self._metrics.block

    @property
    def _lead(self) -> int:
        """Samples in which a late producer can make the first of what comes next."""
        return round(min(LEAD_HOPS * self._hop_s, MAX_LEAD_S) * self._rate)

    def _until_heard(self, new: Samples, at: int, end: int) -> tuple[Samples, int]:
        """Render more of `new`, which begins at sample `at`, for a splice.

        Returns:
            The samples, and the sample at which they can be spliced in: enough that the
            next hop is made before the reader begins to miss it, unless the music ends
            or the reader is much faster.
        """
        while True:
            heard = max(at, self._ring.read + self._guard)
            spare = round(min(SPARE_HOPS * self._hop_s, MAX_SPARE_S) * self._rate)
            wanted = starved_of(self._rate) + grid_of(self._rate) + spare
            if heard > end:  # the music comes back when there is twice as much
                wanted += starved_of(self._rate)
            wanted = max(wanted, round(SPLICE_S * self._rate))
            if len(new) >= heard - at + wanted:
                return new, heard
            if heard > at + len(new) + BEHIND_S * self._rate and len(new):
                return new, heard
            piece = self._next_hop()
            if piece is None:
                return new, heard
            new = np.concatenate([new, piece])
