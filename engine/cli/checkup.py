"""Checks of whether Latent can play here: one finding for each thing that it needs.

Nothing is changed, and an exception in a check becomes its finding. Heavy packages are
imported by the checks that need them.
"""

import importlib
import importlib.metadata
import os
import platform
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from effects.base.errors import LatentError

Verdict = Literal["ok", "note", "bad"]  # only `bad` keeps it from playing

OLDEST_PYTHON = (3, 11)
LOW_DISK = 1_000_000_000  # bytes: some two hours of recording
SPEED_S = 1.0  # duration of the speed check
SLOW = 4.0  # times real time: less leaves little for other programs
# Package -> module, of what playing needs; the device check is about sounddevice.
PACKAGES = {
    "click": "click",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "platformdirs": "platformdirs",
    "pyloudnorm": "pyloudnorm",
    "python-osc": "pythonosc",
    "rich": "rich",
    "scipy": "scipy",
    "soundfile": "soundfile",
    "soxr": "soxr",
}
EXTRAS = {"dbus-fast": "dbus_fast", "zeroconf": "zeroconf", "mido": "mido"}
PULSE_PLUGIN = "alsa-lib/libasound_module_pcm_pulse.so"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: of the check.
        verdict: `ok`, `note` (worth knowing) or `bad` (it cannot play).
        text: the facts, in one line.
        hints: lines on what can be done about it.
    """

    name: str
    verdict: Verdict
    text: str
    hints: tuple[str, ...] = ()


def checkup(model: Path | None = None, device: str | None = None) -> Iterator[Finding]:
    """Run all checks, one after the other; takes a few seconds.

    Args:
        model: folder to check; None for the bundled one.
        device: number or name; None for the default one.
    """
    yield _guarded("python", check_python)
    yield _guarded("packages", check_packages)
    yield _guarded("model", lambda: check_model(model))
    yield _guarded("files", check_files)
    yield _guarded("device", lambda: check_device(device))
    yield _guarded("speed", lambda: check_speed(model))
    yield _guarded("osc", check_osc)
    yield _guarded("desktop", check_desktop)


def check_python() -> Finding:
    """Check the interpreter, and count the cores it may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    text = (
        f"{platform.python_version()} on {platform.system()} {platform.machine()}, "
        f"{cores or os.cpu_count()} cores"
    )
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", "bad", f"{text}; 3.11 or newer is needed")
    return Finding("python", "ok", text)


def check_packages() -> Finding:
    """Check that the packages can be imported."""
    broken = []
    for package, module in PACKAGES.items():
        try:
            importlib.import_module(module)
        except Exception as error:  # a broken one may raise anything
            broken.append(f"{package} ({_told(error)})")
    if broken:
        hint = (
            "bin/latent installs them, so does pip install -r requirements/runtime.lock"
        )
        return Finding("packages", "bad", f"missing: {', '.join(broken)}", (hint,))
    there = [name for name in (*PACKAGES, *EXTRAS) if (_version(name))]
    text = ", ".join(f"{name} {_version(name)}" for name in there)
    return Finding("packages", "ok", text)


def check_model(folder: Path | None) -> Finding:
    """Check the model: its files, their hashes, a trial run."""
    from model.inference import TimbreModel

    loaded = TimbreModel.load(folder)
    text = (
        f"{loaded.name}, {loaded.n_latents} latents, hash {loaded.hash[:12]} is right"
    )
    return Finding("model", "ok", text)


def check_files() -> Finding:
    """Check that journals, loops and recordings can be written, and how much fits."""
    from effects.base.paths import cache_dir, data_dir, state_dir

    folders = [data_dir(), cache_dir(), state_dir()]
    for folder in folders:
        there = _nearest(folder)
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            hint = "name a folder that you may write: LATENT_HOME=/path/to/folder"
            text = f"{folder} cannot be written: {error.strerror}"
            return Finding("files", "bad", text, (hint,))
    free = shutil.disk_usage(_nearest(folders[0])).free
    text = f"{folders[0]}, {free / 1e9:.1f} GB free"
    if free < LOW_DISK:
        return Finding("files", "note", f"{text}: little room for recordings")
    return Finding("files", "ok", text)


