"""The bed: which loops lie under the music, prepared ahead of their time.

`prepare` is called by the thread that may load files; the mixer reads the layers. What
plays at a sample depends on names, seed and controls alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

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
NEAR_S = 4.0  # of a change, loaded before it is made and heard before the rest is


@dataclass(frozen=True)
class When:
    """For what a live bed does.

    Attributes:
        position: sample that has not been heard yet.
        at: sample from which the change is to hold.
        wait: called until the callback has said whether it was in time; false to
            give up.
    """

    position: int
    at: int
    wait: Callable[[], bool]


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
        self._sample_rate, self._n_samples = sample_rate, n_samples
        self._values = _values(controls.snapshot)
        # Once each: the loops of all of them are held in memory.
        chosen = tuple(dict.fromkeys(self._library.entry(n).name for n in names))
        self._available = tuple(self._library.names())
        chosen = chosen or self._available
        self._schedule = EffectSchedule(
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
        return self._schedule.names

    @property
    def available(self) -> tuple[str, ...]:
        """All effects that can be asked for, chosen from or not."""
        return self._available

    def sounding(self, position: int) -> tuple[str, ...]:
        """Names of the effects that sound at a sample."""
        seconds = position / self._sample_rate
        regions = self._schedule.regions_between(seconds, seconds + 0.01)
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
        return self._schedule.chosen_at(at / self._sample_rate) == _asked_for(
            name, args
        )

    def rehearse(self, at: int, name: str, args: tuple[object, ...] = ()) -> None:
        """Load what a command at about sample `at` will need, without doing it."""
        self._load(self._commanded(at, name, args), at, NEAR_S)

    def rehearse_turn(self, at: int, values: Mapping[str, Value]) -> None:
        """Load what turned controls will need, without turning them."""
        self._load(self._turned(at, values), at, NEAR_S)

    def try_command(self, name: str, args: tuple[object, ...], when: When) -> bool:
        """Live: `command`, unless it is too late for it when its loops are there."""
        return self._try(self._commanded(when.at, name, args), when)

    def try_turn(self, values: Mapping[str, Value], when: When) -> bool:
        """Live: `turn`, unless it is too late for it when its loops are there."""
        done = self._try(self._turned(when.at, values), when)
        if done:
            self._values = {**self._values, **values}
        return done

    def _try(self, schedule: EffectSchedule, when: When) -> bool:
        near_s = (when.at - when.position) / self._sample_rate + NEAR_S
        layers = self._load(schedule, when.position, near_s)
        if not self.layers.offer(layers, when.at, when.wait):
            return False
        self._schedule, self._next_at = schedule, 0
        return True

    def command(self, at: int, name: str, args: tuple[object, ...] = ()) -> None:
        """From sample `at` on, do what `name` says.

        `effects/next` takes nothing, `effects/only` a name or nothing, `effects/mix` a
        text that `effects.bed.mix` reads, or nothing.

        Raises:
            InputError: there is no such effect, or it is no mix.
        """
        self._schedule = self._commanded(at, name, args)
        self._next_at = 0

    def _commanded(
        self, at: int, name: str, args: tuple[object, ...]
    ) -> EffectSchedule:
        mix = self.check(name, args)
        kind = "next" if name == "effects/next" else "mix" if mix else "all"
        return self._schedule.with_event(BedEvent(at / self._sample_rate, kind, mix))

    def turned(self, snapshot: Snapshot) -> Mapping[str, Value]:
        """The bed's own controls that are not as they were when it was told last."""
        values = _values(snapshot)
        return {k: v for k, v in values.items() if self._values[k] != v}

    def turn(self, at: int, values: Mapping[str, Value]) -> None:
        """From sample `at` on, effects follow one another under these controls."""
        self._schedule = self._turned(at, values)
        self._values = {**self._values, **values}
        self._next_at = 0

    def _turned(self, at: int, values: Mapping[str, Value]) -> EffectSchedule:
        settings = _settings({**self._values, **values})
        event = BedEvent(at / self._sample_rate, "settings", settings=settings)
        return self._schedule.with_event(event)

    def prepare(self, position: int, ahead_s: float = LOOK_AHEAD_S) -> None:
        """Make sure that the loops of the time ahead are there.

        Args:
            position: the sample that comes next.
            ahead_s: seconds to look ahead; loops are loaded for all that sounds then.

        Raises:
            InputError: a loop cannot be loaded.
        """
        if position < self._next_at:
            return
        changed = self._next_at == 0
        # Of quick changes, no more is held than the library keeps.
        dwell_s = float(self._values["effects/dwell"])
        ahead_s = min(ahead_s, max(10.0, 1.5 * dwell_s))
        every_s = min(PREPARE_EVERY_S, ahead_s / 4.0)
        self._next_at = position + round(every_s * self._sample_rate)
        if changed and ahead_s > NEAR_S:  # the rest may take seconds to be made
            self.layers.replace(self._load(self._schedule, position, NEAR_S))
        self.layers.replace(self._load(self._schedule, position, ahead_s))

    def _load(
        self, schedule: EffectSchedule, begin: int, seconds: float
    ) -> list[LoopLayer]:
        end = begin + round(seconds * self._sample_rate)
        load = self._library.load
        found = layers_between(schedule, load, self._sample_rate, begin, end)
        return [self._within(layer) for layer in found]

    def _within(self, layer: LoopLayer) -> LoopLayer:
        """The layer, faded away at the end of the stream."""
        total = self._n_samples
        if total is None or (layer.stop is not None and layer.stop <= total):
            return layer
        fade = min(round(FADE_OUT_S * self._sample_rate), total // 8)
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
