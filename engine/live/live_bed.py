"""A bed that plays: what the mixer has of it is known to be there, at any time to come.

What is published to the mixer holds for ever: behind the time for which loops are
loaded, the order of effects stands still, and what sounds then goes on. Before that
time comes, more is loaded and offered; a change that was asked for does not wait for
that. Should a loop be late, the mixer comes to where
the order stands still: it waits, which is written to the journal while the loop is
still being loaded, and goes on when the loop is there. So no effect is missing where
its crossfade begins, however slow the disk is.
"""

from collections.abc import Callable
from typing import TypeAlias

from effects.bed.loop_layer import LoopLayer
from effects.bed.schedule import EffectSchedule
from effects.bed.timeline import BedEvent
from engine.control.callbacks import Event, OnEvent
from engine.live.slow_work import SlowWork, Work
from engine.sound.bed import Bed

NEAR_S = 4.0  # behind a change, of which the loops are loaded before it is made
MARGIN_S = 0.5  # from where the order waits to an effect that is not there yet
# From the mixer to where it is settled that the order waits. The frames of the bed
# that are heard now reach less far.
SETTLED_S = 0.25


Leaves: TypeAlias = Callable[[], bool]


def _never() -> bool:
    return False


class LiveBed:
    """Publishes a bed to a mixer, and makes its changes. One thread calls it.

    Args:
        bed: that plays.
        position: gives the mixer's.
        wait: waits a moment for the mixer's answer; false to give up.
        slow_work: loads loops.
        on_event: takes rows for the journal.
    """

    def __init__(
        self,
        bed: Bed,
        position: Callable[[], int],
        wait: Callable[[], bool],
        slow_work: SlowWork,
        on_event: OnEvent,
    ) -> None:
        self._bed, self._position = bed, position
        self._wait, self._slow_work, self._on_event = wait, slow_work, on_event
        self._known = 0  # sample up to which what is published knows its loops
        # A loop that is being loaded ahead of its time: one at most.
        self._ahead: tuple[str, Work[None]] | None = None

    def begin(self, seconds: float) -> None:
        """Before the mixer runs: publish the first seconds.

        A loop that has to be made first takes seconds: the music begins, and the bed
        comes when it is there.

        Raises:
            InputError: a loop cannot be loaded.
        """
        first = self._bed.schedule.regions_between(0.0, seconds)
        if any(self._bed.has_to_be_made(region.name) for region in first):
            self._note_wait()
            return
        self._known = self._samples(seconds)
        waiting = self._waiting(self._bed.schedule, self._known)
        self._bed.layers.replace(self._bed.layers_of(waiting, 0, self._known))

    @property
    def waits(self) -> bool:
        """Whether the order stands still, since a loop was late."""
        return self._bed.schedule.waits_at(self._known / self._bed.sample_rate)

    def settle(self) -> None:
        """Note that the order waits, if the mixer is about to come to where it does.

        It is called all the time, also while loops are loaded, and after the end: a
        journal that ends within a wait has it.
        """
        settled = self._position() + self._samples(SETTLED_S)
        if settled > self._known and not self.waits:
            self._note_wait()

    def try_change(
        self,
        at: int,
        changed: Callable[[int], EffectSchedule],
        make: Callable[[int], None],
        row: Event,
    ) -> bool:
        """Make a change from sample `at` on, unless the mixer has come by.

        Args:
            at: the sample.
            changed: gives the schedule with the change from a sample on.
            make: makes it in the bed.
            row: for the journal.

        Returns:
            Whether it was made.

        Raises:
            InputError: a loop cannot be loaded.
            AbandonedError: the session ends.
        """
        known = at + self._samples(NEAR_S)
        layers = self._layers_of(self._waiting(changed(at), known), known)
        differs_at = at if self.waits else min(self._known, at)
        if layers is None or not self._offer(layers, differs_at):
            return False
        make(at)
        self._known = known
        self._on_event({"at": at, **row})
        return True

    def rehearse(
        self,
        at: int,
        changed: Callable[[int], EffectSchedule],
        leaves: Leaves | None = None,
    ) -> bool:
        """Load what a change at about sample `at` will need, without making it.

        Args:
            at: the sample.
            changed: gives the schedule with the change from a sample on.
            leaves: whether another change is to be made first; None: this one is the
                one that is asked for.

        Returns:
            Whether all is loaded; false: left for another change.

        Raises:
            InputError: a loop cannot be loaded.
            AbandonedError: the session ends.
        """
        end = at + self._samples(NEAR_S)
        schedule = self._waiting(changed(at), end)
        rate = self._bed.sample_rate
        for region in schedule.regions_between(self._position() / rate, end / rate):
            if self._is_there(region.name):
                continue
            if leaves is None:
                self._load(region.name)
            elif not self._load_ahead(region.name, leaves):
                return False
        self._layers_of(schedule, end)
        return True

    def extend(self, leaves: Leaves) -> None:
        """Load what comes next, and publish it; what may take long, piece by piece.

        Args:
            leaves: whether a change is to be made first.

        Raises:
            InputError: a loop cannot be loaded.
            AbandonedError: the session ends.
        """
        bed, position = self._bed, self._position()
        end = position + self._samples(bed.look_ahead_s)
        if self.waits or self._known - position > 0.75 * (end - position):
            return
        rate = bed.sample_rate
        for region in bed.schedule.regions_between(position / rate, end / rate):
            if not self._is_there(region.name):
                self._publish(round((region.start_s - MARGIN_S) * rate))
                if not self._load_ahead(region.name, leaves):
                    return
        self._publish(end)

    def _is_there(self, name: str) -> bool:
        """Whether a loop can be loaded at once; a disk may hang over the question."""
        return self._slow_work.do(lambda: self._bed.is_there(name), self.settle)

    def _load_ahead(self, name: str, leaves: Leaves) -> bool:
        """Load a loop ahead of its time; false when it was left for a change.

        It goes on being loaded then, and is come back to. Another is not begun before
        it is there, so that changes do not leave ever more work behind them.
        """
        while True:
            if self._ahead is None:
                self._ahead = name, self._slow_work.begin(lambda: self._bed.load(name))
            loaded, work = self._ahead
            if not self._slow_work.wait(work, self.settle, leaves):
                return False
            self._ahead = None
            if loaded == name:
                work.result()
                return True

    def _load(self, name: str) -> None:
        """Load a loop that a change needs, whatever is loaded ahead of its time."""
        if self._ahead is not None and self._ahead[0] == name:
            self._load_ahead(name, _never)
        else:
            self._slow_work.do(lambda: self._bed.load(name), self.settle)

    def _publish(self, known: int) -> None:
        """Have the order stand still at a later sample than it would now."""
        if known <= self._known or self.waits:
            return
        layers = self._layers_of(self._waiting(self._bed.schedule, known), known)
        if layers is not None and self._offer(layers, self._known):
            self._known = known

    def _layers_of(self, schedule: EffectSchedule, end: int) -> list[LoopLayer] | None:
        """What sounds from now on by a schedule; None: the order has begun to wait.

        Then the schedule that was asked for is out of date.
        """
        waited, begin = self.waits, self._position()
        layers = self._slow_work.do(
            lambda: self._bed.layers_of(schedule, begin, end), self.settle
        )
        return layers if self.waits == waited else None

    def _offer(self, layers: list[LoopLayer], until: int) -> bool:
        """Offer layers that differ from a sample on; note when the order has waited."""
        gave_up = False

        def wait() -> bool:
            nonlocal gave_up
            gave_up = not self._wait()
            return not gave_up

        if self._bed.layers.offer(layers, until, wait):
            return True
        if not gave_up and until == self._known and not self.waits:
            self._note_wait()
        return False

    def _note_wait(self) -> None:
        """The mixer comes to where the order stands still."""
        self._bed.command(self._known, "effects/wait")
        self._on_event({"at": self._known, "command": "effects/wait", "args": []})

    def _waiting(self, schedule: EffectSchedule, at: int) -> EffectSchedule:
        return schedule.with_event(BedEvent(at / self._bed.sample_rate, "wait"))

    def _samples(self, seconds: float) -> int:
        return round(seconds * self._bed.sample_rate)
