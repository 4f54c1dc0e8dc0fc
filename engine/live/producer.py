"""The producer: keeps the ring full, and renders its unheard part again on a change.

Threads: `run` is the producer thread; it alone owns the `Music` and writes the ring.
`command` and `wake` may be called from any thread. A change of plan is spliced in a
tenth of a second ahead of the reader: far enough that writing wins the race, near
enough to be heard at once. It may be late by as much as the ring holds.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np

from effects.errors import InputError
from effects.fades import crossfade
from effects.levels import Samples
from engine.live.controls import CONTROLS, Controls, Snapshot
from engine.live.feed import Feed
from engine.live.metrics import Metrics
from engine.live.ring import RingBuffer
from engine.sound.music import Music, Now

MARGIN_S = 0.1  # from the reader to a splice
SPLICE_S = 0.06  # length of the crossfade into a new plan
GUARD_S = 0.02  # that the reader must still be away when a splice is written
REPLAN_EVERY_S = 0.05  # changes that come faster are taken together
MARKS = 256  # kept of where the music is: more than the ring holds hops

OnEvent = Callable[[Mapping[str, object]], None]


def splice(old: Samples, new: Samples, sample_rate: int) -> Samples:
    """`new`, with its beginning crossfaded from `old`; both start at the same sample.

    Returns:
        An array like `new`; shorter crossfades where `old` or `new` is short.
    """
    length = min(round(SPLICE_S * sample_rate), len(old), len(new))
    if length:
        new = new.copy()
        new[:length] = crossfade(old[:length], new[:length])
    return new


def planned(snapshot: Snapshot) -> dict[str, object]:
    """The part of a snapshot for which the music must be planned again."""
    return {
        name: value
        for name, value in snapshot.items()
        if CONTROLS[name].acts != "block" and not name.startswith("effects/")
    }


class Producer:
    """Renders music ahead into a ring.

    Args:
        music: the stream; from `start` on it belongs to the producer thread.
        ring: of layers, as long as the look-ahead is to be.
        feed: told when the stream has ended.
        controls: where changes come from.
        metrics: counters to keep.
        on_event: told of every change of plan and the sample at which it holds.
    """

    def __init__(
        self,
        music: Music,
        ring: RingBuffer,
        feed: Feed,
        controls: Controls,
        metrics: Metrics,
        on_event: OnEvent,
    ) -> None:
        self.failure: BaseException | None = None
        self.marks: deque[Now] = deque(maxlen=MARKS)  # where each hop begins
        self._music, self._ring, self._feed = music, ring, feed
        self._controls, self._metrics, self._on_event = controls, metrics, on_event
        # Room for a hop that begins just before, and one more after a splice.
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
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)

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
        """Any thread: do this as soon as it can be heard."""
        self._commands.put((name, args))
        self._wake.set()

    def wake(self) -> None:
        """Any thread: controls have changed."""
        self._wake.set()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                if self._take_changes():
                    self._stopping.wait(REPLAN_EVERY_S)
                elif not self._produce():
                    self._wake.wait(0.1 * self._ahead / self._rate)
                    self._wake.clear()
        except BaseException as error:  # the session reports it; the ring plays on
            self.failure = error
            raise

    @property
    def _rate(self) -> int:
        return self._music.sample_rate

    def _produce(self) -> bool:
        """Render one hop ahead; False when there is no room or nothing more."""
        if self._ring.available >= self._ahead:
            return False
        hop = self._music.next()
        if hop is None:
            self._feed.finished = True
            return False
        self._metrics.frames += 1
        self.marks.append(self._music.now(self._ring.written))
        self._metrics.bad_frames = self._music.bad_frames
        return self._ring.write(hop)

    def _take_changes(self) -> bool:
        """Replan for a waiting command or changed controls; False if there are none."""
        try:
            name, args = self._commands.get_nowait()
        except queue.Empty:
            return self._take_controls()
        try:
            at = self._replan(lambda at: self._music.command(at, name, args))
        except InputError:  # refused before anything was changed
            return False
        self._on_event({"at": at, "command": name, "args": list(args)})
        return True

    def _take_controls(self) -> bool:
        snapshot = self._controls.snapshot
        plan = planned(snapshot)
        if plan == self._plan:
            return False
        changed = {k: v for k, v in plan.items() if self._plan[k] != v}
        self._plan = plan
        at = self._replan(lambda at: self._music.replan(at, snapshot))
        self._on_event({"at": at, "set": changed})
        return True

    def _has_changes(self) -> bool:
        waiting = not self._commands.empty()
        return waiting or planned(self._controls.snapshot) != self._plan

    def _replan(self, change: Callable[[int], None]) -> int:
        """Change the music a little ahead of the reader, and overwrite what follows.

        When the reader has come by before the new samples were ready, all is done
        again with more margin.

        Returns:
            The sample from which the change holds.
        """
        margin = round(MARGIN_S * self._rate)
        while True:
            before = self._music.checkpoint()
            end = self._ring.written
            at = min(self._ring.read + margin, end)
            old = self._ring.peek(at, min(round(SPLICE_S * self._rate), end - at))
            change(at)
            new = self._gather(len(old))
            guard = round(GUARD_S * self._rate)
            if at == end or self._ring.read + guard <= at:
                break
            self._music.rollback(before)
            margin *= 2
            self._metrics.late += 1
        self._feed.finished = False
        self._metrics.replans += 1
        while self.marks and self.marks[-1].position >= at:
            self.marks.pop()
        self.marks.append(self._music.now(at))
        if new is not None:
            self._overwrite(at, end, splice(old, new, self._rate))
        return at

    def _overwrite(self, at: int, end: int, first: Samples) -> None:
        """Write the new plan from `at` to the end of what was written before.

        It may stop early for another change, which will overwrite the rest.
        """
        position, piece = at, first
        while True:
            inside = min(len(piece), end - position)
            self._ring.rewrite(position, piece[:inside])
            if inside < len(piece):
                self._ring.write(piece[inside:])
            position += len(piece)
            if position >= end:
                return
            if position > self._ring.read + self._enough and self._has_changes():
                return
            self.marks.append(self._music.now(position))
            following = self._music.next()
            if following is None:
                return
            piece = following

    def _gather(self, n_samples: int) -> Samples | None:
        """The next hops, at least `n_samples` long if there is so much."""
        pieces: list[Samples] = []
        while sum(map(len, pieces)) < max(1, n_samples):
            piece = self._music.next()
            if piece is None:
                break
            pieces.append(piece)
        return np.concatenate(pieces) if pieces else None
