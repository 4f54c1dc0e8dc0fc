"""The session's side of the device's process: started, watched, and ended.

Nothing here calls PortAudio. A process that says nothing or does nothing is killed,
however it hangs, and what a library prints in it reaches nobody.
"""

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from effects.base.errors import InputError, LatentError, RunError
from effects.base.paths import cache_dir
from effects.base.search_path import child_environment
from engine.live.device_process import Report, Task, report_of, to_line
from engine.live.device_ring import Counter, MixerEnd
from engine.live.devices import Device

ANSWER_LIMIT_S = 8.0  # for the first sign of life, on a busy machine with a cold disk
BEAT_LIMIT_S = 1.0  # without a callback or a look for devices, the process hangs
TRY_LIMIT_S = 2.0  # opening a device may take longer than a callback
PROVED_S = 0.1  # taken beyond what a device holds: it plays, and does not only fill up
END_LIMIT_S = 0.3  # for an end by itself, and for the system to clean up after a kill

NO_ANSWER = (
    "the sound system does not answer; restart the sound server, "
    "or play without a device: 'latent play --no-audio --serve 8000'"
)


def list_devices() -> list[Device]:
    """List the output devices; empty when there is none.

    Raises:
        RunError: PortAudio is not installed, or does not answer.
    """
    return begin_listing()()


def begin_listing() -> Callable[[], list[Device]]:
    """Begin to list the output devices, which takes a third of a second.

    Returns:
        What waits for the list and returns it; it raises as `list_devices` does.
    """
    process = _start(Task("list"))
    return lambda: list(_answer(process).devices)


def refusal(device: Device, sample_rate: int) -> str | None:
    """Return why a device cannot be opened at a rate; None if it can."""
    try:
        _ask(Task("try", wanted=str(device.index), rate=sample_rate))
    except LatentError as error:
        return str(error)
    return None


class Output:
    """A process that plays a ring on a device, once there is one.

    Args:
        wanted: number or part of a device's name; None for the default one.
        sample_rate: Hz.
        patient: look for the device again and again.
        waits: start the device with the first samples in the ring, not before.
        slack: times the usual limits, after which a process that has not called back
            yet counts as hung.
    """

    def __init__(
        self,
        wanted: str | None,
        sample_rate: int,
        *,
        patient: bool,
        waits: bool = False,
        slack: float = 1.0,
    ) -> None:
        self.ring = MixerEnd(sample_rate)
        self.opened: Report | None = None  # once a device is opened
        self.error: LatentError | None = None  # the last reason why none does
        self._rate, self._slack = sample_rate, slack
        self._unread = b""
        task = Task("play", wanted, sample_rate, self.ring.plan, patient, waits)
        plan = self.ring.plan
        self._process = _start(task, (plan.memory, plan.kick))
        self._beat = (0, 0)  # blocks and looks for a device that were seen last
        self.beat_at = time.monotonic()  # when they changed last

    @property
    def is_alive(self) -> bool:
        """Whether the process lives and showed that lately."""
        now = time.monotonic()
        count = self.ring.count
        beat = count(Counter.BLOCKS), count(Counter.TRIES)
        if beat != self._beat:
            self._beat, self.beat_at = beat, now
        if self._process.poll() is not None:
            return False
        limit_s = TRY_LIMIT_S if beat[1] else ANSWER_LIMIT_S
        # Not the slack of a start: a stream that stood still may never go on.
        limit_s = BEAT_LIMIT_S if beat[0] else self._slack * limit_s
        return now - self.beat_at < limit_s

    @property
    def is_proved(self) -> bool:
        """Whether a device has taken more than it can hold, so that it plays."""
        self._listen(0.0)
        if self.opened is None:
            return False
        held = self.opened.latency_s + PROVED_S
        asked = self.ring.count(Counter.ASKED)
        return asked - self.ring.count(Counter.BLOCK) > held * self._rate

    @property
    def load(self) -> float:
        """Share of the time that callbacks take, 0..1, as PortAudio measures it."""
        return 1e-6 * self.ring.count(Counter.LOAD)

    @property
    def xruns(self) -> int:
        """Callbacks that came too late or found too little."""
        return self.ring.count(Counter.XRUNS)

    def wait_opened(self) -> Report:
        """Wait until a device is opened, or cannot be had.

        Raises:
            LatentError: why there is none.
        """
        return self._wait_for(lambda report: True)

    def wait_started(self) -> Report:
        """Wait until a device that waited for samples plays them, or refuses.

        Raises:
            LatentError: why it does not play.
        """
        return self._wait_for(lambda report: report.is_started)

    def _wait_for(self, is_so: Callable[[Report], bool]) -> Report:
        while self.opened is None or not is_so(self.opened):
            self._listen(0.05)
            if self.error is not None:
                raise self.error
            if not self.is_alive:
                self._listen(0.0)
                raise self.error or RunError(_why_ended(self._process))
        return self.opened

    def close(self) -> None:
        """End the process, whatever it does."""
        _end(self._process)
        self.ring.close()

    def _listen(self, seconds: float) -> None:
        """Take what the process reports within so long."""
        assert self._process.stdout is not None
        if not _is_readable(self._process.stdout, seconds):
            return
        read = os.read(self._process.stdout.fileno(), 1 << 16)
        lines = (self._unread + read).split(b"\n")
        self._unread = lines.pop()
        for line in lines:
            self._take(report_of(line.decode()))

    def _take(self, report: Report) -> None:
        if report.error:
            self.opened, self.error = None, _error_of(report)
        else:
            self.opened, self.error = report, None


