"""The bed: which loops lie under the music, prepared ahead of their time.

Loops are loaded by a thread that may take its time, offline by `prepare`, live by
`engine.live.live_bed`; the mixer reads the layers. What plays at a sample depends on
names, seed, controls and commands alone.
"""

from collections.abc import Mapping
from dataclasses import replace

from effects.bed.layers import layers_between
from effects.bed.loop_layer import LoopLayer
from effects.bed.mix import Mix, MixedEffect, mix_from
from effects.bed.published_layers import PublishedLayers
from effects.bed.schedule import EffectSchedule
from effects.bed.timeline import BedEvent, BedSettings
from effects.shelf.library import Library, shared_library
from engine.compose.loudness_plan import FADE_OUT_S
from engine.control.controls import CONTROLS, Controls, Snapshot, Value
from engine.sound.effect_timbres import heard
from model.inference import TimbreModel

LOOK_AHEAD_S = 60.0
PREPARE_EVERY_S = 10.0
PAST_S = 0.25  # behind the next sample, in which frames begin that are not made yet

# Commands that need no effect; the last two are the session's own, for its journal.
KIND_OF = {
    "effects/next": "next",
    "effects/wait": "wait",
    "effects/resume": "resume",
}


class Bed:
    """The effects of one stream.

    Args:
        controls: in force at the start; `turn` tells of later ones.
        names: of the effects to choose from; none for all on the shelf.
        seed: of the order in which effects come.
        sample_rate: Hz.
        n_samples: where the stream ends, or None.
        library: the shelf; the user's by default.
        model: whose encoder hears which effects are alike; without one, only how
            their levels move counts.

    Raises:
        InputError: there is no effect of a name.
    """

    def __init__(
        self,
        controls: Controls,
        *,
        names: tuple[str, ...] = (),
        seed: int,
        sample_rate: int,
        n_samples: int | None = None,
        library: Library | None = None,
        model: TimbreModel | None = None,
    ) -> None:
        self.layers = PublishedLayers()  # what the mixer plays
        self._library = library or shared_library()
        self.sample_rate, self._n_samples = sample_rate, n_samples
        self._values = _values(controls.snapshot)
        # Once each: the loops of all of them are held in memory.
        chosen = tuple(dict.fromkeys(self._library.entry(n).name for n in names))
        self._available = tuple(self._library.names())
        chosen = chosen or self._available
        self.schedule = EffectSchedule(
            chosen,
            seed,
            similarity=self._library.similarity(
                chosen, heard(model, self._library, chosen) if model else None
            ),
            settings=_settings(self._values),
        )
        self._next_at = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The effects to choose from."""
        return self.schedule.names

    @property
    def available(self) -> tuple[str, ...]:
        """All effects that can be asked for, chosen from or not."""
        return self._available

    def sounding(self, position: int) -> tuple[str, ...]:
        """Names of the effects that sound at a sample."""
        seconds = position / self.sample_rate
        regions = self.schedule.regions_between(seconds, seconds + 0.01)
        return tuple(region.name for region in regions)

    def check(self, name: str, args: tuple[object, ...] = ()) -> Mix:
        """Any thread: the effects that a command asks for; none for the order's.

        Raises:
            InputError: there is no such effect, or it is no mix.
        """
        mix = _asked_for(name, args)
        for effect in mix:
            self._library.entry(effect.name)
        return mix

    def is_so(self, at: int, name: str, args: tuple[object, ...] = ()) -> bool:
        """Whether a command would change nothing from sample `at` on."""
        if name == "effects/next":
            return False
        return self.schedule.chosen_at(at / self.sample_rate) == _asked_for(name, args)

    def command(self, at: int, name: str, args: tuple[object, ...] = ()) -> None:
        """From sample `at` on, do what `name` says.

        `effects/next` takes nothing, `effects/only` a name or nothing, `effects/mix` a
        text that `effects.bed.mix` reads, or nothing.

        Raises:
            InputError: there is no such effect, or it is no mix.
        """
        self.adopt(self.commanded(at, name, args))

    def commanded(
        self, at: int, name: str, args: tuple[object, ...] = ()
    ) -> EffectSchedule:
        """What a command from sample `at` on would make of the schedule."""
        mix = self.check(name, args)
        kind = KIND_OF.get(name) or ("mix" if mix else "all")
        return self.schedule.with_event(BedEvent(at / self.sample_rate, kind, mix))

    def turned(self, snapshot: Snapshot) -> Mapping[str, Value]:
        """The bed's own controls that are not as they were when it was told last."""
        values = _values(snapshot)
        return {k: v for k, v in values.items() if self._values[k] != v}

    def turn(self, at: int, values: Mapping[str, Value]) -> None:
        """From sample `at` on, effects follow one another under these controls."""
        schedule = self.turned_to(at, values)
        self._values = {**self._values, **values}
        self.adopt(schedule)

    def turned_to(self, at: int, values: Mapping[str, Value]) -> EffectSchedule:
        """What turned controls would make of the schedule from sample `at` on."""
        settings = _settings({**self._values, **values})
        event = BedEvent(at / self.sample_rate, "settings", settings=settings)
        return self.schedule.with_event(event)

    def adopt(self, schedule: EffectSchedule) -> None:
        """Go on by another schedule, which is the same up to what comes next."""
        self.schedule, self._next_at = schedule, 0

    @property
    def look_ahead_s(self) -> float:
        """Seconds for which loops are held: for quick changes, what the shelf keeps."""
        dwell_s = float(self._values["effects/dwell"])
        return min(LOOK_AHEAD_S, max(10.0, 1.5 * dwell_s))

    def prepare(self, position: int) -> None:
        """Offline: make sure that the loops of the time ahead are there.

        Args:
            position: the sample that comes next.

        Raises:
            InputError: a loop cannot be loaded.
        """
        if position < self._next_at:
            return
        ahead_s = self.look_ahead_s
        every_s = min(PREPARE_EVERY_S, ahead_s / 4.0)
        self._next_at = position + round(every_s * self.sample_rate)
        end = position + round(ahead_s * self.sample_rate)
        self.layers.replace(self.layers_of(self.schedule, position, end))

    def is_there(self, name: str) -> bool:
        """Whether an effect's loop can be loaded at once."""
        return self._library.is_there(name, self.sample_rate)

    def has_to_be_made(self, name: str) -> bool:
        """Whether an effect's loop is one of ours that was not made yet."""
        return self._library.is_bundled(name) and not self.is_there(name)

    def load(self, name: str) -> None:
        """Have an effect's loop at hand; another process may take seconds to make it.

        Raises:
            InputError: it cannot be loaded.
        """
        if self._library.is_bundled(name):  # one's own are read within a moment
            self._library.make_apart(name, self.sample_rate)
        self._library.load(name, self.sample_rate)

    def give_back(self) -> None:
        """Any thread: let go of the memory of what was read of loops."""
        self._library.give_back()

    def layers_of(
        self, schedule: EffectSchedule, begin: int, end: int
    ) -> list[LoopLayer]:
        """What sounds at samples [begin, end) by a schedule; its loops are loaded.

        Raises:
            InputError: a loop cannot be loaded.
        """
        begin -= round(PAST_S * self.sample_rate)
        load = self._library.load
        found = layers_between(schedule, load, self.sample_rate, begin, end)
        return [self._within(layer) for layer in found]

    def _within(self, layer: LoopLayer) -> LoopLayer:
        """The layer, faded away at the end of the stream."""
        total = self._n_samples
        if total is None or (layer.stop is not None and layer.stop <= total):
            return layer
        fade = min(round(FADE_OUT_S * self.sample_rate), total // 8)
        return replace(layer, stop=total, fade_out=fade)


def _asked_for(name: str, args: tuple[object, ...]) -> Mix:
    """The effects that a command names; none for those of the order.

    Raises:
        InputError: it is no mix.
    """
    text = str(args[0]) if args and args[0] else ""
    if name == "effects/mix":
        return mix_from(text)
    return (MixedEffect(text),) if name == "effects/only" and text else ()


def _values(snapshot: Snapshot) -> dict[str, Value]:
    return {k: v for k, v in snapshot.items() if CONTROLS[k].acts == "bed"}


def _settings(values: Mapping[str, Value]) -> BedSettings:
    return BedSettings(
        dwell_s=float(values["effects/dwell"]),
        crossfade_s=float(values["effects/crossfade"]),
        density=float(values["effects/density"]),
    )
