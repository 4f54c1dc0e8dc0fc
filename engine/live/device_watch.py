"""The device of a session: opened, watched, and found again when it went away.

The pacer asks the mixer for blocks from beginning to end; the watch gives it the ring
of a device's process, and takes it away when that shows no life. PortAudio's own word
on whether a stream lives cannot be trusted, and any call into it may hang: so a process
whose callback counts no blocks is killed, and another one looks for the device. That
one is played to once its callback has taken more than a device can hold. The first
device of a session is opened while the music is prepared, and started with its first
samples in the ring.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from effects.audio.levels import Samples
from effects.base.errors import InputError, LatentError, RunError
from engine.control.callbacks import OnEvent, Say
from engine.live.device_process import Report
from engine.live.device_ring import AHEAD_S
from engine.live.metrics import Metrics
from engine.live.output import Output
from engine.live.pacer import Pacer

REST_S = 1.0  # from the beginning of a process to the next one, at least
FILLED_S = 0.2  # that a device begins with, at most; less than what it passes over
MOST_SLACK = 4.0  # for processes whose forerunners were ended before they played


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
    """Has blocks played on a device, and by the clock while there is none.

    Threads: one calls the methods; the properties may be read by any.

    Args:
        choice: of the device; None plays to nobody, in real time.
        render: fills a block of shape (n, 2).
        position: gives the next sample to render, for the journal.
        sample_rate: Hz.
        metrics: losses and xruns are counted here.
        say: takes one line for the user.
        on_event: takes rows for the journal.
    """

    def __init__(
        self,
        choice: DeviceChoice | None,
        render: Callable[[Samples], int],
        position: Callable[[], int],
        sample_rate: int,
        metrics: Metrics,
        say: Say,
        on_event: OnEvent,
    ) -> None:
        self._choice, self._position, self._rate = choice, position, sample_rate
        self._metrics, self._say, self._on_event = metrics, say, on_event
        self._pacer = Pacer(sample_rate, render, metrics)
        self._output: Output | None = None  # the one there is
        self._playing: Output | None = None  # the same, while it is played to
        self._n_xruns = 0  # of the processes before
        self._lost_at: float | None = None  # monotonic, while there is no device
        self._slack = 1.0  # of the next process
        self._again_at = 0.0  # monotonic; the next process begins then at the earliest

    def prepare(self) -> None:
        """Have a device opened, while other things are done."""
        if self._choice is not None and self._output is None:
            self._start_output(patient=self._choice.wait, waits=True)

    def open(self) -> None:
        """Have the device play its first samples, unless one is to be waited for.

        What it holds before them would be silence, which they would come after; so it
        is opened by `prepare`, and started with them.

        Raises:
            RunError: there is no device, or it cannot be played on.
            InputError: no device of that name.
        """
        self.prepare()
        output, choice = self._output, self._choice
        if output is None or choice is None:
            return
        try:
            held_s = output.wait_opened().latency_s
            self._pacer.fill(output.ring, min(held_s, FILLED_S))
            output.wait_started()
        except LatentError as error:
            # One that says nothing may be waiting for samples, which nobody writes.
            if output.error is None or not choice.wait:
                self._end_output()
            if isinstance(error, InputError) or not choice.wait:
                raise
            self._say(f"{error}; waiting for one")
            self._lost_at = time.monotonic()

    def start(self) -> None:
        """Begin to ask for blocks."""
        output = self._output
        if output is not None and output.opened is not None:
            self._playing = output
            self._pacer.attach(output.ring, fade_in=False)
            self._tell_mono(output.opened)
        self._pacer.start()

    def poll(self) -> None:
        """Notice that the device is gone, or that one is there again."""
        if self._choice is None:
            return
        output, now = self._output, time.monotonic()
        if output is None:
            if now >= self._again_at:
                self._start_output(patient=True)
            return
        self._metrics.device_xruns = self._n_xruns + output.xruns
        if not output.is_alive:
            if output is self._playing:
                self._lose(output)
                self._slack = 1.0
            else:  # a busy machine may have kept it from its first block
                self._slack = min(2.0 * self._slack, MOST_SLACK)
            self._end_output()
        elif self._playing is None and output.is_proved:
            self._regain(output)

    def close(self) -> None:
        """Stop asking for blocks, and end the device's process, whatever it does."""
        self._pacer.close()
        self._end_output()

    @property
    def is_open(self) -> bool:
        """Whether blocks are asked for."""
        return self._pacer.is_running

    @property
    def latency_s(self) -> float:
        """Seconds from the mixer to the speaker, as far as PortAudio states them."""
        playing = self._playing
        if playing is None or playing.opened is None:
            return 0.0
        return AHEAD_S + playing.opened.latency_s

    @property
    def name(self) -> str:
        """Name of the device that is played on, or "none"."""
        playing = self._playing
        return playing.opened.opened if playing and playing.opened else "none"

    @property
    def load(self) -> float:
        """Share of the time that the device's callback takes."""
        playing = self._playing
        return playing.load if playing else 0.0

    @property
    def away_s(self) -> float:
        """Seconds without a device so far, although one was asked for."""
        since, known = self._lost_at, self._metrics.away_s
        return known if since is None else known + time.monotonic() - since

    def _start_output(self, *, patient: bool, waits: bool = False) -> None:
        assert self._choice is not None
        self._again_at = time.monotonic() + REST_S
        try:
            self._output = Output(
                self._choice.name,
                self._rate,
                patient=patient,
                waits=waits,
                slack=self._slack,
            )
        except OSError as error:  # no memory, no descriptors
            if not patient:
                raise RunError(f"cannot start the device's process: {error}") from error

    def _end_output(self) -> None:
        output, self._output, self._playing = self._output, None, None
        if output is None:
            return
        self._pacer.detach()
        self._n_xruns += output.xruns
        output.close()

    def _lose(self, output: Output) -> None:
        """Tell that the device shows no life."""
        self._lost_at = output.beat_at
        self._metrics.device_losses += 1
        self._say(f"the device {self.name!r} is gone; playing on without it")
        self._on_event({"at": self._position(), "device": {"lost": self.name}})

    def _regain(self, output: Output) -> None:
        """Play on the device that there is again."""
        assert output.opened is not None
        name = output.opened.opened
        self._pacer.attach(output.ring, fade_in=True)
        self._playing = output
        self._metrics.away_s, self._lost_at = self.away_s, None
        losses, away_s = self._metrics.device_losses, round(self._metrics.away_s, 1)
        self._say(f"playing on {name!r}{' again' if losses else ''}")
        self._tell_mono(output.opened)
        row = {"found": name, "losses": losses, "away_s": away_s}
        self._on_event({"at": self._position(), "device": row})

    def _tell_mono(self, opened: Report) -> None:
        if opened.channels == 1:
            self._say(
                f"{opened.opened!r} has one channel: it gets left and right mixed"
            )
