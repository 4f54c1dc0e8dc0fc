"""The device of a session: opened, watched, and found again when it went away.

While no device is there, a pacer asks the mixer for blocks in real time, so that
music, recording and listeners go on. PortAudio's own word on whether a stream lives
cannot be trusted, so a device counts as gone when its callback counts no blocks.
"""

import time
from dataclasses import dataclass

from effects.base.errors import InputError, LatentError, RunError
from engine.control.callbacks import OnEvent, Say
from engine.live.metrics import Metrics
from engine.live.mixer import Mixer
from engine.live.output import Output, choose, list_devices
from engine.live.pacer import Pacer

DEAD_AFTER_S = 1.0  # without a callback, a device counts as gone
RETRY_S = (0.5, 1.0)  # first and longest wait before a device is tried again


@dataclass(frozen=True)
class DeviceChoice:
    """The device that a session is to play on.

    Attributes:
        name: number or part of a name; None for the default device.
        wait: whether to wait for a device when there is none.
    """

    name: str | None = None
    wait: bool = False


class DeviceWatch:
    """Plays a mixer on a device, and on a pacer while there is none.

    Threads: one calls the methods; the properties may be read by any.

    Args:
        choice: of the device; None plays to nobody, in real time.
        mixer: to play.
        sample_rate: Hz.
        metrics: `blocks` is the heartbeat; losses are counted here.
        say: takes one line for the user.
        on_event: takes rows for the journal.
    """

    def __init__(
        self,
        choice: DeviceChoice | None,
        mixer: Mixer,
        sample_rate: int,
        metrics: Metrics,
        say: Say,
        on_event: OnEvent,
    ) -> None:
        self._choice, self._mixer, self._rate = choice, mixer, sample_rate
        self._metrics, self._say, self._on_event = metrics, say, on_event
        self._output: Output | Pacer | None = None
        self._clean = True
        self._lost_at: float | None = None  # monotonic, while there is no device
        self._beat, self._beat_at = -1, 0.0  # heartbeat, and when it changed last
        self._retry_at, self._retry_s = 0.0, RETRY_S[0]

    def open(self) -> None:
        """Open the device, or a pacer where there is none to wait for.

        Raises:
            RunError: there is no device, or it cannot be opened.
            InputError: no device of that name.
        """
        self._output = self._open_first()

    def start(self) -> None:
        """Begin to ask the mixer for blocks.

        Raises:
            RunError: the device does not start.
        """
        assert self._output is not None, "open comes first"
        self._output.start()
        self._beat_at = time.monotonic()

    def poll(self) -> None:
        """Notice that the device is gone, or try whether it is back."""
        now = time.monotonic()
        if self._metrics.blocks != self._beat:
            self._beat, self._beat_at = self._metrics.blocks, now
        elif now - self._beat_at > DEAD_AFTER_S:
            self._lose(self._beat_at)
            self._beat_at = now
            self._retry_at, self._retry_s = now + RETRY_S[0], RETRY_S[0]
        if self._is_waiting and now >= self._retry_at:
            if self._regain():
                self._beat_at = time.monotonic()
            else:
                self._retry_s = min(2.0 * self._retry_s, RETRY_S[1])
                self._retry_at = time.monotonic() + self._retry_s

    def close(self) -> None:
        """Close the device; harmless when it was not opened."""
        if self._output is not None:
            self._clean = self._output.close() and self._clean

    @property
    def is_open(self) -> bool:
        """Whether a device or a pacer was opened."""
        return self._output is not None

    @property
    def closed_cleanly(self) -> bool:
        """False when PortAudio hangs: the process must then leave by `os._exit`."""
        return self._clean

    @property
    def latency_s(self) -> float:
        """Seconds from the callback to the speaker, as PortAudio states them."""
        return self._output.latency_s if self._output else 0.0

    @property
    def name(self) -> str:
        """Name of the device that is played on, or "none"."""
        output = self._output
        return output.device.name if isinstance(output, Output) else "none"

    @property
    def load(self) -> float:
        """Share of the time that the callback takes, as PortAudio measures it."""
        output = self._output
        return output.load if isinstance(output, Output) else 0.0

    @property
    def away_s(self) -> float:
        """Seconds without a device so far, although one was asked for."""
        since, known = self._lost_at, self._metrics.away_s
        return known if since is None else known + time.monotonic() - since

    @property
    def _is_waiting(self) -> bool:
        return self._choice is not None and isinstance(self._output, Pacer)

    def _open_first(self) -> Output | Pacer:
        if self._choice is None:
            return self._pacer()
        try:
            return self._open(self._choice)
        except InputError:
            raise
        except RunError as error:
            if not self._choice.wait:
                raise
            self._say(f"{error}; waiting for one")
            self._lost_at = time.monotonic()
            return self._pacer()

    def _open(self, choice: DeviceChoice, *, again: bool = False) -> Output:
        device = choose(list_devices(refresh=again), choice.name)
        render, metrics = self._mixer.render, self._metrics
        return Output(device, self._rate, render, metrics, fade_in=again)

    def _pacer(self) -> Pacer:
        return Pacer(self._rate, self._mixer.render, self._metrics)

    def _lose(self, since: float) -> None:
        """Go on with a pacer after the device's last sign of life at time `since`."""
        if not isinstance(self._output, Output):
            return
        name = self._output.device.name
        self._lost_at = since
        self._metrics.device_losses += 1
        self._say(f"the device {name!r} is gone; playing on without it")
        self._on_event({"at": self._mixer.position, "device": {"lost": name}})
        self._clean = self._output.close() and self._clean
        self._output = self._pacer()
        self._output.start()

    def _regain(self) -> bool:
        """Try to go back from the pacer to a device; returns whether that worked."""
        pacer, choice = self._output, self._choice
        assert pacer is not None
        assert choice is not None
        try:
            output = self._open(choice, again=True)
        except LatentError:
            return False
        pacer.close()
        try:
            output.start()
        except RunError:
            output.close()
            self._output = self._pacer()
            self._output.start()
            return False
        self._output = output
        self._metrics.away_s, self._lost_at = self.away_s, None
        losses, away_s = self._metrics.device_losses, round(self._metrics.away_s, 1)
        again = " again" if losses else ""
        self._say(f"playing on {output.device.name!r}{again}")
        row = {"found": output.device.name, "losses": losses, "away_s": away_s}
        self._on_event({"at": self._mixer.position, "device": row})
        return True
