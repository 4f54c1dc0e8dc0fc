"""The music of a stream, and what comes out of it."""

from collections.abc import Mapping

import numpy as np

from effects.audio.levels import Samples
from engine.control.controls import snapshot_of
from engine.graph import Settings, build
from engine.sound.music import Music

RATE = 24_000


def music(
    seed: int = 5,
    controls: Mapping[str, object] | None = None,
    seconds: float | None = None,
) -> Music:
    snapshot = snapshot_of(controls or {})
    settings = Settings(
        seed=seed,
        sample_rate=RATE,
        duration=seconds,
        effects=None,
        controls=snapshot,
    )
    return build(settings).music


def taken(stream: Music, seconds: float) -> Samples:
    pieces: list[Samples] = []
    while sum(map(len, pieces)) < seconds * RATE:
        piece = stream.next()
        if piece is None:
            break
        pieces.append(piece)
    return np.concatenate(pieces)[: round(seconds * RATE)]
