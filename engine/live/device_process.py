"""The process of the sound device: the only module that knows sounddevice.

A call into PortAudio may hang for ever or abort the process that makes it, so all of
them are made here, in a process that the session watches and kills. It does one task,
which it is told in a line on the standard input: list the devices, try whether one can
be opened, or play what the pacer writes to a ring. It ends with the standard input,
however the session ends, and never by a signal that was meant for the session.

sounddevice is imported when it is needed, not before: without PortAudio the import
itself fails. numpy is not imported at all: it would be as large as the rest.
"""

import json
import os
import resource
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from effects.base.errors import InputError, LatentError, RunError
from engine.live.device_ring import CHANNELS, Counter, DeviceEnd, RingPlan
from engine.live.devices import NO_PORTAUDIO, Device, choose

LATENCY_S = 0.2  # hides a tenth of a second in which the session stands still
PATIENCE = 0.7  # share of the latency for which the callback waits for samples
AGAIN_S = (0.1, 0.5)  # first and longest wait between looks for a device
LOAD_EVERY_S = 0.5
REFUSED_S = 0.3  # a device that asks for a second block by then, or for none, plays
_NAMES = {1: "mono", 2: "stereo"}


@dataclass(frozen=True)
class Task:
    """What the process is to do.

    Attributes:
        name: `list`, `try` or `play`.
        wanted: number or part of a name of a device; None for the default one.
        rate: Hz, at which to try or to play.
        ring: to play from.
        patient: look for a device again and again where there is none.
        waits: open the device, but start it with the first samples in the ring. They
            are heard at once then: what a device holds before them is silence.
    """

    name: str
    wanted: str | None = None
    rate: int = 0
    ring: RingPlan | None = None
    patient: bool = False
    waits: bool = False


@dataclass(frozen=True)
class Report:
    """A line to the session.

    Attributes:
        devices: that there are, of the task `list`.
        opened: name of the device that is opened, of the task `play`.
        latency_s: seconds from the callback to the speaker, as PortAudio states them.
        channels: of the device that is opened.
        is_started: whether it plays.
        error: why the task failed; empty if it did not.
        is_input: whether another device name would mend that.
    """

    devices: tuple[Device, ...] = ()
    opened: str = ""
    latency_s: float = 0.0
    channels: int = CHANNELS
    is_started: bool = False
    error: str = ""
    is_input: bool = False


def to_line(value: Task | Report) -> str:
    """Return a task or a report as one line."""
    return json.dumps(asdict(value)) + "\n"


def task_of(line: str) -> Task:
    """Return the task of a line."""
    fields = json.loads(line)
    ring = fields.pop("ring")
    return Task(**fields, ring=None if ring is None else RingPlan(**ring))


def report_of(line: str) -> Report:
    """Return the report of a line."""
    fields = json.loads(line)
    devices = tuple(Device(**device) for device in fields.pop("devices"))
    return Report(**fields, devices=devices)


def main() -> None:
    """Do one task, and end with the standard input."""
    # A Ctrl-C in a terminal reaches the whole group; the session fades out first.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # an abort is no news
    task = task_of(sys.stdin.readline() or os._exit(0))
    threading.Thread(target=_end_with_session, daemon=True).start()
    try:
        if task.name == "play":
            _play(task)
        elif task.name == "try":
            _try(task)
        else:
            _report(Report(devices=tuple(_devices(_sounddevice()))))
    except LatentError as error:
        _report_error(error)
    os._exit(0)  # PortAudio's own end may hang or abort


def _end_with_session() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _report(report: Report) -> None:
    try:
        os.write(1, to_line(report).encode())
    except BrokenPipeError:  # the session has gone
        os._exit(0)


def _report_error(error: LatentError) -> None:
    is_input = isinstance(error, InputError)
    _report(Report(error=str(error), is_input=is_input))