def check_device(wanted: str | None) -> Finding:
    """Check that there is a sound device and that it can be opened."""
    from engine.live.devices import choose, native_rate
    from engine.live.output import list_devices, refusal

    found = list_devices()
    if not found:
        return Finding("device", "bad", "no sound device found", device_hints())
    device = choose(found, wanted)
    rate = native_rate(device)
    problem = refusal(device, rate)
    text = f"{device.name!r} (number {device.index}) at {rate} Hz, of {len(found)}"
    if problem:
        text = f"{device.name!r} cannot be opened at {rate} Hz: {problem}"
        return Finding("device", "bad", text, device_hints())
    return Finding("device", "ok", text)


def device_hints() -> tuple[str, ...]:
    """Return why a Linux machine may have no device, as far as can be seen."""
    hints = []
    server = _sound_server()
    cards = _text(Path("/proc/asound/cards"))
    if server and not any(map(_has_pulse_plugin, ("/usr/lib", "/usr/lib64"))):
        hints.append(f"{server} runs, but ALSA cannot reach it: install its plugin,")
        hints.append("apt install libasound2-plugins (or pipewire-alsa)")
    elif server:
        hints.append(f"{server} runs: does it have a sink? pactl list short sinks")
    elif "PULSE_SERVER" in os.environ:
        hints.append(f"PULSE_SERVER is {os.environ['PULSE_SERVER']}; nobody answers")
    else:
        hints.append("neither PipeWire nor PulseAudio runs for this user")
    if not cards or "no soundcards" in cards:
        hints.append("the kernel has no sound card: a container, or a server?")
    elif not os.access("/dev/snd", os.R_OK | os.X_OK) or not _may_open_card():
        hints.append("there is a card, but not for this user: usermod -aG audio USER")
    hints.append(
        "without a device: latent render, or latent play --no-audio --record FILE"
    )
    return tuple(hints)


def check_speed(folder: Path | None) -> Finding:
    """Measure how much faster than real time music is made."""
    from engine.graph import LIVE_RATE, Settings, build

    music = build(
        Settings(seed=1, sample_rate=LIVE_RATE, model=folder, effects=None)
    ).music
    music.next()  # composes the song, which is done once in minutes
    began, n_samples = time.perf_counter(), 0
    while time.perf_counter() - began < SPEED_S:
        hop = music.next()
        n_samples += 0 if hop is None else len(hop)
    speed = n_samples / LIVE_RATE / (time.perf_counter() - began)
    text = f"{speed:.0f} x real time at {LIVE_RATE} Hz, one thread"
    if speed < 1.0:
        return Finding("speed", "bad", f"{speed:.2f} x real time: too slow to play")
    return Finding("speed", "note" if speed < SLOW else "ok", text)


def check_osc() -> Finding:
    """Check that the port for OSC is free."""
    from engine.osc.server import HOST, PORT

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((HOST, PORT))
        except OSError as error:
            text = f"UDP port {PORT} on {HOST}: {error.strerror}"
            hint = "another session plays, or another program: choose one with --osc"
            return Finding("osc", "note", text, (hint,))
    return Finding("osc", "ok", f"UDP port {PORT} on {HOST} is free")


def check_desktop() -> Finding:
    """Check that media keys will work."""
    from engine.surfaces.mpris import missing

    if lacking := missing():
        return Finding("desktop", "note", f"no media keys without {lacking}")
    return Finding("desktop", "ok", "a D-Bus session bus for media keys")


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:
        verdict: Verdict = "note" if name in ("osc", "desktop") else "bad"
        return Finding(name, verdict, _told(error))


def _told(error: Exception) -> str:
    if isinstance(error, LatentError):
        return " ".join(str(error).split())
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _sound_server() -> str | None:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime:
        return None
    sockets = {"PulseAudio": "pulse/native", "PipeWire": "pipewire-0"}
    found = [n for n, path in sockets.items() if Path(runtime, path).is_socket()]
    return found[-1] if found else None  # PipeWire also has PulseAudio's socket


def _has_pulse_plugin(root: str) -> bool:
    return (
        any(Path(root).glob(f"*/{PULSE_PLUGIN}")) or Path(root, PULSE_PLUGIN).exists()
    )


def _may_open_card() -> bool:
    return any(os.access(p, os.W_OK) for p in Path("/dev/snd").glob("pcm*p"))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