def _ask(task: Task) -> Report:
    """Have a process of its own do a task that has one answer.

    Raises:
        LatentError: the answer is a failure, or there is none.
    """
    return _answer(_start(task))


def _answer(process: "subprocess.Popen[bytes]") -> Report:
    try:
        assert process.stdout is not None
        is_there = _is_readable(process.stdout, ANSWER_LIMIT_S)
        line = process.stdout.readline() if is_there else b""
        if not line:
            raise RunError(_why_ended(process))
        report = report_of(line.decode())
    finally:
        _end(process)
    if report.error:
        raise _error_of(report)
    return report


def _start(task: Task, passed: tuple[int, ...] = ()) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "engine.live.device_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=passed,
        env=child_environment(**_of_pulseaudio()),
        process_group=0,  # an interrupt in the terminal is the session's
    )
    assert process.stdin is not None
    try:
        process.stdin.write(to_line(task).encode())
        process.stdin.flush()
    except BrokenPipeError:  # it has ended already, which is noticed later
        pass
    return process


def _of_pulseaudio() -> dict[str, str]:
    """Variables for PulseAudio's library, where it would leave a folder in the home.

    Without a folder of the login for sockets, as in a container or by cron, it makes
    `.config/pulse` and a folder below /tmp, for a server that is not there. It gets
    Latent's own instead, unless the home has such a folder, or a server that the
    library would start in it.
    """
    if os.environ.get("PULSE_RUNTIME_PATH") or os.environ.get("XDG_RUNTIME_DIR"):
        return {}
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    if (config / "pulse").exists() or (home / ".pulse").exists():
        return {}
    if os.geteuid() != 0 and shutil.which("pulseaudio"):  # root's is never started
        return {}
    return {"PULSE_RUNTIME_PATH": str(cache_dir() / "pulse")}


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process: softly by the end of its input, or else by force."""
    assert process.stdin is not None
    assert process.stdout is not None
    for close in (process.stdin.close, process.stdout.close):
        _without_complaint(close)
    for _ in range(2):
        try:
            process.wait(END_LIMIT_S)
            return
        except subprocess.TimeoutExpired:
            process.kill()  # one that the kernel holds is left to it


def _is_readable(pipe: IO[bytes], seconds: float) -> bool:
    """Whether there is something to read, or the end, within so long."""
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    return bool(poller.poll(1000.0 * seconds))


def _without_complaint(close: Callable[[], None]) -> None:
    try:
        close()
    except BrokenPipeError:
        return


def _error_of(report: Report) -> LatentError:
    return InputError(report.error) if report.is_input else RunError(report.error)


def _why_ended(process: "subprocess.Popen[bytes]") -> str:
    status = process.poll()
    if status is None:
        return NO_ANSWER
    if status == 0:  # PortAudio said that its stream is over
        return "the device stopped at once: another program may hold it"
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    return f"the sound system failed: the device's process ended {how}"
