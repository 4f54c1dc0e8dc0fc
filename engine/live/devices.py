"""Sound devices as PortAudio lists them, and the choice among them.

Standard library only: the device's process imports this, too.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from effects.base.errors import InputError, RunError

NO_DEVICE = (
    "no sound device found; render to a file with 'latent render OUT.flac', "
    "list devices with 'latent devices', or wait for one with --wait-device"
)
NO_PORTAUDIO = (
    "PortAudio is not installed; install it with 'apt install libportaudio2', "
    "or render to a file with 'latent render OUT.flac'"
)
PACTL_LIMIT_S = 2.0


@dataclass(frozen=True)
class Device:
    """An output device as PortAudio lists it."""

    index: int
    name: str
    channels: int
    sample_rate: int
    is_default: bool


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
        sinks, info = map(json.loads, _pactl(("list", "sinks"), ("info",)))
        name = info["default_sink_name"]
        specification = next(
            s["sample_specification"] for s in sinks if s["name"] == name
        )
        rate = specification.split()[2]  # "float32le 2ch 48000Hz"
        return int(rate.removesuffix("Hz"))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, LookupError):
        return device.sample_rate
    except StopIteration:
        return device.sample_rate


def _default(devices: list[Device]) -> Device:
    for device in devices:
        if device.is_default:
            return device
    return devices[0]


def _pactl(*questions: tuple[str, ...]) -> list[str]:
    """What PulseAudio's tool answers; all are asked at once.

    Raises:
        OSError: it cannot be started.
        subprocess.SubprocessError: it fails, or takes too long.
    """
    with ExitStack() as started:
        asked = [
            started.enter_context(_pipe_from("pactl", "--format=json", *question))
            for question in questions
        ]
        answers = [process.communicate(timeout=PACTL_LIMIT_S)[0] for process in asked]
    for process in asked:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
    return answers


@contextmanager
def _pipe_from(*command: str) -> Iterator["subprocess.Popen[str]"]:
    """A process whose output is read; it is ended with the block."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
