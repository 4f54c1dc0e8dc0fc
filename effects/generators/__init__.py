"""Nature sounds made by the project itself: one sound a module, rendered once.

Each module has `render(sample_rate, seconds, rng) -> Samples`: deterministic for a
generator of chance, stereo, and periodic over its length, so that it loops without a
seam.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType

from effects.audio.levels import Samples
from effects.base import streams

VERSION = 4  # of the sounds: a change makes the cached renderings stale


@dataclass(frozen=True)
class Generator:
    """A bundled sound: the module that renders it, and with which options."""

    name: str
    module: str
    text: str
    seconds: float = 60.0
    options: Mapping[str, float] = field(default_factory=dict)

    def render(
        self, sample_rate: int, seed: int = 0, seconds: float | None = None
    ) -> Samples:
        """The sound as a seamless loop, shape (n_samples, 2)."""
        # What makes sounds takes long to import, and most sessions find them made.
        from effects.generators.distance import rounded

        module = import_module(f"effects.generators.{self.module}")
        rng = streams.stream(streams.Purpose.EFFECT, VERSION, seed, self.name)
        samples: Samples = module.render(
            sample_rate, seconds or self.seconds, rng, **dict(self.options)
        )
        return rounded(samples, sample_rate)


GENERATORS: Mapping[str, Generator] = MappingProxyType(
    {
        generator.name: generator
        for generator in (
            Generator("rain", "rain", "steady rain"),
            Generator("wind", "wind", "wind with gusts"),
            Generator("waves", "waves", "waves on a sandy shore"),
            Generator("rain-light", "rain", "light rain", options={"intensity": 0.15}),
            Generator("rain-heavy", "rain", "heavy rain", options={"intensity": 0.9}),
            Generator("stream", "stream", "a brook over stones"),
            Generator("waterfall", "waterfall", "a waterfall some way off"),
            Generator("thunder", "thunder", "distant thunder over rain", seconds=90.0),
            Generator("fire", "fire", "a wood fire", seconds=90.0),
            Generator("night", "night", "crickets on a summer night"),
            Generator("leaves", "leaves", "leaves in a light breeze"),
            Generator("drips", "drips", "water dripping in a cave", seconds=90.0),
            Generator("snow", "snow", "the hush of falling snow"),
            Generator("birds", "birds", "birds far off in a wood", seconds=90.0),
        )
    }
)
