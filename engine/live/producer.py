"""The producer: keeps the ring full, and renders its unheard part again on a change.

Threads: the producer thread alone owns the `Music` and writes the ring. `command` and
`wake` may be called from any thread. A change of plan holds from just ahead of the
reader on, and is spliced in as soon as its first samples are made, a block ahead of
where the reader then is: near enough to be heard at once, and far enough that the
reader cannot pass it before it is written. The producer may be late by as much as the
ring holds; for longer delays it keeps a concealment loop of the ring's last sound.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from effects.audio.levels import Samples, db_to_amplitude
from effects.base.errors import InputError
from engine.control.callbacks import OnEvent
from engine.control.controls import CONTROLS, Controls, Snapshot
from engine.live.metrics import Metrics
from engine.live.ring import RingBuffer
from engine.live.ring_reader import RingReader
from engine.sound.concealment_loop import unlikeness
from engine.sound.music import Music, Now
from engine.sound.splice import SPLICE_S, splice
from engine.sound.synthesis import N_LAYERS
from model.spectrum import loudness

SPARE_HOPS = 2.0  # rendered with a splice, in times that a hop takes to make
HOP_DECAY = 0.9  # of the longest time to make a hop, from one hop to the next
MAX_SPARE_S = 1.0
GUARD_S = 0.01  # from the reader's next block to a splice that is written
REPLAN_EVERY_S = 0.05  # changes that come faster are made together
CONCEALMENT_EVERY_S = 8.0  # at most: a loop takes as long as some eight hops
CONCEALMENT_MOST = 4.0  # gain of a loop that was made in a softer place
CONCEALMENT_LIKE_DB = 4.0  # a loop that differs by less is not made again
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
        reader: of the ring; gets masking, concealment and the end of the stream.
        controls: whose changes are followed.
        metrics: `frames`, `replans` and `bad_frames` are counted here.
        on_event: takes a row for the journal of every change, with its samples.

    Raises:
        ValueError: the ring holds no two hops.
    """

    def __init__(
        self,
        music: Music,
        ring: RingBuffer,
        reader: RingReader,
        controls: Controls,
        metrics: Metrics,
        on_event: OnEvent,
    ) -> None:
        self.failure: BaseException | None = None
        self.positions: deque[Now] = deque(
            maxlen=POSITIONS
        )  # of the music, where each hop begins
        self._music, self._ring, self._reader = music, ring, reader
        self._controls, self._metrics, self._on_event = controls, metrics, on_event
        # Space is left for a hop that begins just before, and one after a splice.
        self._ahead = ring.capacity - 2 * round(CONTROLS["hop"].high * self._rate)
        # After so much of a new plan, the next change need not wait for the rest.
        self._enough = round(2.5 * self._rate)
        if self._ahead <= 0:
            raise ValueError(f"a ring of {ring.capacity} samples holds no two hops")
        self._plan = planned(controls.snapshot)
        self._commands: queue.SimpleQueue[tuple[str, tuple[object, ...]]]
        self._commands = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._heard = 0  # sample of the last splice
        self._stale: tuple[int, int] | None = None  # span of an old plan
        self._concealed: NDArray[np.float64] | None = None  # band powers of the loop
        self._concealed_at = 0.0  # monotonic time at which the loop was made
        self._hop_s = 0.0  # longest time that a hop took lately
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)

    def prime(self, seconds: float) -> None:
        """Fill the ring with the first seconds, before the thread is started."""
        wanted = round(seconds * self._rate)
        while self._ring.written < wanted and self._produce():
            pass
        self._renew_concealment()

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
            while not self._stopping.is_set():
                if self._take_changes():
                    self._stopping.wait(REPLAN_EVERY_S)
                elif self._stale is not None:  # the change was taken back
                    self._overwrite(*self._stale)
                elif not self._produce():
                    self._music.compose_ahead()
                    self._keep_concealment()
                    self._wake.wait(0.1 * self._ahead / self._rate)
                    self._wake.clear()
        except BaseException as error:  # the session reports it; the ring plays out
            self.failure = error
            raise

    @property
    def _rate(self) -> int:
        return self._music.sample_rate

    def _next_hop(self) -> Samples | None:
        started = time.monotonic()
        hop = self._music.next()
        self._hop_s = max(time.monotonic() - started, HOP_DECAY * self._hop_s)
        return hop

    def _produce(self) -> bool:
        """Render one hop ahead; False when there is no room or nothing more."""
        if self._ring.available >= self._ahead:
            return False
        hop = self._next_hop()
        if hop is None:
            self._reader.finished = True
            return False
        self._reader.band_envelope = self._music.band_envelope
        self._metrics.frames += 1
        self.positions.append(self._music.now(self._ring.written))
        self._metrics.bad_frames = self._music.bad_frames
        written = self._ring.write(hop)
        self._level_concealment()
        return written

    def _keep_concealment(self) -> None:
        """Make the loop again if the music has moved on and nothing else waits."""
        if self._reader.finished or self._has_changes():
            return  # after the end nothing is late
        if time.monotonic() < self._concealed_at + CONCEALMENT_EVERY_S:
            return
        made, ending = self._concealed, self._music.ending
        if made is None or unlikeness(made, ending) > CONCEALMENT_LIKE_DB:
            self._renew_concealment()
        else:
            self._level_concealment()

    def _renew_concealment(self) -> None:
        self._concealed = self._music.ending
        self._reader.concealment = self._music.concealment()
        self._concealed_at = time.monotonic()

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
        """Change the music from just ahead of the reader on, and overwrite the ring.

        While the first samples of the new plan are made, the reader goes on; they are
        spliced in from a sample that it cannot pass before they are written.

        Args:
            change: makes the change in the music, from the sample that it is given.
            row: for the journal, which gets that sample as `at`, and as `heard` the
                one at which the change is spliced in. It is written as soon as that
                is certain, ahead of the reader, in case the process is killed.
        """
        guard, end = self._guard, self._ring.written
        before = self._music.band_envelope
        at = max(self._heard, min(self._ring.read + guard, end))
        change(at)
        new = np.zeros((0, N_LAYERS), np.float32)
        glide = round(SPLICE_S * self._rate)
        while True:
            new, heard = self._until_heard(new, at, end)
            length = min(glide, end - heard)
            old = self._ring.peek(heard, length)
            first = splice(old, new[heard - at :], self._rate)
            joined = self._music.band_envelope.joined(before, heard, glide)
            # Spliced in at once: on a busy machine this thread may stop anywhere for
            # longer than the guard, and the ring refuses what the reader has passed.
            if heard == end or (
                self._ring.read + guard <= heard + self._metrics.block
                and self._ring.rewrite(heard, first[: end - heard])
            ):
                break
        self._music.band_envelope = self._reader.band_envelope = joined
        self._heard = heard
        self._on_event({"at": at, "heard": heard, **row})
        self._reader.finished = False
        self._metrics.replans += 1
        while self.positions and self.positions[-1].position >= heard:
            self.positions.pop()
        self.positions.append(self._music.now(heard))
        self._stale = None
        if len(first):
            self._overwrite(heard, end, first)

    @property
    def _guard(self) -> int:
        """Samples that the reader may take at any moment, and a few more."""
        return round(GUARD_S * self._rate) + self._metrics.block

    def _until_heard(self, new: Samples, at: int, end: int) -> tuple[Samples, int]:
        """Render more of `new`, which begins at sample `at`, for a splice.

        Returns:
            The samples, and the sample at which they can be spliced in.
        """
        while True:
            heard = max(at, min(self._ring.read + self._guard, end))
            length = min(round(SPLICE_S * self._rate), end - heard)
            piece = None
            # The next hop has to be made before the reader comes to its beginning.
            spare = round(min(SPARE_HOPS * self._hop_s, MAX_SPARE_S) * self._rate)
            if len(new) < heard - at + max(1, length) + min(spare, end - heard):
                piece = self._next_hop()
            if piece is None:
                return new, heard
            new = np.concatenate([new, piece])

    def _overwrite(self, at: int, end: int, first: Samples | None = None) -> None:
        """Write the new plan from `at` to the end of what was written before.

        It may stop early for another change, which will overwrite the rest; but it
        writes `_enough` samples first, however many changes wait.
        """
        position, piece, self._stale = at, first, None
        while True:
            if piece is None:
                self.positions.append(self._music.now(position))
                piece = self._next_hop()
                if piece is None:
                    return
                self._reader.band_envelope = self._music.band_envelope
            inside = max(0, min(len(piece), end - position))
            self._ring.rewrite(position, piece[:inside])
            if inside < len(piece):
                self._ring.write(piece[inside:])
            position += len(piece)
            waiting = self._has_changes()
            if position > self._ring.read + self._enough and waiting:
                self._stale = (position, end) if position < end else None
                return
            if position >= end and not waiting:
                return
            piece = None
