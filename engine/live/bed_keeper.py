"""The threads that load the bed's loops, change its effects, and make it ahead.

A change of effects is decided for a sample a little ahead of the mixer. Its loops may
take seconds to be made, so they are loaded before that sample is decided. A second
thread, which waits for no loop, makes the frames that the mixer adds.
"""

import contextlib
import queue
import threading
from collections.abc import Callable

from effects.bed.mix import mix_text
from effects.bed.schedule import EffectSchedule
from engine.control.callbacks import Event, OnEvent, Say
from engine.control.controls import Controls
from engine.control.steady import Steady
from engine.live.clock import REAL_CLOCK, Clock
from engine.live.live_bed import Leaves, LiveBed
from engine.live.mixer import Mixer
from engine.live.slow_work import AbandonedError, SlowWork
from engine.sound.bed import Bed

LEAD_S = 0.5  # from the mixer to a change of effects
EVERY_S = 1.0  # between looks at what has to be loaded
AHEAD_EVERY_S = 0.25  # between looks at which frames have to be made
ANSWER_EVERY_S = 0.005  # that the callback's answer is looked for
AGAIN_S = 10.0  # until a loop that could not be loaded is tried again
JOIN_S = 0.5  # for each thread to end


class BedKeeper:
    """Keeps a live bed supplied with loops, and carries out its commands.

    Args:
        bed: to keep.
        controls: whose changes of the bed's own controls are followed.
        mixer: that plays the bed.
        sample_rate: Hz.
        say: takes one line for the user.
        on_event: takes rows for the journal.
        clock: of the session.
    """

    def __init__(
        self,
        bed: Bed,
        controls: Controls,
        mixer: Mixer,
        sample_rate: int,
        say: Say,
        on_event: OnEvent,
        clock: Clock = REAL_CLOCK,
    ) -> None:
        self._bed, self._controls, self._mixer = bed, controls, mixer
        self._rate, self._say = sample_rate, say
        self._clock = clock
        self._commands: queue.SimpleQueue[tuple[str, tuple[object, ...]]]
        self._commands = queue.SimpleQueue()
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._has_begun = False
        self._changed_at = 0  # sample of the last change
        self._look_at = 0.0  # when loops are looked for again, by the clock
        self._live = LiveBed(
            bed,
            lambda: mixer.position,
            self._wait_for_answer,
            SlowWork(clock, self._stopping),
            on_event,
        )
        self.chosen = ""  # the effects that were asked for last, as a mix
        self._thread = clock.thread(self._run, "bed")
        self._frames_thread = clock.thread(self._make_ahead, "bed-frames")

    def begin(self, seconds: float) -> None:
        """Before `start`: load the first seconds.

        Raises:
            InputError: a loop cannot be loaded.
        """
        self._live.begin(seconds)
        self._has_begun = True

    def start(self) -> None:
        """Make the first frames, and start both threads."""
        self._mixer.make_bed_ahead()
        self._thread.start()
        self._frames_thread.start()

    def stop(self) -> None:
        """End the threads, after the mixer; harmless when they were not started."""
        self._stopping.set()
        self._wanted.set()
        for thread in (self._thread, self._frames_thread):
            if thread.is_alive():
                thread.join(JOIN_S)
        if self._has_begun:
            self._live.settle()

    def command(self, name: str, *args: object) -> None:
        """Any thread: change the effects as `Bed.command` does, once they are loaded.

        `chosen` shows at once what was asked for, though its loops may take seconds.

        Raises:
            InputError: there is no such effect, or it is no mix.
        """
        self.chosen = mix_text(self._bed.check(name, args))
        self._commands.put((name, args))
        self._wanted.set()

    def _make_ahead(self) -> None:
        steady = Steady("effects", self._say)
        while not self._clock.wait(self._stopping, AHEAD_EVERY_S):
            steady.do(self._mixer.make_bed_ahead)  # or else the mixer makes them
            steady.do(self._bed.give_back)

    def _run(self) -> None:
        steady = Steady("effects", self._say)
        while not self._stopping.is_set():
            self._clock.wait(self._wanted, EVERY_S)
            self._wanted.clear()
            if not steady.do(self._follow):
                self._look_at = self._clock.now() + AGAIN_S
            self._live.settle()

    def _follow(self) -> None:
        """Do what was asked for, and load what comes next."""
        with contextlib.suppress(AbandonedError):
            self._change()
            if self._clock.now() >= self._look_at:
                self._live.extend(self._is_asked)

    def _is_asked(self) -> bool:
        """Whether a change waits, which comes before what is loaded ahead of its time.

        It is looked at all the time, also while loops are loaded.
        """
        has_commands = not self._commands.empty()
        return has_commands or bool(self._bed.turned(self._controls.snapshot))

    def _change(self) -> None:
        """Carry out commands and changed controls, and write them to the journal."""
        bed = self._bed
        while not self._commands.empty():
            name, args = self._commands.get_nowait()
            if not bed.is_so(self._next_change(), name, args):
                self._command(name, args)
        if turned := bed.turned(self._controls.snapshot):
            self._change_ahead(
                lambda at: bed.turned_to(at, turned),
                lambda at: bed.turn(at, turned),
                {"set": dict(turned)},
            )
        if self._live.waits and self._clock.now() >= self._look_at:
            self._command("effects/resume", (), self._is_asked)

    def _command(
        self, name: str, args: tuple[object, ...], leaves: Leaves | None = None
    ) -> None:
        self._change_ahead(
            lambda at: self._bed.commanded(at, name, args),
            lambda at: self._bed.command(at, name, args),
            {"command": name, "args": list(args)},
            leaves,
        )

    def _change_ahead(
        self,
        changed: Callable[[int], EffectSchedule],
        make: Callable[[int], None],
        row: Event,
        leaves: Leaves | None = None,
    ) -> None:
        """Attempt a change ever farther ahead, until the mixer had not come by.

        With `leaves` it is not made while another one waits.
        """
        if not self._live.rehearse(self._next_change(), changed, leaves):
            return
        lead_s = LEAD_S
        while not self._stopping.is_set():
            self._changed_at = at = self._next_change(lead_s)
            if self._live.try_change(at, changed, make, row):
                return
            lead_s *= 2.0

    def _wait_for_answer(self) -> bool:
        return not self._clock.wait(self._stopping, ANSWER_EVERY_S)

    def _next_change(self, lead_s: float = LEAD_S) -> int:
        """Return the sample for a change; changes keep their order."""
        at = self._mixer.position + round(lead_s * self._rate)
        return max(at, self._changed_at)
