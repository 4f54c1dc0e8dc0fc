"""What the ring's reader plays while the music is late.

A value on its own, so that the callback reaches numpy and nothing else;
`concealment_loop` makes it.
"""

from dataclasses import dataclass

from effects.audio.levels import Samples


@dataclass(frozen=True, eq=False)
class ConcealmentRecipe:
    """What a loop is made from, so that a replay can make it again.

    Attributes:
        bands: powers of the sound that it holds, shape (n_bands,), float32.
        position: sample of the stream at which that sound stood, which the loop's
            phases are drawn from.
        clarity: 0..1, as of the music.
    """

    bands: Samples
    position: int
    clarity: float


@dataclass(frozen=True, eq=False)
class Concealment:
    """What sounds while there is no music.

    Attributes:
        loop: seamless, shape (n, 2).
        gain: that brings them to the level at which the music breaks off.
        recipe: of the loop; None for silence.
    """

    loop: Samples
    gain: float = 1.0
    recipe: ConcealmentRecipe | None = None