def _sounddevice() -> Any:
    # PulseAudio lists ALSA's clients as "ALSA plug-in [python3]" and remembers one
    # output for all of them. Under its own name the stream is recognised in mixers,
    # and follows the default output whatever other programs do.
    os.environ.setdefault("PULSE_PROP_OVERRIDE_application.name", "Latent")
    try:
        import sounddevice
    except OSError as error:
        raise RunError(NO_PORTAUDIO) from error
    return sounddevice


def _devices(sd: Any) -> list[Device]:
    default = sd.default.device[1]
    return [
        Device(
            index=int(info["index"]),
            name=str(info["name"]),
            channels=int(info["max_output_channels"]),
            sample_rate=int(info["default_samplerate"]),
            is_default=int(info["index"]) == default,
        )
        for info in sd.query_devices()
        if info["max_output_channels"] > 0
    ]


def _try(task: Task) -> None:
    """Find out whether a device can be opened at a rate.

    Raises:
        LatentError: it cannot.
    """
    sd = _sounddevice()
    device = choose(_devices(sd), task.wanted)
    try:
        sd.check_output_settings(
            device=device.index,
            channels=min(CHANNELS, device.channels),
            dtype="float32",
            samplerate=task.rate,
        )
    except (sd.PortAudioError, ValueError) as error:
        raise RunError(" ".join(str(error).split())) from error
    _report(Report(opened=device.name))


def _play(task: Task) -> None:
    """Play from a ring; ends only if there is no device and no patience.

    Raises:
        LatentError: there is no device of that name, or it cannot be opened.
    """
    assert task.ring is not None
    sd = _sounddevice()
    ring = DeviceEnd(task.ring)
    again_s, waits = AGAIN_S[0], task.waits
    while True:
        ring.add(Counter.TRIES)
        try:
            device = choose(_devices(sd), task.wanted)
            stream = _open(sd, device, task.rate, ring)
            found = Report((), device.name, float(stream.latency), int(stream.channels))
            if waits:
                _report(found)
                ring.wait_for_samples()
            _start(sd, stream, device, task.rate)
            if waits:  # some devices refuse what they have taken, and all is over
                ring.wait_for_more(REFUSED_S)
            break
        except LatentError as error:
            if not task.patient:
                raise
            _report_error(error)
            waits = False  # the session plays on without it, and looks for its blocks
        time.sleep(again_s)
        again_s = min(1.5 * again_s, AGAIN_S[1])
        # PortAudio keeps the list of devices of its beginning.
        sd._terminate()
        sd._initialize()
    _report(replace(found, is_started=True))
    while True:
        time.sleep(LOAD_EVERY_S)
        ring.set(Counter.LOAD, round(1e6 * stream.cpu_load))


def _open(sd: Any, device: Device, rate: int, ring: DeviceEnd) -> Any:
    def callback(out: Any, n_samples: int, time: Any, status: Any) -> None:
        if status:
            ring.add(Counter.XRUNS)
        take(memoryview(out).cast("f"), n_samples)

    channels = min(CHANNELS, device.channels)
    take = ring.take if channels == CHANNELS else ring.take_mono
    ring.set(Counter.CHANNELS, channels)
    try:
        stream = sd.RawOutputStream(
            samplerate=rate,
            channels=channels,
            dtype="float32",
            device=device.index,
            latency=LATENCY_S,
            callback=callback,
            # Called when the device is gone, not on a stop: there is none.
            finished_callback=lambda: os._exit(0),
        )
    except sd.PortAudioError as error:
        raise _refused(device, rate, channels, error) from error
    ring.patience_s = PATIENCE * float(stream.latency)
    return stream


def _start(sd: Any, stream: Any, device: Device, rate: int) -> None:
    try:
        stream.start()
    except sd.PortAudioError as error:
        raise _refused(device, rate, int(stream.channels), error) from error


def _refused(device: Device, rate: int, channels: int, error: Exception) -> RunError:
    return RunError(
        f"cannot open {device.name!r} at {rate} Hz, {_NAMES[channels]}: {error}"
    )


if __name__ == "__main__":
    main()
