"""The sound device: the only module that knows sounddevice.

sounddevice is imported when a device is asked for, not before: without PortAudio
the import itself fails, and rendering must not. PortAudio's own word on whether a
stream lives cannot be trusted (it may hang for ever in `close`), so liveness is read
from a heartbeat that the callback counts, and `close` has a time limit.
"""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from effects.audio.levels import Samples
from effects.base.errors import InputError, RunError
from engine.live.metrics import Metrics

FADE_IN_S = 0.05  # on a device that comes back while music plays
LATENCY_S = 0.2  # hides a tenth of a second in which another thread holds the GIL
CLOSE_LIMIT_S = 2.0

NO_DEVICE = (
    "no sound device found; render to a file with 'latent render OUT.flac', "
    "list devices with 'latent devices', or wait for one with --wait-device"
)
NO_PORTAUDIO = (
    "PortAudio is not installed; install it with 'apt install libportaudio2', "
    "or render to a file with 'latent render OUT.flac'"
)


@dataclass(frozen=True)
class Device:
    """An output device as PortAudio lists it."""

    index: int
    name: str
    channels: int
    sample_rate: int
    is_default: bool


def list_devices(*, refresh: bool = False) -> list[Device]:
    """List the output devices; empty when there is none.

    Args:
        refresh: scan again; PortAudio otherwise keeps the list of the first call.
            No stream may be open.

    Raises:
        RunError: PortAudio is not installed.
    """
    sd = _sounddevice()
    if refresh:
        sd._terminate()
        sd._initialize()
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


def choose(devices: list[Device], wanted: str | None) -> Device:
    """Return the device of a number or (part of a) name, or the default one.

    Among several devices whose names contain `wanted`, one with exactly that name is
    taken; no device is ever taken in place of another.

    Args:
        devices: to choose from.
        wanted: number, or part of a name in any case; None for the default device.

    Raises:
        RunError: there is no device at all.
        InputError: no device, or more than one, has that name.
    """
    if not devices:
        raise RunError(NO_DEVICE)
    if wanted is None:
        return _default(devices)
    if wanted.isdecimal():
        matching = [d for d in devices if d.index == int(wanted)]
    else:
        matching = [d for d in devices if wanted.lower() in d.name.lower()]
        exact = [d for d in matching if d.name.lower() == wanted.lower()]
        matching = exact or matching
    if len(matching) == 1:
        return matching[0]
    problem = "no device" if not matching else "more than one device"
    names = ", ".join(f"{d.index} {d.name!r}" for d in matching or devices)
    raise InputError(f"--device {wanted}: {problem} has that name; there are {names}")


def native_rate(device: Device) -> int:
    """Return the sample rate in Hz at which a device plays without resampling.

    PulseAudio's PortAudio device reports 44.1 kHz whatever its sink runs at, and
    then resamples, so PulseAudio's own tool is asked.
    """
    if device.name not in ("pulse", "default") or not shutil.which("pactl"):
        return device.sample_rate
    try:
        sinks = json.loads(_pactl("list", "sinks"))
        name = json.loads(_pactl("info"))["default_sink_name"]
        specification = next(
            s["sample_specification"] for s in sinks if s["name"] == name
        )
        rate = specification.split()[2]  # "float32le 2ch 48000Hz"
        return int(rate.removesuffix("Hz"))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, LookupError):
        return device.sample_rate
    except StopIteration:
        return device.sample_rate


def refusal(device: Device, sample_rate: int) -> str | None:
    """Return why a device cannot be opened in stereo at a rate; None if it can."""
    sd = _sounddevice()
    try:
        sd.check_output_settings(
            device=device.index, channels=2, dtype="float32", samplerate=sample_rate
        )
    except (sd.PortAudioError, ValueError) as error:
        return " ".join(str(error).split())
    return None


class Output:
    """An open stream that asks `render` for blocks.

    Args:
        device: to play on.
        sample_rate: Hz.
        render: fills a block of shape (n, 2); runs in the callback.
        metrics: `blocks` is the heartbeat.
        fade_in: ramp the first samples up on this device; taps get them unchanged.

    Raises:
        RunError: the device cannot be opened at that rate.
    """

    def __init__(
        self,
        device: Device,
        sample_rate: int,
        render: Callable[[Samples], int],
        metrics: Metrics,
        *,
        fade_in: bool = False,
    ) -> None:
        sd = _sounddevice()
        self.device = device
        ramp = np.linspace(
            0.0, 1.0, round(FADE_IN_S * sample_rate) if fade_in else 0, dtype=np.float32
        )
        risen = 0

        def callback(out: Samples, n_samples: int, time: Any, status: Any) -> None:
            nonlocal risen
            if status:
                metrics.device_xruns += 1
            try:
                render(out)
                if risen < len(ramp):
                    part = ramp[risen : risen + n_samples, None]
                    out[: len(part)] *= part
                    risen += n_samples
            except Exception:  # an escaping one would stop the stream, silently
                out.fill(0.0)
                metrics.errors += 1
            metrics.blocks += 1
            metrics.block = n_samples

        try:
            self._stream = sd.OutputStream(
                samplerate=sample_rate,
                channels=2,
                dtype="float32",
                device=device.index,
                latency=LATENCY_S,
                callback=callback,
            )
        except sd.PortAudioError as error:
            raise RunError(
                f"cannot open {device.name!r} at {sample_rate} Hz, stereo: {error}"
            ) from error

    @property
    def latency_s(self) -> float:
        """Seconds from the callback to the speaker, as PortAudio states them."""
        return float(self._stream.latency)

    @property
    def load(self) -> float:
        """Share of the time that the callback takes, 0..1, as PortAudio measures it."""
        return float(self._stream.cpu_load)

    def start(self) -> None:
        """Begin to ask for blocks.

        Raises:
            RunError: the device does not start.
        """
        sd = _sounddevice()
        try:
            self._stream.start()
        except sd.PortAudioError as error:
            raise RunError(f"cannot start {self.device.name!r}: {error}") from error

    def close(self) -> bool:
        """Stop and close; returns False when PortAudio did not return in time."""
        closer = threading.Thread(target=self._close, daemon=True, name="closer")
        closer.start()
        closer.join(CLOSE_LIMIT_S)
        return not closer.is_alive()

    def _close(self) -> None:
        sd = _sounddevice()
        try:
            self._stream.stop()
            self._stream.close()
        except sd.PortAudioError:  # the device is gone: nothing is left to close
            return


def _default(devices: list[Device]) -> Device:
    for device in devices:
        if device.is_default:
            return device
    return devices[0]


def _pactl(*args: str) -> str:
    command = ["pactl", "--format=json", *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2.0)
    done.check_returncode()
    return done.stdout


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
