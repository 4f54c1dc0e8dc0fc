"""What the ring's reader plays while the music is late.

A value on its own, so that the callback reaches numpy and nothing else;
`concealment_loop` makes it.
"""

from dataclasses import dataclass

from effects.audio.levels import Samples


@dataclass(frozen=True)
class Concealment:
    """What sounds while there is no music.

    Attributes:
        loop: seamless, shape (n, 4).
        gain: that brings them to the level at which the music breaks off.
    """

    loop: Samples
    gain: float = 1.0
