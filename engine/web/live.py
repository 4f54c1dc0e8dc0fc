"""The master for pages: live PCM, encoded streams, spectra and the song's picture."""

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np

from effects.audio.levels import Samples
from engine.streams.channel import HISTORY_S, Channel
from engine.streams.encoder import FORMATS
from engine.streams.listener import Listener
from engine.streams.messages import Playing
from engine.streams.pcm import PcmConverter
from engine.streams.shared_ring import SharedRing
from engine.web.spectrum import (
    COLUMN_S,
    BandSpectrum,
    Levels,
    SongPicture,
    to_levels,
)

BLOCK_S = 1.0 / 30.0
IDLE_S = 0.5  # between looks at the ring while nobody hears or watches
MAX_LATE = 60  # blocks that a live listener has not taken: 2 s
MAX_LISTENERS = 256
SPECTRUM, COLUMN = 1, 2  # first byte of a binary message


class LiveListener:
    """One WebSocket of `/live`: blocks of PCM that it has not taken yet."""

    def __init__(self) -> None:
        self.blocks: asyncio.Queue[bytes] = asyncio.Queue(MAX_LATE)
        self.lost = 0  # blocks

    def put(self, block: bytes) -> None:
        """Queue a block; what is two seconds old is let go."""
        if self.blocks.full():
            while not self.blocks.empty():
                self.blocks.get_nowait()
                self.lost += 1
        self.blocks.put_nowait(block)


class LiveFeed:
    """Takes the master from the shared ring, and gives it to who hears or watches.

    Args:
        sample_rate: Hz.
        ring: of the session.
        has_watchers: whether spectra are shown.
        show: takes binary messages for those who watch.
    """

    def __init__(
        self,
        sample_rate: int,
        ring: SharedRing,
        has_watchers: Callable[[], bool],
        show: Callable[[bytes], None],
    ) -> None:
        self.sample_rate = sample_rate
        self.picture = SongPicture()
        self.listeners: set[LiveListener] = set()
        self._ring, self._has_watchers, self._show = ring, has_watchers, show
        self._spectrum = BandSpectrum(sample_rate)
        self._pcm = PcmConverter("s16le", sample_rate)
        self._channels = {
            name: Channel(each, sample_rate) for name, each in FORMATS.items()
        }
        self._history: deque[Samples] = deque()
        self._history_length = 0
        self._position = 0  # samples taken from the ring
        self._playing = Playing()
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._pump()
            if self._is_busy:
                due = max(due + BLOCK_S, loop.time())
                await asyncio.sleep(due - loop.time())
                continue
            self._wanted.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await self._wanted.wait()
            due = loop.time()

    def wake(self) -> None:
        """Look at once: somebody hears or watches from now on."""
        self._wanted.set()

    @property
    def n_listeners(self) -> int:
        """Who hears: live, and the encoded streams."""
        encoded = sum(len(channel.listeners) for channel in self._channels.values())
        return len(self.listeners) + encoded

    async def stream(self, name: str) -> AsyncIterator[bytes]:
        """Encode for one listener, without end; `name` is one of `FORMATS`."""
        transport = _QueueTransport()
        listener = Listener(transport)
        channel = self._channels[name]
        channel.listeners.add(listener)
        self.wake()
        try:
            while not transport.is_closing():
                yield await transport.get()
        finally:
            channel.listeners.discard(listener)

    @property
    def _is_busy(self) -> bool:
        active = any(channel.is_active for channel in self._channels.values())
        return bool(self.listeners) or active or self._has_watchers()

    async def _pump(self) -> None:
        """Hand on what was played since the last time."""
        samples = self._ring.read()
        if not len(samples):
            return
        head = struct.pack("<q", self._position)
        self._position += len(samples)
        if self.listeners:
            block = head + self._pcm.convert(samples)
            for listener in tuple(self.listeners):
                listener.put(block)
        self._look(samples)
        await self._encode(samples)
        self._history.append(samples)
        self._history_length += len(samples)
        longest = HISTORY_S * self.sample_rate
        while self._history_length - len(self._history[0]) >= longest:
            self._history_length -= len(self._history.popleft())

    def _look(self, samples: Samples) -> None:
        # What waited while nobody watched may be several columns.
        longest = round(COLUMN_S * self.sample_rate)
        for start in range(0, len(samples), longest):
            piece = samples[start : start + longest]
            levels = self._spectrum.add(piece)
            full = self.picture.add(levels, len(piece) / self.sample_rate)
            if full is not None:
                self._show(_column(*full))
        if self._has_watchers():
            peaks = to_levels(np.abs(piece).max(axis=0))
            self._show(bytes([SPECTRUM]) + levels.tobytes() + peaks.tobytes())

    async def _encode(self, samples: Samples) -> None:
        active = [each for each in self._channels.values() if each.is_active]
        if not active:
            return

        def encode() -> None:
            for channel in active:
                channel.encode(samples, self._history)

        # Elsewhere: a burst of some seconds takes a tenth of one to encode.
        await asyncio.to_thread(encode)
        for channel in active:
            channel.send(self._playing)


class _QueueTransport(asyncio.WriteTransport):
    """What `Channel` writes to, taken by a response piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._size = 0
        self._closing = False

    def write(self, data: Any) -> None:
        self._size += len(data)
        self._pieces.put_nowait(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self._size

    def is_closing(self) -> bool:
        return self._closing

    def abort(self) -> None:
        self._closing = True
        self._pieces.put_nowait(b"")

    async def get(self) -> bytes:
        piece = await self._pieces.get()
        self._size -= len(piece)
        return piece


def _column(number: int, levels: Levels) -> bytes:
    return bytes([COLUMN]) + struct.pack("<H", number & 0xFFFF) + levels.tobytes()
