"""A format with its encoder and its listeners.

The encoder runs while somebody listens, and half a minute longer. It begins some
seconds back in what was played, so that the first listener, too, gets a burst: enough
for a player to start at once.
"""

from collections import deque
from collections.abc import Iterable

from effects.audio.levels import Samples
from engine.streams.encoder import PIECE_S, Encoder, StreamFormat
from engine.streams.listener import Listener
from engine.streams.messages import Playing

BURST_S = 4.0
HISTORY_S = BURST_S + 1.0  # of samples, for an encoder that starts
IDLE_S = 30.0  # an encoder goes on for so long without a listener
PATIENCE_S = 12.0  # of the stream may wait for a listener that does not take it
LEAST_WAITING = 262_144  # bytes that may wait in any case


class Channel:
    """One stream of the master.

    `encode` may run in another thread than the rest, but not at the same time.

    Args:
        stream_format: of the stream.
        sample_rate: Hz, of the samples given.
    """

    def __init__(self, stream_format: StreamFormat, sample_rate: int) -> None:
        self.format = stream_format
        self.listeners: set[Listener] = set()
        self.n_slow = 0
        self._rate = sample_rate
        self._encoder: Encoder | None = None
        self._pieces: deque[tuple[int, bytes]] = deque()  # sample of the end, bytes
        self._fresh: list[bytes] = []  # encoded, not sent yet
        self._position = 0  # samples encoded so far
        self._idle = 0  # of those, the last without a listener
        self._patience = max(
            LEAST_WAITING, round(PATIENCE_S * 125.0 * stream_format.kbps)
        )

    @property
    def is_active(self) -> bool:
        """Whether there is something to encode."""
        return self._encoder is not None or bool(self.listeners)

    def encode(self, samples: Samples, before: Iterable[Samples]) -> None:
        """Encode a block.

        Args:
            samples: shape (n, 2).
            before: the blocks before it, for an encoder that starts now.
        """
        if self._encoder is None:
            self._encoder = Encoder(self.format, self._rate)
            for block in before:
                self._add(self._encoder, block)
        self._fresh = self._add(self._encoder, samples)
        self._idle = 0 if self.listeners else self._idle + len(samples)
        if self._idle > IDLE_S * self._rate:
            self._encoder = None
            self._pieces.clear()
            self._idle = 0

    def send(self, playing: Playing) -> None:
        """Give the listeners what was encoded, and drop those who are too slow."""
        fresh, self._fresh = b"".join(self._fresh), []
        if self._encoder is None or not (fresh or self._pieces):
            return
        for listener in tuple(self.listeners):
            data = fresh
            if not listener.has_begun:
                listener.has_begun = True
                burst = b"".join(piece for _, piece in self._pieces)
                data = self._encoder.header + burst
            if listener.waiting + len(data) > max(self._patience, 2 * len(data)):
                self.drop(listener)
            elif data:
                listener.send(data, playing.line, playing.number)

    def drop(self, listener: Listener) -> None:
        """End a listener that does not keep up."""
        self.n_slow += 1
        self.listeners.discard(listener)
        listener.transport.abort()

    def _add(self, encoder: Encoder, samples: Samples) -> list[bytes]:
        pieces = encoder.encode(samples)
        self._position += len(samples)
        self._pieces.extend((self._position, piece) for piece in pieces)
        oldest = self._position - (BURST_S + PIECE_S) * self._rate
        while self._pieces and self._pieces[0][0] < oldest:
            self._pieces.popleft()
        return pieces
