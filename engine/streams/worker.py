"""The stream worker: a process that encodes the master and serves it.

Started by `engine.streams.radio` with descriptors of the shared ring and of listening
sockets; a line on the standard input says what to do, further ones which song plays,
and its end that the session has ended. What goes wrong here cannot touch the callback.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections import deque

from effects.audio.levels import Samples
from effects.base.errors import LatentError
from engine.streams.channel import HISTORY_S, Channel
from engine.streams.encoder import FORMATS
from engine.streams.hls import HlsTarget
from engine.streams.icecast import IcecastTarget, mount_from
from engine.streams.messages import (
    Playing,
    StreamCounts,
    WorkerPlan,
    WorkerReport,
    from_line,
    to_line,
)
from engine.streams.pcm import PcmConverter
from engine.streams.server import StreamServer
from engine.streams.shared_ring import SharedRing
from engine.streams.sink import (
    BLOCK_S,
    DescriptorTarget,
    FifoTarget,
    Sink,
    TcpTarget,
)

COUNTS_EVERY_S = 1.0
DRAIN_S = 1.5  # at the end, for what is queued


class Worker:
    """Feeds everything that a plan names, until it is told to end.

    Args:
        plan: what to feed.
    """

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._ring = SharedRing.attach(plan.ring, plan.capacity)
        self._playing = Playing()
        self._channels = {
            name: Channel(each, plan.sample_rate) for name, each in FORMATS.items()
        }
        self._server = StreamServer(
            self._channels, lambda: self._playing, plan.outputs.name
        )
        self._history: deque[Samples] = deque()
        self._history_length = 0
        self._finished = False
        self._reporting = threading.Lock()
        self._fifo: FifoTarget | None = None
        self._sinks = self._make_sinks()

    async def run(self, ended: asyncio.Event) -> None:
        """Work until `ended` is set."""
        await self._server.start(
            socket.socket(fileno=descriptor) for descriptor in self._plan.sockets
        )
        for sink in self._sinks:
            sink.start()
        self.report(self._counts())
        loop = asyncio.get_running_loop()
        due = counts_at = loop.time()
        while not ended.is_set():
            await self._pump()
            if loop.time() >= counts_at:
                self.report(self._counts())
                counts_at = loop.time() + COUNTS_EVERY_S
            due = max(due + BLOCK_S, loop.time())
            await asyncio.sleep(due - loop.time())
        await self._pump()
        if self._fifo is not None:
            self._fifo.stop_waiting()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._server.stop())
            for sink in self._sinks:
                group.create_task(asyncio.to_thread(sink.stop, DRAIN_S))
        self.report(self._counts())

    def set_playing(self, playing: Playing) -> None:
        """The loop's thread: another song plays."""
        self._playing = playing

    def report(self, report: WorkerReport) -> None:
        """Any thread: send a line to the session."""
        with self._reporting:
            sys.stdout.write(to_line(report))
            sys.stdout.flush()

    def _say(self, line: str) -> None:
        self.report(WorkerReport(say=line))

    async def _pump(self) -> None:
        """Encode and hand on what was played since the last time."""
        samples = self._ring.read()
        if not len(samples):
            return
        for sink in self._sinks:
            sink.put(samples, self._playing)
        active = [each for each in self._channels.values() if each.is_active]
        if active:
            # Elsewhere: a burst of some seconds takes a tenth of one to encode.
            await asyncio.to_thread(self._encode, active, samples)
            for channel in active:
                channel.send(self._playing)
        self._history.append(samples)
        self._history_length += len(samples)
        longest = HISTORY_S * self._plan.sample_rate
        while self._history_length - len(self._history[0]) >= longest:
            self._history_length -= len(self._history.popleft())

    def _encode(self, active: list[Channel], samples: Samples) -> None:
        for channel in active:
            channel.encode(samples, self._history)

    def _counts(self) -> WorkerReport:
        counts = StreamCounts(
            listeners=self._server.n_listeners,
            served=self._server.n_served,
            slow=sum(channel.n_slow for channel in self._channels.values()),
            dropped=self._ring.dropped,
            lost=sum(sink.lost for sink in self._sinks),
        )
        return WorkerReport(counts=counts, finished=self._finished)

    def _make_sinks(self) -> list[Sink]:
        plan, outputs, rate = self._plan, self._plan.outputs, self._plan.sample_rate
        sinks: list[Sink] = []
        for url in outputs.icecast:
            mount = mount_from(url)
            target = IcecastTarget(mount, rate, outputs.name)
            sinks.append(Sink(mount.shown, target, self._say))
        for address in outputs.snapcast:
            host, _, port = address.rpartition(":")
            tcp = TcpTarget(host.strip("[]"), int(port), rate)
            sinks.append(Sink(f"tcp://{address}", tcp, self._say))
        if outputs.hls:
            sinks.append(Sink(outputs.hls, HlsTarget(outputs.hls, rate), self._say))
        if outputs.pipe:
            self._fifo = FifoTarget(
                outputs.pipe, lambda: PcmConverter(outputs.pcm, rate)
            )
            sinks.append(Sink(outputs.pipe, self._fifo, self._say))
        if plan.stdout >= 0:
            converter = PcmConverter(outputs.pcm, rate)
            sinks.append(
                Sink(
                    "stdout",
                    DescriptorTarget(plan.stdout, converter),
                    lambda line: None,
                    once=True,
                    on_end=self._finish,
                )
            )
        return sinks

    def _finish(self) -> None:
        self._finished = True
        self.report(self._counts())


async def _work(plan: WorkerPlan) -> None:
    worker = Worker(plan)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(worker.set_playing, from_line(line, Playing))
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=listen, name="session", daemon=True).start()
    await worker.run(ended)


def main() -> None:
    """Run the worker of the session that started this process."""
    # A Ctrl-C in a terminal reaches the whole group; the session decides.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # A broken pipe: the session has gone.
    with contextlib.suppress(BrokenPipeError, LatentError):
        asyncio.run(_work(from_line(sys.stdin.readline(), WorkerPlan)))
    os._exit(0)  # threads may wait for peers that never answer


if __name__ == "__main__":
    main()
