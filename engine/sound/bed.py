"""The bed: which loops lie under the music, prepared ahead of their time.

`prepare` is called by the thread that may load files; the mixer reads the player. What
plays at a sample depends on names, seed and controls alone.
"""

from dataclasses import replace

from effects.bed import layers
from effects.library import Library
from effects.player import BedPlayer, Layer
from effects.rotation import Rotation, Settings
from engine.live.controls import Controls
from engine.sound.music import FADE_OUT_S

LOOK_AHEAD_S = 60.0
PREPARE_EVERY_S = 10.0


class Bed:
    """The effects of one stream.

    Args:
        controls: dwell and crossfade are read at the start.
        names: of the effects to choose from; none for all on the shelf.
        seed: of the order in which effects come.
        sample_rate: Hz.
        n_samples: where the stream ends, or None.
        library: the shelf; the user's by default.

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
    ) -> None:
        self.player = BedPlayer()
        self._library = library or Library()
        self._sample_rate, self._n_samples = sample_rate, n_samples
        snapshot = controls.snapshot
        self._rotation = Rotation(
            tuple(self._library.entry(name).name for name in names)
            or tuple(self._library.names()),
            seed,
            settings=Settings(
                dwell_s=float(snapshot["effects/dwell"]),
                crossfade_s=float(snapshot["effects/crossfade"]),
            ),
        )
        self._next_at = 0

    def prepare(self, position: int) -> None:
        """Make sure that the loops of the next half minute are there.

        Raises:
            InputError: a loop cannot be loaded.
        """
        if position < self._next_at:
            return
        self._next_at = position + round(PREPARE_EVERY_S * self._sample_rate)
        end = position + round(LOOK_AHEAD_S * self._sample_rate)
        found = layers(
            self._rotation, self._library.load, self._sample_rate, position, end
        )
        self.player.set_layers([self._within(layer) for layer in found])

    def _within(self, layer: Layer) -> Layer:
        """The layer, faded away at the end of the stream."""
        total = self._n_samples
        if total is None or (layer.stop is not None and layer.stop <= total):
            return layer
        fade = min(round(FADE_OUT_S * self._sample_rate), total // 8)
        return replace(layer, stop=total, fade_out=fade)
